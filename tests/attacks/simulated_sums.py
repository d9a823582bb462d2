"""Scores of three owners' enclaves in this process, about firms that one of them knows."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from saferoom_attacks.score_attacks import AMOUNTS, TEMPLATES
from saferoom_proto.answer import Band
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.shares import MODULUS, Share
from simulator.sample import Approved, Firm, tax_csv
from tests.enclaves.test_scores_of_owners import CONSENTED, Summed, opened_summed

FIRST = 101
"""The first of the firms that are attacked."""
STEP = 6_000
"""Between two amounts: all of them are within a few standard deviations of the mean."""


@dataclass
class SimSums:
    """Asks all three enclaves, and adds up as a bank does."""

    summed: Summed
    asked: int = 0
    made: list[Approved] = field(default_factory=list[Approved])

    def left_over(self, firm: int, template: int) -> int | None:
        # The court and the water works know nothing of these firms: theirs are the same of all.
        told = self._told(firm, self.made[template])
        return None if told is None else told.number

    def complains(self, firm: int, shift: int) -> bool:
        shares = self._shares(firm, self.made[0])
        assert isinstance(shares, dict)
        court = shares["court"]
        shares["court"] = Share((court.value + shift) % MODULUS)
        try:
            self.summed.certificate.fold(list(shares.values()))
        except SafeRoomError as error:
            assert error.reason is Reason.BAD_PROOF
            return True
        return False

    def _told(self, firm: int, asked: Approved) -> Band | None:
        shares = self._shares(firm, asked)
        if not isinstance(shares, dict):
            return None
        told = self.summed.certificate.fold(list(shares.values()))
        assert isinstance(told, Band)
        return told

    def _shares(self, firm: int, asked: Approved) -> dict[str, Share] | Reason:
        self.asked += 1
        verdicts = self.summed.of.ask(self.summed.question(FIRST + firm, asked))
        refused = [each.reason for each in verdicts.values() if each.reason is not None]
        if refused:
            return refused[0]
        return {owner: each.share for owner, each in verdicts.items() if each.share is not None}


@contextmanager
def simulated_sums(folder: Path) -> Generator[SimSums]:
    """Open three enclaves, of which the tax office's knows the firms that are attacked."""
    summed = opened_summed(folder)
    of, world = summed.of, summed.of.room.world
    firms = {FIRST + at: Firm(str(STEP * at), arrears=False, rating="A") for at in range(AMOUNTS)}
    try:
        of.enclaves["tax"].load({"firms": tax_csv(world, firms)})
        for serial in firms:
            world.subject(serial).give(of.room.bank, CONSENTED)
        made = [
            summed.approved(edges=tuple(Decimal(at - 2) / 2 + each for each in (0, 1)))
            for at in range(TEMPLATES)
        ]
        of.follow()
        yield SimSums(summed, made=made)
    finally:
        of.close()
