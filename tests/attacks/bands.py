"""A room whose firms stand in every cell of one feature's grid, for attacks on a single value."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final

from saferoom_proto.answer import Truth
from saferoom_proto.formula import FeatureRef
from saferoom_proto.reasons import Reason
from saferoom_proto.statements import Feature, LevelLimits
from simulator import Approved, EnclaveHarness, Firm, Sample, SimBank, sample, tax_csv
from simulator.harness import Verdict
from simulator.sample import VAT_GRID

VAT: Final = FeatureRef("tax", "vat_paid")
VALUES: Final = ("123", "23456", "67890", "345678", "765432", "4321098", "7654321", "98765432", "")
"""A firm in each of the grid's eight cells, and one of which nothing is known."""
FIRMS: Final = {
    serial: Firm(value, arrears=False, rating="A") for serial, value in enumerate(VALUES, start=1)
}
GRID: Final = VAT_GRID
LIMITS: Final = tuple(
    LevelLimits(level=level, feature_bits=Decimal(4), family_bits=Decimal(12))
    for level in (1, 2, 3, 4)
)
"""Wide, so that the feature's own budget is what counts."""


@dataclass(slots=True)
class Bands:
    """The room, its enclave, and a check that compares with one threshold."""

    said: Sample
    enclave: EnclaveHarness
    check: Approved

    def ask(self, serial: int, threshold: str, bank: SimBank | None = None) -> Verdict:
        """Ask whether a firm's value is at least a threshold."""
        asker = bank or self.said.bank
        subject = self.said.world.subject(serial)
        question = asker.request(
            subject, self.check.template, self.check.certificate, {"least": threshold}
        )
        return self.enclave.ask(question)

    def told(self, serial: int, threshold: str, bank: SimBank | None = None) -> Truth | Reason:
        """Give the answer, or why there is none."""
        verdict = self.ask(serial, threshold, bank)
        return verdict.truth or verdict.reason or Reason.INTERNAL

    def join(self, names: Sequence[str], group: str | None = None) -> list[SimBank]:
        """Let more banks ask about every firm: of one collusion group, or each of its own."""
        banks = [self.said.world.bank(name) for name in names]
        for bank in banks:
            self.said.tax.agree(bank, group=group)
            for serial in FIRMS:
                self.said.consent(serial, bank)
        self.enclave.follow()
        return banks


@contextmanager
def bands(folder: Path, budget_bits: str) -> Generator[Bands]:
    """Open the room with a budget, in bits, for the feature and period."""
    said = sample(budget_bits, limits=LIMITS)
    current = said.world.features[VAT].definition
    changes = {"version": current.version + 1, "budget_bits": Decimal(budget_bits)}
    said.tax.define(Feature.model_validate(current.model_dump() | changes))
    template, certificate = said.bank.propose("least", "tax.vat_paid >= :least")
    said.tax.approve(template, certificate.digest)
    for serial in FIRMS:
        said.consent(serial)
    harness = EnclaveHarness(said.tax, folder)
    try:
        harness.load({"firms": tax_csv(said.world, FIRMS)})
        harness.follow()
        yield Bands(said, harness, Approved(template, certificate))
    finally:
        harness.close()
