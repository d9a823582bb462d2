"""What both sides of an alignment hold to before the first message."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from saferoom_models.refusals import JointTrainingError, Refusal

FEWEST_ITEMS: Final = 100
"""A label side's set may not be smaller: with one subject in it, the intersection tells whether the
room holds that subject."""
MOST_ITEMS: Final = 1_000_000
"""A message of so many points has 32 MB."""

_HEX: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class AlignmentTerms:
    """The terms of one alignment.

    Attributes:
        job: 32 bytes in hexadecimal, of this job and no other: identifiers become other points
            under another one, so that two jobs' messages cannot be compared.
        label_items: the size of the label side's set.
        room_most: the most subjects that the room may bring.
    """

    job: str
    label_items: int
    room_most: int = MOST_ITEMS

    def __post_init__(self) -> None:
        """Refuse terms that this protocol is not for."""
        if self.label_items < FEWEST_ITEMS:
            raise JointTrainingError(
                Refusal.TOO_FEW_ROWS, f"{self.label_items} subjects; at least {FEWEST_ITEMS}"
            )
        for name, fine in (
            ("job", _HEX.fullmatch(self.job) is not None),
            ("label_items", self.label_items <= MOST_ITEMS),
            ("room_most", 1 <= self.room_most <= MOST_ITEMS),
        ):
            if not fine:
                raise JointTrainingError(Refusal.BAD_TERMS, f"{name}: {getattr(self, name)!r}")


def check_identifiers(identifiers: Sequence[str], most: int) -> None:
    """Check a side's own identifiers: some, not too many, none empty or twice.

    Raises:
        JointTrainingError: `BAD_IDENTIFIERS`.
    """
    if not 1 <= len(identifiers) <= most:
        raise JointTrainingError(
            Refusal.BAD_IDENTIFIERS, f"{len(identifiers)} subjects; 1 to {most} are right"
        )
    if len(set(identifiers)) != len(identifiers) or not all(identifiers):
        raise JointTrainingError(Refusal.BAD_IDENTIFIERS, "a subject twice, or without a name")
