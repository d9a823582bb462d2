"""The law of the ledger: what is refused, and at which price, is a function of the questions.

Two rooms in which everything is said alike, and whose stores differ, are asked the same sequence,
drawn at random: by banks of one group and of another, over loads, rollbacks, redefinitions,
renewals, days and restarts. Whatever is seen but the sealed answers is the same.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Final

import pytest

from saferoom_proto.answer import Truth
from saferoom_proto.batch import Row
from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import CostEstimate, Feature, LevelLimits, load
from simulator import Approved, EnclaveHarness, Firm, Sample, SimBank, sample, tax_csv
from simulator.batch import ask_batch, batch_of
from simulator.sample import VAT_GRID
from tests.attacks.public import public

LIMITS: Final = tuple(
    LevelLimits(level=level, feature_bits=Decimal("2.585"), family_bits=Decimal(6))
    for level in (1, 2, 3, 4)
)
"""Narrow, so that budgets and caps are both met on the way."""
CHECKS: Final = {
    "steady": "tax.vat_paid >= :min_vat AND tax.arrears IS FALSE",
    "rated": "tax.rating IN ('A', 'B') OR tax.vat_paid < :min_vat",
    "silent": "tax.vat_paid IS NULL OR NOT tax.rating = 'C'",
    "public": "tax.registered",
}
SUBJECTS: Final = (1, 2, 3)
STEPS: Final = 24


def draw_store(draw: random.Random) -> dict[int, Firm]:
    """Make up a store: of each firm something, nothing known, or nothing at all."""
    return {
        serial: Firm(
            draw.choice(("", "9", "70000", "400000", "99000000")),
            arrears=draw.random() < 0.5,
            rating=draw.choice("ABCDX"),
        )
        for serial in (*SUBJECTS, 50)
        if serial == 50 or draw.random() < 0.8
    }


@dataclass(slots=True)
class Side:
    """One of two rooms in which everything is said alike."""

    said: Sample
    enclave: EnclaveHarness
    stores: Iterator[dict[int, Firm]]
    checks: dict[str, Approved]
    banks: list[SimBank]
    snapshots: list[str] = field(default_factory=list[str])
    truths: set[Truth] = field(default_factory=set[Truth])
    version: int = 1
    renewed: int = 0

    def load(self) -> object:
        """Load other records."""
        self.enclave.load({"firms": tax_csv(self.said.world, next(self.stores))})
        self.enclave.follow()
        store = self.enclave.enclave.store
        assert store is not None
        self.snapshots.append(store.digest)
        return store.epoch

    def roll_back(self) -> object:
        """Go back to the snapshot before."""
        if len(self.snapshots) < 2:
            return None
        try:
            self.enclave.roll_back(self.enclave.rollback_order(self.snapshots[-2]))
        except SafeRoomError as refusal:
            return refusal.reason
        self.enclave.follow()
        store = self.enclave.enclave.store
        assert store is not None
        self.snapshots.append(store.digest)
        return store.epoch

    def redefine(self) -> object:
        """Define the feature that thresholds are asked of anew, a month later; approve anew."""
        self.version += 1
        ref = next(ref for ref in self.said.world.features if ref.name == "vat_paid")
        current = self.said.world.features[ref].definition
        later = {"version": self.version, "as_of": current.as_of + timedelta(days=31)}
        self.said.tax.define(Feature.model_validate(current.model_dump() | later))
        for name, check in self.checks.items():
            renewed = self.said.world.publish(self.said.bank.certificate(check.template))
            self.said.tax.approve(check.template, renewed.digest)
            self.checks[name] = replace(check, certificate=renewed)
        self.enclave.follow()
        return None

    def restart(self) -> object:
        """End the enclave and start it again."""
        self.enclave.restart()
        return None

    def ask(self, bank: int, check: str, serial: int, value: str) -> object:
        """Ask; gives all that anybody but the asker sees."""
        verdict = self.enclave.ask(self._question(bank, check, serial, value))
        if verdict.truth is not None:
            self.truths.add(verdict.truth)
        return public(verdict)

    def price(self, bank: int, check: str, serial: int, value: str) -> object:
        """Ask what it would cost."""
        question = self._question(bank, check, serial, value)
        told = load(
            self.enclave.judge(self.banks[bank].cost_request(question)).entry.statement,
            CostEstimate,
        )
        return told.refused, told.features, told.families

    def batch(self, bank: int, check: str, serial: int, value: str) -> object:
        """Ask the same of all subjects at once; gives what each row was charged."""
        del serial
        rows = [Row(self.said.world.subject(each).uscc) for each in SUBJECTS]
        params = self._params(check, value)
        word = ask_batch(
            self.enclave, batch_of(self.banks[bank], self.checks[check], rows, (params,))
        )
        return [
            (each.outcome if isinstance(each.outcome, Reason) else None, each.charges)
            for each in word.records
        ]

    def _question(self, bank: int, check: str, serial: int, value: str) -> Envelope:
        approved = self.checks[check]
        return self.banks[bank].request(
            self.said.world.subject(serial),
            approved.template,
            approved.certificate,
            self._params(check, value),
        )

    def _params(self, check: str, value: str) -> dict[str, str | bool]:
        return {"min_vat": value} if ":min_vat" in CHECKS[check] else {}


def side(folder: Path, stores: Sequence[dict[int, Firm]]) -> Side:
    """Open a room: two banks of one group, and one of another."""
    said = sample("the same", limits=LIMITS)
    friend, rival = said.world.bank("bank-c"), said.other_bank
    said.tax.agree(friend, group="bank-a")
    banks = [said.bank, friend, rival]
    for bank in banks:
        for serial in SUBJECTS:
            said.consent(serial, bank)
    checks = {name: said.approved(name, check) for name, check in CHECKS.items()}
    enclave = EnclaveHarness(said.tax, folder)
    return Side(said, enclave, iter(stores), checks, banks)


def steps(draw: random.Random) -> list[Callable[[Side], object]]:
    """Make up what happens; the same in every room."""
    made: list[Callable[[Side], object]] = [Side.load]
    for _ in range(STEPS):
        rare = draw.random()
        if rare < 0.06:
            made.append(Side.load)
        elif rare < 0.1:
            made.append(Side.roll_back)
        elif rare < 0.14:
            made.append(Side.redefine)
        elif rare < 0.16:
            made.append(Side.restart)
        else:
            how = draw.choice((Side.ask, Side.ask, Side.ask, Side.ask, Side.price, Side.batch))
            at = (
                draw.randrange(3),
                draw.choice((*CHECKS, "steady")),
                draw.choice((*SUBJECTS, 1, 1)),
                draw.choice((*VAT_GRID, "777")),
            )
            made.append(lambda room, how=how, at=at: how(room, *at))
    return made


def play(folder: Path, seed: int) -> tuple[set[Truth], list[object], list[object]]:
    """Have the same happen in two rooms; gives the answers told in both, and what each showed."""
    draw = random.Random(seed)
    pair = [[draw_store(draw) for _ in range(STEPS + 1)] for _ in range(2)]
    happen = steps(draw)
    seen: list[list[object]] = []
    truths: set[Truth] = set()
    for number, stores in enumerate(pair):
        room = side(folder / str(number), stores)
        with closing(room.enclave):
            seen.append([step(room) for step in happen])
        truths |= room.truths
    return truths, seen[0], seen[1]


def test_any_two_stores_refuse_and_price_the_same_questions_alike(tmp_path: Path) -> None:
    truths, one, other = play(tmp_path, 4)
    assert one == other
    assert truths == set(Truth)
    told = str(one)
    assert Reason.OVER_BUDGET in told
    assert Reason.OFF_GRID in told


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100))
def test_any_two_stores_are_refused_and_priced_alike_at_length(tmp_path: Path, seed: int) -> None:
    _, one, other = play(tmp_path, seed)
    assert one == other
