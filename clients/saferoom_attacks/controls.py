"""Gates with another weakness than a rule that is missing: each gives one attack its control."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from random import Random
from typing import Final

from saferoom_attacks.ask import NONE, Question, Row, Told, typical
from saferoom_attacks.firms import EVERY, Record
from saferoom_attacks.model import GateModel
from saferoom_proto.answer import Truth
from saferoom_proto.reasons import Reason

SPREAD: Final = 4.0
"""The scale of the noise: as wide as a cell of the grid."""
LEAST_LEFT: Final = 8
"""How many records an auditing gate wants to stay possible."""


def noisy_yes(amount: int, least: int) -> float:
    """Give how likely an amount with logistic noise reaches a threshold."""
    return 1 / (1 + math.exp((least - amount - 0.5) / SPREAD))


class NoisyGate(GateModel):
    """Adds noise to an amount before it compares, drawn anew for each answer.

    One answer then tells little. That the noise is not the same for the same question is what
    averaging lives on: H. J. Asghar and D. Kaafar, "Averaging attacks on bounded noise-based
    disclosure control algorithms", PETS 2020.
    """

    def __init__(self, firms: Mapping[str, Record], chance: Random) -> None:
        super().__init__(firms, NONE)
        self._firms_held: Final = firms
        self._chance: Final = chance

    def ask(self, bank: str, rows: Sequence[Row]) -> list[Told]:
        """Answer comparisons, each with its own noise."""
        told = super().ask(bank, rows)
        return [self._blurred(*row, one) for row, one in zip(rows, told, strict=True)]

    def _blurred(self, subject: str, question: Question, told: Told) -> Told:
        amount, params = self._firms_held[subject].amount, dict(question.params)
        if amount is None or "least" not in params:
            return told
        above = self._chance.random() < noisy_yes(amount, int(params["least"]))
        return Truth.YES if above is not question.template.endswith("below") else Truth.NO


class AuditingGate(GateModel):
    """Refuses a question whose true answer would leave too few records possible.

    That looks careful, and is what Kenthapadi, Mishra and Nissim ("Simulatable auditing", PODS
    2005) warn of: the refusal itself depends on the record, and so tells of it.
    """

    def __init__(self, firms: Mapping[str, Record]) -> None:
        super().__init__(firms, NONE)
        self._typical: Final = GateModel(typical(), NONE)
        self._left: Final[dict[tuple[str, str], frozenset[int]]] = {}

    def ask(self, bank: str, rows: Sequence[Row]) -> list[Told]:
        """Answer what leaves enough."""
        told = super().ask(bank, rows)
        return [self._audited(bank, *row, one) for row, one in zip(rows, told, strict=True)]

    def _audited(self, bank: str, subject: str, question: Question, told: Told) -> Told:
        left = self._left.get((bank, subject), frozenset(range(len(EVERY))))
        after = frozenset(
            n for n in left if self._typical.ask(bank, [(str(n), question)]) == [told]
        )
        if len(after) < LEAST_LEFT:
            return Reason.OVER_BUDGET
        self._left[bank, subject] = after
        return told


class TellingGate(GateModel):
    """Says of whom the store has no row that it does not know it: an error that seems harmless."""

    def __init__(self, firms: Mapping[str, Record]) -> None:
        super().__init__(firms, NONE)
        self._held: Final = {subject for subject, record in firms.items() if record.held}

    def ask(self, bank: str, rows: Sequence[Row]) -> list[Told]:
        """Answer; whoever is not in the store is malformed."""
        told = super().ask(bank, rows)
        return [
            one if subject in self._held else Reason.MALFORMED_SUBJECT
            for (subject, _), one in zip(rows, told, strict=True)
        ]
