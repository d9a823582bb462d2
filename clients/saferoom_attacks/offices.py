"""Four owners of whom sums are told, and gates that tell an owner's own numbers.

What is attacked is how many firms one owner has in each cell; all that is told is the total.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final, Protocol

from saferoom_proto.shares import MODULUS

OWNERS: Final = ("east", "north", "south", "west")
TARGET: Final = OWNERS[0]
OTHERS: Final = OWNERS[1:]
STREETS, HOUSES = 7, 8
VALUES: Final = 8
"""How many firms an owner can have in a cell: none to seven, each as likely."""
Place = tuple[int, int]
"""A street and a house: a cell."""
Counts = Mapping[Place, float]


@dataclass(frozen=True, slots=True)
class Added:
    """What a bank was told of a sum.

    Attributes:
        total: of each cell, with all owners' noise.
        shares: of each owner and cell, as they were sealed to the bank.
    """

    total: Counts
    shares: Mapping[str, Mapping[Place, int]]


class SumOracle(Protocol):
    """Tells sums over owners, and tables of an owner alone: a room, or a gate that lacks a rule."""

    @property
    def asked(self) -> int:
        """How many requests there were."""
        ...

    def add_up(self, bank: str, owners: Sequence[str]) -> Added | None:
        """Ask for the sum over these owners; none if it is refused."""
        ...

    def alone(self, bank: str, owner: str) -> Counts | None:
        """Ask for the tables of one owner; none if they are refused."""
        ...


def figures_of(seed: int) -> dict[str, dict[Place, int]]:
    """Make up how many firms each owner has in each cell."""
    dice = Random(f"sums {seed}")  # noqa: S311 -- an experiment's, to be repeated
    places = [(street, house) for street in range(STREETS) for house in range(HOUSES)]
    return {owner: {each: dice.randrange(VALUES) for each in places} for owner in OWNERS}


class HomeSums:
    """Tells exact sums, and lacks a rule.

    Args:
        seed: of the figures.
        hides: shares are hidden.
        apart: what one owner alone, or fewer owners, would tell beside a sum is refused.
    """

    def __init__(self, seed: int, *, hides: bool, apart: bool) -> None:
        self._figures: Final = figures_of(seed)
        self._dice: Final = Random(f"shares {seed}")  # noqa: S311 -- as above
        self._hides: Final = hides
        self._apart: Final = apart
        self._told: Final[set[tuple[str, ...]]] = set()
        self._count = 0

    @property
    def asked(self) -> int:
        """How many requests there were."""
        return self._count

    def add_up(self, bank: str, owners: Sequence[str]) -> Added | None:
        """Add up."""
        del bank
        if not self._allows(owners):
            return None
        shares = {owner: dict(self._figures[owner]) for owner in owners}
        total = {
            place: float(sum(each[place] for each in shares.values()))
            for place in shares[owners[0]]
        }
        if self._hides:
            for place in total:
                masks = [self._dice.randrange(MODULUS) for _ in owners[1:]]
                for owner, mask in zip(owners, (-sum(masks), *masks), strict=True):
                    shares[owner][place] = (shares[owner][place] + mask) % MODULUS
        return Added(total, shares)

    def alone(self, bank: str, owner: str) -> Counts | None:
        """Count at one owner."""
        del bank
        return dict(self._figures[owner]) if self._allows([owner]) else None

    def _allows(self, owners: Sequence[str]) -> bool:
        self._count += 1
        if self._apart and self._told - {tuple(owners)}:
            return False
        self._told.add(tuple(owners))
        return True
