"""Bins of a column from counts: the grouping of pre-bins that tells most, within the rules.

What a grouping tells is its information value; the best one is found exactly, by dynamic
programming over which pre-bins the last bin holds. Source: Siddiqi, Credit Risk Scorecards (2006),
chapter 6, for weights of evidence, information value and what bins have to keep.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate, pairwise
from typing import Final

from saferoom_models.scorecard.counts import ClassCounts, Count, Counts, OrderedCounts
from saferoom_models.scorecard.faults import Fault, ScorecardError

MOST_CLASSES: Final = 60
"""A column of more is a name or a code: group it first, as by branch."""
_HALF: Final = 0.5
_FEWEST_BINS: Final = 2
_MOST_BINS: Final = 20


class Shape(StrEnum):
    """How a column's risk may go along the column."""

    FREE = "free"
    RISING = "rising"
    FALLING = "falling"
    EITHER = "either"
    """Rising or falling, whichever tells more."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What every bin of a column keeps.

    Attributes:
        least_share: of the column's rows that have a value.
        least_events: rows with the event, and as many without it.
        most_bins: beside the one for missing values.
        shape: of a column of numbers; a column of classes has no order.
    """

    least_share: float = 0.05
    least_events: int = 10
    most_bins: int = 6
    shape: Shape = Shape.FREE

    def __post_init__(self) -> None:
        if not 0 < self.least_share <= _HALF:
            raise ScorecardError(Fault.BAD_RULES, "least_share is above 0 and at most 0.5")
        if self.least_events < 1:
            raise ScorecardError(Fault.BAD_RULES, "least_events is 1 or more: odds need both")
        if not _FEWEST_BINS <= self.most_bins <= _MOST_BINS:
            raise ScorecardError(Fault.BAD_RULES, "most_bins is 2 to 20")


@dataclass(frozen=True, slots=True)
class Interval:
    """From a number on, to below another; none where it has no end."""

    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Classes:
    """Some of a column's classes."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Missing:
    """Rows without a value, and with one that no other bin holds."""


Holds = Interval | Classes | Missing


@dataclass(frozen=True, slots=True)
class Bin:
    """A bin.

    Attributes:
        holds: whose rows.
        count: of them.
        woe: the log-odds of the event in it, less those of all the column's rows.
    """

    holds: Holds
    count: Count
    woe: float


@dataclass(frozen=True, slots=True)
class Binned:
    """A column's bins; the last one is that of missing values.

    Attributes:
        bins: in the column's order; classes by their risk.
        value: how much they tell (information value).
        missing_known: whether the missing bin's weight is of its own rows; else it is that of the
            riskiest bin, so that nobody gains by leaving a value out.
    """

    bins: tuple[Bin, ...]
    value: float
    missing_known: bool


def bin_column(counts: Counts, rules: Rules) -> Binned | None:
    """Group a column's pre-bins.

    Returns:
        The bins; none where the rules leave a single bin, which tells nothing.
    """
    if isinstance(counts, ClassCounts) and len(counts.counts) > MOST_CLASSES:
        detail = f"{len(counts.counts)} classes; a column has at most {MOST_CLASSES}"
        raise ScorecardError(Fault.BAD_COUNTS, detail)
    places, single = _pre_bins(counts)
    total = sum(single, counts.missing)
    if not total.events or not total.others:
        raise ScorecardError(Fault.FEW_EVENTS, "rows with the event and without it are needed")
    shapes = {
        Shape.EITHER: (Shape.RISING, Shape.FALLING),
    }.get(rules.shape, (rules.shape,))
    if isinstance(counts, ClassCounts):
        shapes = (Shape.FREE,)
    found = [_group(single, total, rules, shape) for shape in shapes]
    _, cuts = max(found, key=lambda each: each[0])
    if len(cuts) <= _FEWEST_BINS:
        return None
    bins = [
        _bin(places[start] if end - start == 1 else _joined(places[start:end]), count, total)
        for start, end in pairwise(cuts)
        for count in [sum(single[start:end], Count())]
    ]
    known = min(counts.missing.events, counts.missing.others) >= rules.least_events
    if known:
        bins.append(_bin(Missing(), counts.missing, total))
    else:
        bins.append(Bin(Missing(), counts.missing, max(each.woe for each in bins)))
    told = [each for each in bins if known or not isinstance(each.holds, Missing)]
    return Binned(tuple(bins), sum(_value(each.count, total) for each in told), known)


def apart(counts: Counts) -> float:
    """Tell how far apart rows with the event and others lie: the most that their shares differ."""
    _, single = _pre_bins(counts)
    sums = tuple(accumulate(single, initial=Count()))
    whole = sums[-1]
    if not whole.events or not whole.others:
        return 0.0
    return max(abs(one.events / whole.events - one.others / whole.others) for one in sums)


def weight_of_evidence(count: Count, total: Count) -> float:
    """Give the log-odds of the event in a bin, less those of all rows."""
    return math.log(count.events / count.others) - math.log(total.events / total.others)


def _value(count: Count, total: Count) -> float:
    """Give a bin's part of the information value: a divergence, which merging never raises."""
    share = count.events / total.events - count.others / total.others
    return share * weight_of_evidence(count, total)


