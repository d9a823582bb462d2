"""What banks ask in a month fits the limits that a charter's draft has."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from decimal import Decimal

import pytest

from saferoom_client.cli.charter import LIMITS
from saferoom_proto.answer import Truth
from saferoom_proto.batch import Row
from saferoom_proto.formula import FeatureRef
from saferoom_proto.reasons import Reason
from saferoom_proto.statements import Feature, LevelLimits
from simulator import Approved, EnclaveHarness, Firm, Sample, sample, tax_csv
from simulator.batch import ask_batch, batch_of
from simulator.sample import VAT_GRID

FIRMS = {
    serial: Firm(str(60_000 * serial), arrears=serial == 7, rating="ABCD"[serial % 4])
    for serial in range(1, 51)
}
"""Fifty firms, one of them (2 %) with arrears; of firm 60 nothing is known."""
ASKED = (1, 7, 24, 60)
CHECKS = {
    "arrears": "tax.arrears IS TRUE",
    "at least": "tax.vat_paid >= :min_vat",
    "good grade": "tax.rating IN ('A', 'B')",
    "best grade": "tax.rating = 'A'",
    "sound": "tax.vat_paid >= :min_vat AND tax.arrears IS FALSE AND tax.rating IN ('A', 'B')",
    "public": "tax.registered",
}


@dataclass(slots=True)
class Office:
    """The tax office under the draft's limits, and what a bank asks it."""

    said: Sample
    enclave: EnclaveHarness
    checks: dict[str, Approved]

    def told(self, name: str, serial: int, value: str = VAT_GRID[1]) -> Truth | Reason:
        verdict = self.enclave.ask(self.said.question(serial, value, self.checks[name]))
        return verdict.truth or verdict.reason or Reason.INTERNAL

    def band(self, serial: int) -> int | None:
        """Halve until the band is known; none where nothing is held."""
        low, high = 0, len(VAT_GRID)
        while low < high:
            middle = (low + high) // 2
            match self.told("at least", serial, VAT_GRID[middle]):
                case Truth.YES:
                    low = middle + 1
                case Truth.NO:
                    high = middle
                case Truth.NOT_FOUND:
                    return None
                case refused:
                    raise AssertionError(refused)
        return low


@pytest.fixture
def office(tmp_path_factory: pytest.TempPathFactory) -> Generator[Office]:
    limits = tuple(
        LevelLimits(level=level, feature_bits=Decimal(one), family_bits=Decimal(many))
        for level, (one, many) in enumerate(LIMITS, start=1)
    )
    said = sample("everyday", limits=limits)
    vat = said.world.features[FeatureRef("tax", "vat_paid")].definition
    whole = {"version": 2, "budget_bits": Decimal("3.17")}  # the whole grid, and "not found"
    said.tax.define(Feature.model_validate(vat.model_dump() | whole))
    checks = {name: said.approved(name.replace(" ", "-"), check) for name, check in CHECKS.items()}
    for serial in ASKED:
        said.consent(serial)
    enclave = EnclaveHarness(said.tax, tmp_path_factory.mktemp("everyday"))
    try:
        enclave.load({"firms": tax_csv(said.world, FIRMS)})
        enclave.follow()
        yield Office(said, enclave, checks)
    finally:
        enclave.close()


def test_a_months_everyday_questions_fit_the_draft_of_a_charter(office: Office) -> None:
    # Before a loan: the rare flag, the band, the grade, and all in one.
    assert [office.told("arrears", serial) for serial in ASKED] == [
        Truth.NO,
        Truth.YES,
        Truth.NO,
        Truth.NO,
    ]
    assert [office.band(serial) for serial in ASKED] == [2, 3, 5, None]
    for name in ("good grade", "best grade", "public"):
        assert all(isinstance(office.told(name, serial), Truth) for serial in ASKED), name
    # Every working day of the month the borrowers again, one by one and as a portfolio: free.
    rows = [Row(office.said.world.subject(serial).uscc) for serial in ASKED]
    for day in range(22):
        value = VAT_GRID[day % len(VAT_GRID)]
        assert all(isinstance(office.told("sound", serial, value), Truth) for serial in ASKED)
    batch = batch_of(office.said.bank, office.checks["sound"], rows, ({"min_vat": VAT_GRID[4]},))
    word = ask_batch(office.enclave, batch)
    assert word.release.answered == len(ASKED)
    assert all(before == after for each in word.records for before, after in each.charges)
    # The next month's load is another period, and all of it goes again.
    office.enclave.load({"firms": tax_csv(office.said.world, FIRMS)})
    office.enclave.follow()
    assert [office.band(serial) for serial in ASKED] == [2, 3, 5, None]
    assert isinstance(office.told("sound", 1), Truth)


@pytest.mark.soak
def test_a_flag_is_watched_for_a_year_of_monthly_loads(office: Office) -> None:
    months = 0
    while office.told("arrears", 1) is Truth.NO:
        months += 1
        office.enclave.load({"firms": tax_csv(office.said.world, {1: FIRMS[1]})})
        office.enclave.follow()
    assert months == 12
    assert office.told("arrears", 1) is Reason.OVER_BUDGET
    # Another feature is of another family, with a cap of its own.
    assert office.told("best grade", 1) is Truth.NO
