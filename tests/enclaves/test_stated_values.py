"""Level 4: a value is never asked for, only compared with one that the asker states."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest

from saferoom_proto.answer import Truth
from saferoom_proto.batch import Row
from saferoom_proto.certificate import ReleaseCertificate
from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.stated import in_form
from saferoom_proto.statements import (
    Absent,
    ColumnType,
    CostEstimate,
    Feature,
    FeatureKind,
    LevelLimits,
    load,
)
from saferoom_proto.statements.feature import StatedForm, StatedRule
from simulator import Approved, EnclaveHarness, Sample, SimBank, sample
from simulator.batch import ask_batch, batch_of
from simulator.harness import Verdict
from simulator.sample import FEATURES, column, feature, schema, table

PHONE = "tax.phone"
LIMITS = tuple(
    LevelLimits(level=level, feature_bits=Decimal(bits), family_bits=Decimal(cap))
    for level, (bits, cap) in enumerate(((0, 0), (3, 12), (3, 12), (3, 6)), start=1)
)
"""Those of a charter's draft."""
HELD = {1: "(0571) 8888-1234", 3: " - ", **dict.fromkeys((2, *range(20, 30)), "13800138000")}
"""By subject. Of 3 the owner holds a dash, of 4 nothing, and nobody has heard of 9."""
OTHERS = (4, 9, 15, 16)
CHECKS = {
    "phone": "tax.phone = :number",
    "silent": "tax.phone = :number OR tax.phone IS NULL",
    "fax": "tax.fax = :number",
}
TRIES = ("13900139000", "13700137000", "13600136000", "13500135000", "13400134000")


def phone(**changes: Any) -> Feature:
    """Define the telephone number that the tax office holds."""
    fields: dict[str, Any] = {
        "level": 4,
        "stated": StatedRule(form=StatedForm.DIGITS, per_day=3, for_life=4),
        "absent": Absent.UNKNOWN,
    }
    sql = "SELECT uscc AS subject, phone AS value FROM contacts"
    made: dict[str, Any] = {"name": "phone", "kind": FeatureKind.STATED} | fields | changes
    return feature("tax", sql=sql, **made)


@dataclass(slots=True)
class Stating:
    """A room where values are stated."""

    said: Sample
    enclave: EnclaveHarness
    checks: dict[str, Approved]

    def ask(
        self, serial: int, value: str, bank: SimBank | None = None, check: str = "phone"
    ) -> Verdict:
        """State a telephone number of a firm."""
        return self.enclave.ask(self.question(serial, value, bank, check))

    def question(
        self, serial: int, value: str, bank: SimBank | None = None, check: str = "phone"
    ) -> Envelope:
        """Sign a question that states a telephone number of a firm."""
        subject, approved = self.said.world.subject(serial), self.checks[check]
        params = {"number": value}
        asker = bank or self.said.bank
        return asker.request(subject, approved.template, approved.certificate, params)

    def told(
        self, serial: int, value: str, bank: SimBank | None = None, check: str = "phone"
    ) -> Truth | Reason:
        """Give the answer, or why there is none."""
        verdict = self.ask(serial, value, bank, check)
        return verdict.truth or verdict.reason or Reason.INTERNAL

    def load(self) -> None:
        """Load the numbers, which opens a period."""
        lines = ["uscc,phone"]
        lines += [f"{self.said.world.subject(at).uscc},{held}" for at, held in HELD.items()]
        report = self.enclave.load({"contacts": "\n".join(lines).encode() + b"\n"})
        assert report.snapshot is not None
        self.enclave.follow()

    def next_day(self) -> None:
        """Let a day pass."""
        self.said.world.clock.advance(24 * 3600)
        self.enclave.unlock()
        self.enclave.follow()


@contextmanager
def stating(folder: Path) -> Generator[Stating]:
    """Open the room; another feature has another rule, and nobody's consent covers 15."""
    said = sample("stated", limits=LIMITS)
    contacts = table("contacts", column("phone", ColumnType.TEXT, 4))
    said.tax.publish_schema(schema("tax", contacts, version=2))
    said.tax.define(phone())
    often = StatedRule(form=StatedForm.DIGITS, per_day=3, for_life=1000)
    said.tax.define(phone(name="fax", budget_bits=Decimal(2), stated=often))
    made: dict[str, Approved] = {}
    for name, check in CHECKS.items():
        template, certificate = said.bank.propose(name, check)
        said.tax.approve(template, certificate.digest)
        made[name] = Approved(template, certificate)
    for serial in {*HELD, *OTHERS} - {15}:
        said.world.subject(serial).give(said.bank, (*FEATURES, PHONE, "tax.fax"))
    enclave = EnclaveHarness(said.tax, folder)
    try:
        room = Stating(said, enclave, made)
        enclave.follow()
        room.load()
        yield room
    finally:
        enclave.close()


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Generator[Stating]:
    """Open the room once; each test asks about subjects of its own."""
    with stating(tmp_path_factory.mktemp("stated")) as opened:
        yield opened


