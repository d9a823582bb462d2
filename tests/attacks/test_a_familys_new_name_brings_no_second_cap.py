"""Features that tell of one thing share a cap, whatever their owner calls their family by then."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from saferoom_proto.answer import Truth
from saferoom_proto.formula import FeatureRef
from saferoom_proto.reasons import Reason
from saferoom_proto.statements import CostEstimate, Feature, LevelLimits, load
from simulator import EnclaveHarness, Sample, sample, tax_csv
from simulator.sample import VAT_GRID

LIMITS = tuple(
    LevelLimits(level=level, feature_bits=Decimal(3), family_bits=Decimal("3.5"))
    for level in range(1, 5)
)
"""A family tells eleven cells apart: two cuts are five, and a class is three."""


class Asker:
    """A bank that asks of a firm's VAT and of its grade, by templates approved as they are then."""

    def __init__(self, room: Sample, enclave: EnclaveHarness) -> None:
        self.room, self.enclave, self.templates = room, enclave, 0

    def call(self, family: str, *names: str) -> None:
        """Have the owner put features into a family."""
        for name in names:
            current = self.room.world.features[FeatureRef("tax", name)].definition
            fields = current.model_dump() | {"version": current.version + 1, "family": family}
            self.room.tax.define(Feature.model_validate(fields))

    def ask(self, check: str) -> Truth | Reason:
        """Ask, having asked for the price before: it says the same."""
        self.templates += 1
        asked = self.room.approved(f"asked-{self.templates}", check)
        self.enclave.follow()
        question = self.room.question(1, asked=asked)
        judged = self.enclave.judge(self.room.bank.cost_request(question))
        verdict = self.enclave.ask(question)
        assert load(judged.entry.statement, CostEstimate).refused is verdict.reason
        return verdict.truth or verdict.reason or Reason.INTERNAL

    def vat(self, place: int) -> Truth | Reason:
        return self.ask(f"tax.vat_paid >= {VAT_GRID[place]}")

    def grade(self) -> Truth | Reason:
        return self.ask("tax.rating = 'A'")


@pytest.fixture
def asker(tmp_path: Path) -> Iterator[Asker]:
    """Have both features in one family."""
    room = sample(limits=LIMITS)
    enclave = EnclaveHarness(room.tax, tmp_path)
    room.consent(1)
    enclave.load({"firms": tax_csv(room.world)})
    asker = Asker(room, enclave)
    asker.call("payments", "vat_paid", "rating")
    yield asker
    enclave.close()


def test_a_family_that_gets_another_name_keeps_what_was_spent(asker: Asker) -> None:
    assert (asker.vat(3), asker.vat(1)) == (Truth.NO, Truth.YES)
    assert asker.grade() is Reason.OVER_BUDGET
    asker.call("solvency", "vat_paid", "rating")
    assert asker.grade() is Reason.OVER_BUDGET
    asker.enclave.restart()
    assert asker.grade() is Reason.OVER_BUDGET


def test_two_families_that_become_one_have_spent_together(asker: Asker) -> None:
    """As an owner does who finds that they tell of the same thing."""
    asker.call("grades", "rating")
    assert (asker.vat(3), asker.vat(1)) == (Truth.NO, Truth.YES)
    asker.call("grades", "vat_paid")
    assert asker.grade() is Reason.OVER_BUDGET


def test_a_feature_that_leaves_its_family_leaves_behind_what_was_spent(asker: Asker) -> None:
    assert asker.vat(3) is Truth.NO
    for family in ("sales", "turnover"):
        asker.call(family, "vat_paid")
        assert asker.vat(1) is Truth.YES
    assert asker.grade() is Reason.OVER_BUDGET