def _bin(holds: Holds, count: Count, total: Count) -> Bin:
    return Bin(holds, count, weight_of_evidence(count, total))


def _pre_bins(counts: Counts) -> tuple[list[Holds], list[Count]]:
    if isinstance(counts, OrderedCounts):
        ends = (None, *counts.edges, None)
        return [Interval(low, high) for low, high in pairwise(ends)], list(counts.counts)
    # Classes that are neighbours in risk may be joined; by name where it is the same.
    ordered = sorted(counts.counts.items(), key=lambda each: (each[1].rate, each[0]))
    return [Classes((name,)) for name, _ in ordered], [count for _, count in ordered]


def _joined(places: Sequence[Holds]) -> Holds:
    first, last = places[0], places[-1]
    if isinstance(first, Interval) and isinstance(last, Interval):
        return Interval(first.low, last.high)
    names = (name for each in places if isinstance(each, Classes) for name in each.names)
    return Classes(tuple(sorted(names)))


_NOTHING: Final = (-math.inf, ())


def _group(
    single: Sequence[Count], total: Count, rules: Rules, shape: Shape
) -> tuple[float, tuple[int, ...]]:
    """Find the cuts with the most information value.

    Returns:
        The value, and the places where bins begin and the last one ends; no places where no
        grouping keeps the rules.
    """
    size = len(single)
    sums = tuple(accumulate(single, initial=Count()))

    def of(start: int, end: int) -> Count:
        return Count(sums[end].events - sums[start].events, sums[end].others - sums[start].others)

    least = rules.least_share * sums[-1].rows
    allowed = {
        (start, end): count
        for start in range(size)
        for end in range(start + 1, size + 1)
        for count in [of(start, end)]
        if count.rows >= least and min(count.events, count.others) >= rules.least_events
    }
    # best[bins][last bin]: what so many bins tell at most, that last bin included, and the cuts.
    best: list[dict[tuple[int, int], tuple[float, tuple[int, ...]]]] = [
        {place: (_value(count, total), place) for place, count in allowed.items() if place[0] == 0}
    ]
    by_end: dict[int, list[tuple[int, int]]] = {}
    for place in allowed:
        by_end.setdefault(place[1], []).append(place)
    for _ in range(1, rules.most_bins):
        longer: dict[tuple[int, int], tuple[float, tuple[int, ...]]] = {}
        for place, count in allowed.items():
            told, cuts = max(
                (
                    best[-1][before]
                    for before in by_end.get(place[0], ())
                    if before in best[-1] and _follows(allowed[before], count, shape)
                ),
                default=_NOTHING,
                key=lambda each: each[0],
            )
            if cuts:
                longer[place] = (told + _value(count, total), (*cuts, place[1]))
        best.append(longer)
    whole = (found for level in best for place, found in level.items() if place[1] == size)
    return max(whole, default=_NOTHING, key=lambda each: each[0])


def _follows(before: Count, after: Count, shape: Shape) -> bool:
    """Tell whether a bin may come after another; counts as whole numbers, so exactly."""
    left, right = before.events * after.rows, after.events * before.rows
    match shape:
        case Shape.RISING:
            return left < right
        case Shape.FALLING:
            return left > right
        case _:
            return True