def test_what_is_stated_is_compared_in_one_form_and_nothing_else_is_told(room: Stating) -> None:
    for spelling in ("057188881234", "0571-88881234", "\uff10\uff15\uff17\uff11 8888 1234"):
        assert room.told(1, spelling) is Truth.YES
    assert room.told(2, "13800138001") is Truth.NO
    assert room.told(2, "138 0013 8000") is Truth.YES
    # A dash is no number; where nothing is held, nothing matches and that is said.
    unknown = [room.ask(serial, "13800138000") for serial in (3, 4, 9)]
    assert {each.truth for each in unknown} == {Truth.NOT_FOUND}
    assert len({str(each.release.charges) for each in unknown}) == 1
    use = load(room.checks["phone"].certificate, ReleaseCertificate).parts[0].features[0]
    assert (use.level, use.charged, use.most_cells) == (4, True, 3)


def test_a_subject_consents_to_it_by_name(room: Stating) -> None:
    assert room.told(15, "13800138000") is Reason.NO_CONSENT
    room.said.consent(15)  # to everything else
    room.enclave.follow()
    assert room.told(15, "13800138000") is Reason.NO_CONSENT


def test_so_many_values_a_day_and_so_many_ever_whatever_is_held(tmp_path: Path) -> None:
    with stating(tmp_path) as room:
        told = {serial: [room.told(serial, value) for value in TRIES] for serial in (1, 2, 4, 9)}
        patterns = {tuple(each is Reason.OVER_BUDGET for each in one) for one in told.values()}
        assert patterns == {(False, False, False, True, True)}
        # What was stated before costs nothing and is answered; the next day brings one more.
        assert room.told(1, TRIES[0]) is Truth.NO
        room.enclave.restart()
        assert room.told(1, TRIES[3]) is Reason.OVER_BUDGET
        room.next_day()
        assert room.told(1, TRIES[3]) is Truth.NO
        # A new period does not begin the count for life anew.
        room.load()
        room.next_day()
        assert room.told(1, TRIES[4]) is Reason.OVER_BUDGET
        assert room.told(1, TRIES[0]) is Reason.OVER_BUDGET


def test_an_older_copy_states_no_more_on_the_day_that_it_forgot(tmp_path: Path) -> None:
    with stating(tmp_path) as room:
        enclave, tax = room.enclave, room.said.tax
        found = enclave.enclave._state.position.chain
        enclave.enclave.close()
        copy = enclave.folder.with_name("copy")
        copytree(enclave.folder, copy)
        enclave.restart()
        told = [room.told(1, value, check="fax") for value in TRIES[:2]]
        assert told == [Truth.NO, Truth.NO]
        follows = enclave.enclave._state.position.chain
        enclave.put_back(copy)
        enclave.unlock([tax.recovery(found, follows, 1, each) for each in ("chen", "li")])
        enclave.follow()
        room.said.world.clock.advance(1)
        enclave.follow()
        room.load()
        # The new period has a budget; of the day nobody knows how many were stated.
        assert room.told(1, TRIES[2], check="fax") is Reason.OVER_BUDGET
        room.next_day()
        told = [room.told(1, value, check="fax") for value in TRIES[2:]]
        assert told == [Truth.NO, Truth.NO, Reason.OVER_BUDGET]


def test_no_clock_brings_another_day(tmp_path: Path) -> None:
    with stating(tmp_path) as room:
        clock = room.said.world.clock
        assert [room.told(1, value) for value in TRIES[:3]] == [Truth.NO] * 3
        # Its time never runs back: what was asked yesterday, or seems to be, is asked too late.
        clock.turn(-24 * 3600)
        assert room.told(1, TRIES[3]) is Reason.EXPIRED
        # Started on a day that lies behind its state, or ahead of its agent, it answers nobody.
        room.enclave.restart()
        with pytest.raises(SafeRoomError, match="endorsement"):
            room.told(1, TRIES[3])
        clock.turn(48 * 3600)
        with pytest.raises(SafeRoomError, match="endorsement"):
            room.told(1, TRIES[3])


def test_values_are_priced_and_the_price_is_told_before(room: Stating) -> None:
    cells: list[tuple[int, int]] = []
    for value in TRIES[:4]:
        asked = room.question(20, value)
        judged = room.enclave.judge(room.said.bank.cost_request(asked))
        price = load(judged.entry.statement, CostEstimate)
        verdict = room.enclave.ask(asked)
        assert price.refused == verdict.reason
        cells += [(each.cells_before, each.cells_after) for each in verdict.release.charges]
        priced = [(each.cells_before, each.cells_after) for each in price.features]
        assert cells[-1:] == priced or verdict.reason is Reason.OVER_BUDGET
    assert cells == [(1, 3), (3, 4), (4, 5)]


