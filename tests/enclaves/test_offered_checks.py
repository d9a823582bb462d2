"""Every check that the catalogue offers is proposed, approved and answered as its records say.

What is expected comes from the records by SQL's own WHERE, not by the formula's evaluator.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Final

import pytest

from saferoom_client.records.annex import catalogue
from saferoom_client.records.offers import OfferedCheck, offers
from saferoom_proto.answer import Truth, truth_of
from saferoom_proto.certificate import derive_certificate
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import b64, dump
from saferoom_proto.pinned import PinnedFeature
from saferoom_proto.statements import Schema, Template, seal_statement
from saferoom_proto.statements.feature import Absent, Feature, FeatureKind
from simulator import EnclaveHarness, World
from simulator.bank import SimBank
from simulator.owner import SimOwner
from simulator.world import ROOM
from tests.client.made_city import city_rows
from tests.enclaves.city_store import FIRMS, OWNER, city, feature_of

CHECKS: Final = offers().checks
LOWEST: Final = "-1e30"
WRONG: Final = "鹭原市查无此名有限公司"
NOBODY: Final = "nobody"
"""Stands for a firm that no store knows."""


def feature(full: str) -> Feature:
    """Give a feature by the name that a check has for it."""
    return city().features[full.partition(".")[2]]


def params_of(check: OfferedCheck, code: str, *, wrong: bool = False) -> dict[str, str]:
    """Choose a value for each parameter: a threshold, a class, or what is so of a firm.

    Of a feature that is asked at two thresholds no third is left within its budget.
    """
    given: dict[str, str] = {}
    for name, full in check.params.items():
        asked = feature(full)
        match asked.kind:
            case FeatureKind.ORDERED:
                at = {"from": 1, "below": 3, "people": 1}.get(name, len(asked.grid) // 2)
                given[name] = str(asked.grid[at])
            case FeatureKind.CLASSES:
                given[name] = asked.classes[min(1, len(asked.classes) - 1)].name
            case _:
                held = f"SELECT {asked.name} FROM wide WHERE subject = $1"
                (row,) = city().store.execute(held, [code]).fetchall()
                given[name] = WRONG if wrong or row[0] is None else row[0]
    return given


def wide_table() -> None:
    """Lay every feature's value beside each firm, as its kind and its silence say."""
    store = city().store
    columns: list[str] = []
    joins: list[str] = []
    for name, feature in city().features.items():
        store.execute(
            f"CREATE OR REPLACE TEMP TABLE f_{name} AS {feature.sql}",
            {"as_of": feature.as_of} if "$as_of" in feature.sql else {},
        )
        value = f"f_{name}.value"
        if feature.kind is FeatureKind.CLASSES:
            whens = " ".join(
                f"WHEN {value} IN {(*cell.values, '')} THEN '{cell.name}'"
                for cell in feature.classes
            )
            value = f"CASE {whens} END"
        if feature.absent is Absent.FALSE:
            lowest = LOWEST if feature.kind is FeatureKind.ORDERED else "FALSE"
            value = f"coalesce({value}, {lowest})"
        columns.append(f"{value} AS {name}")
        joins.append(f"LEFT JOIN f_{name} ON f_{name}.subject = firm.uscc")
    store.execute(
        f"CREATE OR REPLACE TEMP TABLE wide AS SELECT firm.uscc AS subject, {', '.join(columns)}"
        f" FROM (SELECT uscc FROM reg_business_licence UNION ALL SELECT '{NOBODY}') AS firm"
        f" {' '.join(joins)}"
    )


def expected(check: OfferedCheck, code: str, params: dict[str, str]) -> bool | None:
    """Judge a check about a firm by the records."""
    (row,) = (
        city()
        .store.execute(f"SELECT {_condition(check, params)} FROM wide WHERE subject = $1", [code])
        .fetchall()
    )
    return row[0]


def _condition(check: OfferedCheck, params: dict[str, str]) -> str:
    words = re.sub(r"\b[a-z_]+\.([a-z][a-z0-9_]*)", r"\1", check.check)
    for name, value in params.items():
        plain = re.fullmatch(r"-?[0-9.]+", value)
        words = re.sub(rf":{name}\b", value if plain else f"'{value}'", words)
    return words


def asks_stated(check: OfferedCheck) -> bool:
    """Tell whether a check compares what its asker states."""
    return any(feature(full).kind is FeatureKind.STATED for full in check.features)


def firms_by_answer(check: OfferedCheck) -> list[str]:
    """Find a firm for each answer that the city has; `NOBODY` where only such gets it."""
    if asks_stated(check):
        (row,) = city().store.execute("SELECT min(subject) FROM wide").fetchall()
        return [row[0], NOBODY]
    condition = _condition(check, params_of(check, NOBODY))
    found = city().store.execute(f"SELECT min(subject) FROM wide GROUP BY ({condition})")
    return [code for (code,) in found.fetchall()]


