"""What leaves: rounded numbers, and the one word WITHHELD for all that does not.

A table says nothing of why a cell is withheld. A mean and a share need both the numbers they are
made of, and are withheld where one of them is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final

import numpy as np

from saferoom_enclaves.statistics.lattice import Axes, Flags, Floats
from saferoom_enclaves.statistics.protect import Guarded, Protected
from saferoom_proto.reasons import Reason
from saferoom_proto.tables.plan import Margin, Measure, MeasureKind
from saferoom_proto.tables.rules import Rules

WITHHELD: Final = Reason.WITHHELD.value
"""What stands where a number does not leave, whatever the reason."""

_EXACT: Final = float(1 << 53)
"""Below it a float holds every whole number."""


@dataclass(frozen=True, slots=True)
class Line:
    """One cell: its class of each dimension, and the number or None where it is withheld."""

    classes: tuple[str, ...]
    number: float | None

    @property
    def shown(self) -> str:
        """The number as it is printed, or the one word for its absence."""
        if self.number is None:
            return WITHHELD
        whole = self.number.is_integer() and abs(self.number) < _EXACT
        return f"{int(self.number)}" if whole else f"{self.number:g}"


@dataclass(frozen=True, slots=True)
class ShownTable:
    """One table: a measure in all cells of a margin. A histogram's last class is its own."""

    measure: Measure
    margin: Margin
    lines: tuple[Line, ...]


def publish(protected: Protected) -> tuple[ShownTable, ...]:
    """Round what may leave, table by table, in the plan's order."""
    return tuple(
        ShownTable(measure, margin, tuple(_lines(protected, measure, margin)))
        for measure in protected.plan.measures
        for margin in protected.plan.margins
    )


def rounded_counts(counts: Floats, rules: Rules) -> Floats:
    """Round counts to the nearest multiple of the base; half a base up, and none stays none."""
    return np.floor(counts / rules.base + 0.5) * rules.base


def rounded(number: float, rules: Rules) -> float:
    """Round to so many significant digits."""
    return float(f"{number:.{rules.digits - 1}e}")


def _lines(protected: Protected, measure: Measure, margin: Margin) -> Iterator[Line]:
    plan, rules = protected.plan, protected.rules
    margin = measure.told_in(margin)
    classes = [plan.dimension(name).classes for name in margin]
    shape = tuple(len(each) for each in classes)
    numbers = _numbers(protected, measure, margin)
    for at in product(*(range(size) for size in shape)):
        number = float(numbers[at])
        named = tuple(each[k] for each, k in zip(classes, at, strict=True))
        if math.isnan(number):
            yield Line(named, None)
        else:
            counted = measure.kind in {MeasureKind.COUNT, MeasureKind.HISTOGRAM}
            yield Line(named, number if counted else rounded(number, rules))


def _numbers(protected: Protected, measure: Measure, margin: Margin) -> Floats:
    """A measure in the margin's shape, in its own order; not a number where it is withheld.

    Counts are rounded here.
    """
    if measure.kind in {MeasureKind.COUNT, MeasureKind.HISTOGRAM}:
        return rounded_counts(_table(protected, protected.families[""], margin), protected.rules)
    if measure.kind is MeasureKind.SHARE:
        return _share(protected, measure, margin)
    sums = _table(protected, protected.families[measure.of], margin)
    if measure.kind is MeasureKind.SUM:
        return sums
    return sums / _table(protected, protected.families[""], margin)


def _share(protected: Protected, measure: Measure, margin: Margin) -> Floats:
    """The part of a cell that is in some classes, of rounded counts: it tells no more than they."""
    rules = protected.rules
    whole = _table(protected, protected.families[""], margin)
    known = protected.plan.dimension(measure.of).classes
    if measure.of in margin:
        among = [each in measure.classes for each in known]
        place = [1] * len(margin)
        place[margin.index(measure.of)] = len(known)
        inside = np.array(among, dtype=np.float64).reshape(place)
        return np.where(np.isnan(whole), np.nan, whole * 0 + inside)
    parts = _table(protected, protected.families[""], (*margin, measure.of))
    chosen = parts[..., [known.index(each) for each in measure.classes]]
    return rounded_counts(chosen, rules).sum(axis=-1) / rounded_counts(whole, rules)


def _table(protected: Protected, guarded: Guarded, margin: Margin) -> Floats:
    """One family's numbers in the margin's shape and order; not a number where withheld."""
    at = [protected.names.index(name) for name in margin]
    axes: Axes = tuple(sorted(at))
    place = guarded.lattice.place(axes)
    allowed: Flags = guarded.published[place]
    numbers = np.where(allowed, guarded.family.values[place], np.nan)
    return np.transpose(numbers.reshape(guarded.lattice.shape(axes)), _order(axes, at))


def _order(axes: Axes, wanted: Sequence[int]) -> tuple[int, ...]:
    return tuple(axes.index(each) for each in wanted)
