"""What leaves: rounded numbers, and the one word WITHHELD for all that does not.

A table says nothing of why a cell is withheld. A mean and a share need both the numbers they are
made of, and are withheld where one of them is. They are made of the numbers as they were rounded:
a mean of the exact ones, beside a sum, would give the exact count away.

All tables of the same records are rounded by one rule first, the one of the first of them: the same
number rounded to fives, to sixes and to sevens would be known to one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final

import numpy as np

from saferoom_enclaves.statistics.guard import Guarded
from saferoom_enclaves.statistics.lattice import Axes, Flags, Floats
from saferoom_enclaves.statistics.protect import Protected
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


@dataclass(frozen=True, slots=True)
class _Rounding:
    """By what the first tables of these records were rounded, and then by what the plan says."""

    first: Rules
    own: Rules

    def counts(self, counts: Floats) -> Floats:
        """Round counts, once or twice; it depends on nothing but the first."""
        return rounded_counts(rounded_counts(counts, self.first), self.own)

    def amounts(self, amounts: Floats) -> Floats:
        """Round sums in the same way; what is withheld stays no number."""
        once = [self.amount(float(each)) for each in amounts.reshape(-1)]
        return np.array(once, dtype=np.float64).reshape(amounts.shape)

    def amount(self, amount: float) -> float:
        """Round a sum, a mean or a share."""
        if math.isnan(amount):
            return amount
        return rounded(rounded(amount, self.first), self.own)


def publish(protected: Protected, first: Rules | None = None) -> tuple[ShownTable, ...]:
    """Round what may leave, table by table, in the plan's order.

    Args:
        protected: what may leave.
        first: by what the first tables of these records were rounded; without, these are the first.
    """
    rounding = _Rounding(first or protected.rules, protected.rules)
    return tuple(
        ShownTable(measure, margin, tuple(_lines(protected, rounding, measure, margin)))
        for measure in protected.plan.measures
        for margin in protected.plan.margins
    )


def rounded_counts(counts: Floats, rules: Rules) -> Floats:
    """Round counts to the nearest multiple of the base; half a base up, and none stays none."""
    return np.floor(counts / rules.base + 0.5) * rules.base


def rounded(number: float, rules: Rules) -> float:
    """Round to so many significant digits."""
    return float(f"{number:.{rules.digits - 1}e}")


def _lines(
    protected: Protected, rounding: _Rounding, measure: Measure, margin: Margin
) -> Iterator[Line]:
    plan = protected.plan
    margin = measure.told_in(margin)
    classes = [plan.dimension(name).classes for name in margin]
    shape = tuple(len(each) for each in classes)
    numbers = _numbers(protected, rounding, measure, margin)
    for at in product(*(range(size) for size in shape)):
        number = float(numbers[at])
        named = tuple(each[k] for each, k in zip(classes, at, strict=True))
        if math.isnan(number):
            yield Line(named, None)
        else:
            counted = measure.kind in {MeasureKind.COUNT, MeasureKind.HISTOGRAM}
            yield Line(named, number if counted else rounding.amount(number))


def _numbers(protected: Protected, rounding: _Rounding, measure: Measure, margin: Margin) -> Floats:
    """A measure in the margin's shape, in its own order; not a number where it is withheld.

    What it is made of is rounded here.
    """
    if measure.kind is MeasureKind.SHARE:
        return _share(protected, rounding, measure, margin)
    counts = None
    if measure.kind is not MeasureKind.SUM:
        counts = rounding.counts(_table(protected, protected.families[""], margin))
        if measure.kind is not MeasureKind.MEAN:
            return counts
    sums = rounding.amounts(_table(protected, protected.families[measure.of], margin))
    return sums if counts is None else sums / counts


def _share(protected: Protected, rounding: _Rounding, measure: Measure, margin: Margin) -> Floats:
    """The part of a cell that is in some classes, of rounded counts: it tells no more than they."""
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
    return rounding.counts(chosen).sum(axis=-1) / rounding.counts(whole)


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
