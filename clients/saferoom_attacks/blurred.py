"""Firms of which tables with noise are told, and gates whose noise protects too little.

168 firms in 56 blocks of three, of which the first is a target. What is attacked is one flag of
each. Everything else is known to everybody, as differential privacy takes it for known.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from random import Random
from typing import Final, Protocol

import numpy as np

from saferoom_attacks.books import GROUPS, Book, Row
from saferoom_attacks.table_ask import Cell, Plan, Sheet, aggregate_of, counted
from saferoom_proto.formula import FeatureKind
from saferoom_proto.tables.asked import plan_of
from saferoom_proto.tables.privacy import COUNTS, noise_of

OWNER: Final = "blurred"
IN_BLOCK: Final = 3
STREETS: Final = GROUPS - 1
ELSEWHERE: Final = STREETS
"""The lane of every target."""
_EXACT: Final = 0.01
"""The width of noise that rounds to none."""


def _of(kind: FeatureKind, name: str, many: int = GROUPS) -> Book:
    return Book(name, name, kind, owner=OWNER, many=many)


STREET: Final = _of(FeatureKind.CLASSES, "street", STREETS)
HOUSE, GUILD, CROP, LANE = (
    _of(FeatureKind.CLASSES, name) for name in ("house", "guild", "crop", "lane")
)
LISTED: Final = _of(FeatureKind.FLAG, "listed")
BLURRED: Final = (STREET, HOUSE, GUILD, CROP, LANE, LISTED)


def blurred_rows(seed: int) -> list[Row]:
    """Make the firms, block by block, a target first in each."""
    dice = Random(f"blurred {seed}")  # noqa: S311 -- an experiment's, to be repeated
    firms: list[Row] = []
    for number in range(STREETS * GROUPS * IN_BLOCK):
        block, place = divmod(number, IN_BLOCK)
        street, house = divmod(block, GROUPS)
        firms.append(
            {
                "street": street,
                "house": house,
                "guild": dice.randrange(GROUPS),
                "crop": dice.randrange(GROUPS),
                "lane": street if place else ELSEWHERE,
                "listed": dice.randrange(2),
            }
        )
    return firms


class NoiseOracle(Protocol):
    """Tells tables with noise: a room, an enclave's own code, or a gate that lacks something."""

    @property
    def asked(self) -> int:
        """How many requests for tables there were."""
        ...

    @property
    def charged(self) -> Mapping[str, Decimal]:
        """The epsilon that each group was charged so far."""
        ...

    @property
    def firms(self) -> Sequence[Row]:
        """The records."""
        ...

    def tell(self, bank: str, plan: Plan) -> Sheet:
        """Ask; nothing if it is refused."""
        ...

    def width(self, plan: Plan) -> float:
        """Tell the scale of the noise, which everybody knows by the plan."""
        ...


def width_of(plan: Plan) -> float:
    """Give the scale of the counts' noise, as whoever reads the plan reckons it."""
    shapes = {book.ref: book.shape for book in BLURRED}
    asked = aggregate_of(plan)
    if asked.privacy is None:
        return _EXACT
    return float(noise_of(plan_of(asked, shapes, 1), asked.privacy.epsilon)[COUNTS].scale)


@dataclass(frozen=True, slots=True)
class Blur:
    """How a gate at home makes its noise.

    Attributes:
        anew: for every answer.
        for_each: for every bank.
        fixed: as wide as this, whatever the plan; none for as wide as the plan says.
    """

    anew: bool = False
    for_each: bool = False
    fixed: float | None = None


class HomeBlur:
    """Tells tables with noise, keeps no ledger of them, and lacks what `Blur` says.

    Args:
        firms: the records.
        blur: how its noise is made.
        seed: of its dice.
    """

    def __init__(self, firms: Sequence[Row], blur: Blur, seed: int) -> None:
        self.firms: Final = firms
        self._blur: Final = blur
        self._dice: Final = np.random.default_rng(seed)
        self._kept: Final[dict[tuple[str, Plan], Sheet]] = {}
        self._count = 0

    @property
    def asked(self) -> int:
        """How many requests for tables there were."""
        return self._count

    @property
    def charged(self) -> Mapping[str, Decimal]:
        """It charges nothing."""
        return {}

    def width(self, plan: Plan) -> float:
        """Tell the scale of the noise."""
        return width_of(plan) if self._blur.fixed is None else self._blur.fixed

    def tell(self, bank: str, plan: Plan) -> Sheet:
        """Count, and blur."""
        self._count += 1
        place = (bank if self._blur.for_each else "", plan)
        if place not in self._kept or self._blur.anew:
            self._kept[place] = self._made(plan)
        return self._kept[place]

    def _made(self, plan: Plan) -> Sheet:
        cells = [each for margin in plan.margins for each in cells_of(self.firms, margin)]
        # A discrete Laplace is the difference of two geometric ones.
        stop = 1 - math.exp(-1 / self.width(plan))
        noise = self._dice.geometric(stop, len(cells)) - self._dice.geometric(stop, len(cells))
        return {cell: count + int(each) for (cell, count), each in zip(cells, noise, strict=True)}


def cells_of(firms: Sequence[Row], margin: Sequence[Book]) -> list[tuple[Cell, float]]:
    """Count all cells of a margin, those without a firm too."""
    names = tuple(book.name for book in margin)
    found = counted(firms, margin)
    shape = [book.many if book.kind is FeatureKind.CLASSES else 2 for book in margin]
    return [((names, codes), found.get((names, codes), 0.0)) for codes in np.ndindex(*shape)]
