"""A release plan: all that is to leave about one owner's subjects in one epoch, said beforehand.

There are no ad-hoc filters. A plan names dimensions with published classes, measures, and the
margins to be shown; everything it asks is protected together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements.aggregate import MAX_DIMENSIONS, MAX_WAYS, MeasureKind
from saferoom_proto.tables.rules import malformed

MAX_CELLS: Final = 20_000
"""Most cells of a plan, over all its tables (issue 6)."""

MIN_CLASSES: Final = 2
"""Fewest classes of a dimension: one class alone says nothing."""

MAX_CLASSES: Final = 120
"""Most classes of a dimension. A subject's class is kept in one signed byte."""

Margin = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Dimension:
    """A published partition of all subjects into classes, such as a feature's cells.

    Every subject is in exactly one class; where a feature can be unknown, "unknown" is a class.
    """

    name: str
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        if not MIN_CLASSES <= len(self.classes) <= MAX_CLASSES:
            raise malformed(self.name, f"{MIN_CLASSES} to {MAX_CLASSES} classes are expected")
        if len(set(self.classes)) != len(self.classes):
            raise malformed(self.name, "each class has a name of its own")


@dataclass(frozen=True, slots=True)
class Variable:
    """An amount that can be added up, clipped to bounds that are published with it."""

    name: str
    low: float
    high: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise malformed(self.name, "two finite bounds are expected, the lower first")


@dataclass(frozen=True, slots=True)
class Measure:
    """One thing that is told of each cell.

    Attributes:
        kind: what.
        of: the variable of a sum or mean; the dimension of a share or histogram; else empty.
        classes: which of the dimension's classes a share is of; else empty.
    """

    kind: MeasureKind
    of: str = ""
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if (self.kind is MeasureKind.COUNT) == bool(self.of):
            raise malformed(self.kind, "a count is of nothing, and all else of something")
        if (self.kind is MeasureKind.SHARE) != bool(self.classes):
            raise malformed(self.kind, "a share names classes, and nothing else does")

    def told_in(self, margin: Margin) -> Margin:
        """Give the dimensions of its table of a margin: a histogram's own is the last."""
        own = self.kind is MeasureKind.HISTOGRAM and self.of not in margin
        return (*margin, self.of) if own else margin


@dataclass(frozen=True, slots=True)
class ReleasePlan:
    """Dimensions, variables, measures, margins, and the epoch that they are about.

    Attributes:
        dimensions: those of margins, shares and histograms.
        variables: those of sums and means.
        measures: what is told of every cell of every margin.
        margins: names of up to three dimensions each; the empty one is the total.
        epoch: of the owner's store.
    """

    dimensions: tuple[Dimension, ...]
    variables: tuple[Variable, ...]
    measures: tuple[Measure, ...]
    margins: tuple[Margin, ...]
    epoch: int

    def __post_init__(self) -> None:
        names = [each.name for each in (*self.dimensions, *self.variables)]
        if len(set(names)) != len(names):
            raise malformed("dimensions", "every dimension and variable has a name of its own")
        if not 1 <= len(self.dimensions) <= MAX_DIMENSIONS:
            raise malformed("dimensions", f"1 to {MAX_DIMENSIONS} are expected")
        if not self.measures or len(set(self.measures)) != len(self.measures):
            raise malformed("measures", "at least one is expected, and none twice")
        if not self.margins or len({frozenset(each) for each in self.margins}) != len(self.margins):
            raise malformed("margins", "at least one is expected, and none twice")
        for margin in self.margins:
            self._check_margin(margin)
        for measure in self.measures:
            self._check_measure(measure)
        if self.cells > MAX_CELLS:
            raise SafeRoomError(
                Reason.TOO_LARGE, f"the plan asks for {self.cells} cells, {MAX_CELLS} at most"
            )

    @property
    def cells(self) -> int:
        """How many cells its tables have; a sum and a mean of one variable share theirs."""
        by_name = {each.name: len(each.classes) for each in self.dimensions}
        tables = [self.count_margins(), *(self.margins for _ in self.summed())]
        return sum(
            math.prod(by_name[name] for name in margin) for each in tables for margin in each
        )

    @property
    def numbers(self) -> int:
        """How many numbers its tables show at most, each measure in each of its cells."""
        by_name = {each.name: len(each.classes) for each in self.dimensions}
        return sum(
            math.prod(by_name[name] for name in told)
            for measure in self.measures
            for told in map(measure.told_in, self.margins)
        )

    def dimension(self, name: str) -> Dimension:
        """Give a dimension by its name."""
        for each in self.dimensions:
            if each.name == name:
                return each
        raise SafeRoomError(Reason.UNKNOWN_FEATURE, f"the plan has no dimension {name}")

    def summed(self) -> tuple[Variable, ...]:
        """Give the variables that are added up."""
        used = {
            each.of for each in self.measures if each.kind in {MeasureKind.SUM, MeasureKind.MEAN}
        }
        return tuple(each for each in self.variables if each.name in used)

    def count_margins(self) -> tuple[Margin, ...]:
        """Give the margins that subjects are counted in, for any of the measures.

        A share and a histogram count in one dimension more; a share and a mean have the count of
        the cell beneath them.
        """
        found: dict[frozenset[str], Margin] = {}
        for measure in self.measures:
            for margin in self.margins:
                if measure.kind is not MeasureKind.SUM:
                    found.setdefault(frozenset(margin), margin)
                if (
                    measure.kind in {MeasureKind.SHARE, MeasureKind.HISTOGRAM}
                    and measure.of not in margin
                ):
                    wider = (*margin, measure.of)
                    found.setdefault(frozenset(wider), wider)
        return tuple(found.values())

    def _check_margin(self, margin: Margin) -> None:
        if len(margin) > MAX_WAYS or len(set(margin)) != len(margin):
            raise malformed("margins", f"up to {MAX_WAYS} dimensions are expected, and none twice")
        for name in margin:
            self.dimension(name)

    def _check_measure(self, measure: Measure) -> None:
        if measure.kind in {MeasureKind.SUM, MeasureKind.MEAN}:
            if measure.of not in {each.name for each in self.variables}:
                raise SafeRoomError(
                    Reason.UNKNOWN_FEATURE, f"the plan has no variable {measure.of}"
                )
        elif measure.kind is not MeasureKind.COUNT:
            known = self.dimension(measure.of).classes
            if not set(measure.classes) <= set(known) or len(measure.classes) == len(known):
                raise malformed(
                    "classes", "some of the dimension's classes are expected, and not all"
                )


def every_margin(names: Sequence[str], ways: int) -> tuple[Margin, ...]:
    """Name all margins of up to so many ways, the total first."""
    return tuple(
        margin for size in range(min(ways, len(names)) + 1) for margin in combinations(names, size)
    )