def test_a_budget_in_bits_bounds_them_too(room: Stating) -> None:
    told = [room.told(21, value, check="fax") for value in TRIES]
    assert told == [Truth.NO, Truth.NO, *[Reason.OVER_BUDGET] * 3]


def test_banks_of_one_group_share_their_attempts(room: Stating) -> None:
    friend = room.said.world.bank("bank-c")
    room.said.tax.agree(friend, group="bank-a")
    room.said.world.subject(22).give(friend, (PHONE,))
    room.enclave.follow()
    askers = (None, friend, None, friend)
    told = [room.told(22, value, bank) for value, bank in zip(TRIES, askers, strict=False)]
    assert told == [Truth.NO, Truth.NO, Truth.NO, Reason.OVER_BUDGET]


def test_no_batch_states_a_value_of_many_subjects(room: Stating) -> None:
    rows = [Row(room.said.world.subject(serial).uscc) for serial in (23, 24)]
    batch = batch_of(room.said.bank, room.checks["phone"], rows, ({"number": "13800138000"},))
    release = ask_batch(room.enclave, batch).release
    assert (release.reason, release.answered) == (Reason.NOT_ALLOWED, 0)


def test_it_goes_with_other_questions(room: Stating) -> None:
    told = [room.told(serial, "13800138000", check="silent") for serial in (1, 25, 16)]
    assert told == [Truth.NO, Truth.YES, Truth.YES]


def test_what_was_stated_stands_nowhere_in_the_clear(room: Stating) -> None:
    release = room.ask(26, TRIES[4]).release
    assert TRIES[4] not in release.model_dump_json()
    assert TRIES[4] not in room.enclave.log.getvalue()
    kept = b"".join(each.read_bytes() for each in room.enclave.folder.rglob("*") if each.is_file())
    assert kept
    assert TRIES[4].encode() not in kept
    assert b"13800138000" not in kept


@pytest.mark.parametrize("value", ["-", "none"])
def test_a_value_of_which_nothing_is_left_is_refused_and_not_charged(
    room: Stating, value: str
) -> None:
    verdict = room.ask(27, value)
    assert (verdict.reason, verdict.release.charges) == (Reason.OFF_DOMAIN, ())


@pytest.mark.parametrize(
    ("check", "reason"),
    [
        ("tax.phone = '13800138000'", Reason.MALFORMED_FORMULA),
        ("tax.phone IN (:number, :other)", Reason.MALFORMED_FORMULA),
        ("tax.phone = :number OR tax.phone = :other", Reason.MALFORMED_FORMULA),
        ("tax.phone >= :number", Reason.MALFORMED_FORMULA),
        ("tax.phone IS TRUE", Reason.MALFORMED_FORMULA),
    ],
)
def test_it_is_asked_in_no_other_way(room: Stating, check: str, reason: Reason) -> None:
    with pytest.raises(SafeRoomError) as refused:
        room.said.bank.propose("known-by-phone", check)
    assert refused.value.reason is reason


def test_a_number_of_level_4_that_is_no_stated_value_is_asked_in_no_way(room: Stating) -> None:
    sql = "SELECT uscc AS subject, phone IS NULL AS value FROM contacts"
    room.said.tax.define(feature("tax", "silent", sql, FeatureKind.FLAG, level=4))
    with pytest.raises(SafeRoomError, match="NOT_ALLOWED"):
        room.said.bank.propose("known-by-silence", "tax.silent")


@pytest.mark.parametrize(
    "changes",
    [{"stated": None}, {"level": 1}, {"kind": FeatureKind.FLAG}],
    ids=["no rule", "public", "a flag with a rule"],
)
def test_a_feature_of_stated_values_that_is_none_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="stated value"):
        phone(**changes)


@pytest.mark.parametrize(
    ("form", "one", "other", "same"),
    [
        (
            StatedForm.TEXT,
            "\uff21BC\uff08\u676d\u5dde\uff09\u516c\u53f8",
            "abc(\u676d\u5dde) \u516c\u53f8",
            True,
        ),
        (StatedForm.TEXT, "Stra\u00dfe 1", "STRASSE 1", True),
        (StatedForm.TEXT, "\u738b\u4f1f", "\u738b\u7ef4", False),
        (StatedForm.CODE, "33010219900101123x", "3301 0219 9001 0112 3X", True),
        (StatedForm.CODE, "6222-0200", "62220201", False),
        (StatedForm.DIGITS, "+86 571 8888", "865718888", True),
        (StatedForm.DIGITS, "8888 ext 1", "88881", True),
    ],
)
def test_the_forms(form: StatedForm, one: str, other: str, *, same: bool) -> None:
    assert (in_form(one, form) == in_form(other, form)) is same
    assert in_form(in_form(one, form), form) == in_form(one, form)