@dataclass(slots=True)
class Steward:
    """The steward's enclave, and what a bank asks it."""

    world: World
    owner: SimOwner
    bank: SimBank
    enclave: EnclaveHarness
    asked: dict[str, tuple[Envelope, Envelope]] = field(default_factory=dict)
    serials: dict[str, int] = field(default_factory=dict)

    def told(self, name: str, serial: int, params: dict[str, str]) -> Truth | None:
        template, certificate = self.asked[name]
        question = self.bank.request(self.world.subject(serial), template, certificate, params)
        verdict = self.enclave.ask(question)
        assert verdict.reason is None, (name, verdict.reason)
        return verdict.truth


@pytest.fixture(scope="module")
def steward(tmp_path_factory: pytest.TempPathFactory) -> Generator[Steward]:
    wide_table()
    world = World("offered")
    owner, bank = world.owner(OWNER), world.bank("bank-a")
    named = {one.partition(".")[2] for each in CHECKS.values() for one in each.features}
    forms = catalogue()
    types = {each for name in named for each in offers().features[name].types}
    read = [form.name for each in types for form in forms.type(each).tables]
    used = [city().tables[name] for name in sorted(read) if _reads(name, named)]
    owner.publish_schema(Schema(room=ROOM, owner=OWNER, version=1, tables=tuple(used)))
    for name in named:
        owner.define(feature_of(offers().features[name]))
    owner.agree(bank)
    serials: dict[str, int] = {}
    for check in CHECKS.values():
        for code in firms_by_answer(check):
            serials.setdefault(code, len(serials) + 1)
    features = [f"{OWNER}.{name}" for name in sorted(named)]
    for serial in serials.values():
        world.subject(serial).give(bank, features)
    enclave = EnclaveHarness(owner, tmp_path_factory.mktemp("offered"), start=False)
    made = Steward(world, owner, bank, enclave, serials=serials)
    for check in CHECKS.values():
        template, certificate = bank.propose(
            check.name, str(check.draft(dict.fromkeys(check.owners, OWNER))["check"])
        )
        owner.approve(template, certificate.digest)
        made.asked[check.name] = (template, certificate)
    try:
        enclave.unlock()
        enclave.follow()
        report = enclave.load({table.name: _lines(table.name, world, serials) for table in used})
        assert report.snapshot is not None, report
        enclave.follow()
        yield made
    finally:
        enclave.close()


def _reads(table: str, named: set[str]) -> bool:
    return any(re.search(rf"\b{table}\b", offers().features[name].sql) for name in named)


def _lines(table: str, world: World, serials: dict[str, int]) -> bytes:
    """Give a table's rows about the firms that are asked about, under codes of the simulator's."""
    names = ",".join(column.name for column in city().tables[table].columns)
    kept = [names]
    for line in city_rows(FIRMS)[table][0].decode().splitlines():
        for code, serial in serials.items():
            if code in line:
                kept.append(line.replace(code, world.subject(serial).uscc))
                break
    return "\n".join(kept).encode() + b"\n"


def test_there_are_checks_enough_and_each_reads_features_that_are_offered() -> None:
    assert len(CHECKS) >= 30
    keepers: dict[str, str] = {}
    for check in CHECKS.values():
        for full in check.features:
            handle, _, name = full.partition(".")
            assert name in offers().features, check.name
            assert keepers.setdefault(name, handle) == handle, f"{name} is kept by two"
        assert set(check.params.values()) <= set(check.features), check.name


def test_every_check_derives_a_certificate_over_the_owners_it_names() -> None:
    bank = World("certified").bank("bank-a")
    for check in CHECKS.values():
        draft = {
            "room": ROOM,
            "proposer": bank.name,
            "signer": b64(bank.certified),
            **check.draft({}),
        }
        template = seal_statement(Template.model_validate_json(dump(draft)), bank.key)
        pinned = [
            PinnedFeature(feature_of(offers().features[name], handle), f"sha256:{'0' * 64}")
            for handle, _, name in (full.partition(".") for full in check.features)
        ]
        certificate = derive_certificate(template, {each.ref: each for each in pinned})
        assert {part.owner for part in certificate.parts} == set(check.owners), check.name


def test_every_check_is_answered_yes_no_and_not_found_as_the_records_say(steward: Steward) -> None:
    answers: dict[str, set[Truth | None]] = {}
    for name, check in CHECKS.items():
        asked = [(code, params_of(check, code)) for code in firms_by_answer(check)]
        if asks_stated(check):
            asked += [(code, params_of(check, code, wrong=True)) for code, _ in asked[:1]]
        for code, params in asked:
            truth = truth_of(expected(check, code, params))
            assert steward.told(name, steward.serials[code], params) is truth, (name, code)
            answers.setdefault(name, set()).add(truth)
    for name, check in CHECKS.items():
        assert answers[name] >= {Truth.YES, Truth.NO}, name
        # Of what a court's silence denies, or `IS` asks, nothing is not found.
        if any(
            feature(full).kind is FeatureKind.ORDERED and feature(full).absent is Absent.UNKNOWN
            for full in check.features
        ):
            assert Truth.NOT_FOUND in answers[name] or len(check.features) > 1, name
    assert sum(Truth.NOT_FOUND in each for each in answers.values()) >= 15
