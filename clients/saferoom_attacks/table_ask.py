"""What an attack on tables asks, what it is told, and the gate that its control is.

A gate at home counts and adds up as an owner would who had few rules or none; each attack's control
is one of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import combinations
from typing import Final, Protocol

from saferoom_attacks.books import SALES, Book, Row, size_of
from saferoom_proto.statements import Aggregate, MeasureKind, TableMeasure
from saferoom_proto.statements.aggregate import Privacy, TableRules

THRESHOLD: Final = 10
"""The room's: no number about fewer (saferoom_proto.tables.rules)."""
BASE: Final = 5
HIGHEST: Final = size_of(40)
"""The upper bound of what is added up: above all there is."""

Cell = tuple[tuple[str, ...], tuple[int, ...]]
"""A margin's columns by name, and the class of each by its number."""
Sheet = Mapping[Cell, float]
"""The numbers that were told, as they were rounded."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A template of tables.

    Attributes:
        columns: its dimensions.
        ways: margins of up to so many of them are told.
        added: sales are added up; else firms are counted.
        base: what counts are rounded to multiples of.
        only: the margins that are told, instead of all.
        privacy: noise in the place of rules.
        number: tells plans apart that ask the same.
        common: whoever asks, asks by the one template that the first bank proposed.
    """

    columns: tuple[Book, ...]
    ways: int
    added: bool = False
    base: int = BASE
    only: tuple[tuple[Book, ...], ...] = ()
    privacy: Privacy | None = None
    number: int = 0
    common: bool = False

    @property
    def margins(self) -> list[tuple[Book, ...]]:
        """All its margins, the total first."""
        return list(self.only) or [
            margin for ways in range(self.ways + 1) for margin in combinations(self.columns, ways)
        ]


class TableOracle(Protocol):
    """Answers who asks for tables: the room, or a gate that lacks something."""

    @property
    def asked(self) -> int:
        """How many requests for tables there were."""
        ...

    def tell(self, bank: str, plan: Plan) -> Sheet:
        """Have a template proposed and approved, and ask by it; nothing if all is refused."""
        ...

    def next_period(self, firms: Sequence[Row]) -> None:
        """Have the owner load its next records."""
        ...


@dataclass(frozen=True, slots=True)
class HomeRules:
    """Which rules a gate at home has.

    Attributes:
        threshold: small cells are withheld; nothing else for their sake.
        waits: tables of the next records are not told so soon.
    """

    threshold: bool = True
    waits: bool = False


class HomeGate:
    """Tells tables by few rules.

    Args:
        firms: the records.
        rules: which rules it has.
    """

    def __init__(self, firms: Sequence[Row], rules: HomeRules) -> None:
        self._firms: Sequence[Row] = firms
        self._rules: Final = rules
        self._count = 0

    @property
    def asked(self) -> int:
        """How many requests for tables there were."""
        return self._count

    def tell(self, bank: str, plan: Plan) -> Sheet:
        """Count or add up, round, and withhold what is small."""
        del bank
        self._count += 1
        told: dict[Cell, float] = {}
        for margin in plan.margins:
            exact, counts = summed(self._firms, margin, plan.added), counted(self._firms, margin)
            for cell, number in exact.items():
                if counts[cell] >= THRESHOLD or not self._rules.threshold:
                    told[cell] = number if plan.added else rounded(number, plan.base)
        return told

    def next_period(self, firms: Sequence[Row]) -> None:
        """Load the next records."""
        self._firms = firms


def rounded(number: float, base: int) -> float:
    """Round to the nearest multiple, half of it up."""
    return (number + base / 2) // base * base


def counted(firms: Iterable[Row], margin: Sequence[Book]) -> dict[Cell, float]:
    """Count firms in each of a margin's cells that has any."""
    return summed(firms, margin, added=False)


def summed(firms: Iterable[Row], margin: Sequence[Book], added: bool) -> dict[Cell, float]:
    """Add sales up, or count, in each of a margin's cells that has any firm."""
    names = tuple(book.name for book in margin)
    found: dict[Cell, float] = {}
    for firm in firms:
        cell = (names, tuple(book.code(firm) for book in margin))
        found[cell] = found.get(cell, 0.0) + (firm[SALES.column] if added else 1)
    return found


def aggregate_of(plan: Plan) -> Aggregate:
    """Write a plan as a template has it."""
    measure = TableMeasure(kind=MeasureKind.COUNT)
    if plan.added:
        measure = TableMeasure(
            kind=MeasureKind.SUM, of=str(SALES.ref), low=Decimal(0), high=Decimal(HIGHEST)
        )
    margins = tuple(tuple(str(book.ref) for book in margin) for margin in plan.only)
    return Aggregate(
        dimensions=tuple(str(book.ref) for book in plan.columns),
        measures=(measure,),
        ways=None if margins else plan.ways,
        margins=margins,
        rules=TableRules() if plan.privacy else TableRules(base=plan.base),
        privacy=plan.privacy,
    )
