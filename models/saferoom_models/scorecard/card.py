"""A scorecard: columns in bins with their weights and points, and what it gives a row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from saferoom_models.arrays import Floats, Integers
from saferoom_models.scorecard.binning import Bin, Binned, Classes, Interval
from saferoom_models.scorecard.faults import Fault, ScorecardError

MOST_REASONS: Final = 4
"""As many as lenders tell an applicant (Regulation B, comment 9(b)(2)-1: not more than four)."""

ToPoints = Callable[[float], float]
"""A scale: gives the points of some log-odds of the event; affine, and falling."""
Values = Floats | Sequence[str]
"""A column's values: numbers, NaN where there is none; or classes, empty where there is none."""


@dataclass(frozen=True, slots=True)
class CardColumn:
    """A column.

    Attributes:
        name: of the column.
        binned: its bins.
        weight: of its weight of evidence, in log-odds.
        points: of each bin, whole.
    """

    name: str
    binned: Binned
    weight: float
    points: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.points) != len(self.binned.bins):
            raise ScorecardError(Fault.BAD_CARD, f"{self.name}: each bin has its points")

    @property
    def most(self) -> int:
        """The points of its best bin."""
        return max(self.points)

    @property
    def of_classes(self) -> bool:
        """Whether its values are classes; else they are numbers."""
        return isinstance(self.binned.bins[0].holds, Classes)

    def woe(self) -> Floats:
        """Give its bins' weights of evidence."""
        return np.array([each.woe for each in self.binned.bins])


@dataclass(frozen=True, slots=True)
class Card:
    """A scorecard: a row's points are the sum of its columns'.

    Attributes:
        columns: those that count.
        intercept: of the log-odds.
    """

    columns: tuple[CardColumn, ...]
    intercept: float

    def __post_init__(self) -> None:
        if not self.columns:
            raise ScorecardError(Fault.NO_COLUMNS, "no column tells anything")

    def places(self, rows: Mapping[str, Values]) -> Integers:
        """Tell in which bin each value lies.

        Returns:
            Shape (rows, columns).
        """
        found = [place(each.binned.bins, rows[each.name]) for each in self.columns]
        return np.stack(found, axis=1)

    def column_points(self, places: Integers) -> Integers:
        """Give each column's points: shape (rows, columns)."""
        found = [np.array(each.points)[at] for each, at in zip(self.columns, places.T, strict=True)]
        return np.stack(found, axis=1)

    def log_odds(self, places: Integers) -> Floats:
        """Give the log-odds of the event, before points are rounded."""
        total = np.full(len(places), self.intercept)
        for each, at in zip(self.columns, places.T, strict=True):
            total += each.weight * each.woe()[at]
        return total

    def reasons(self, points: Integers, most: int = MOST_REASONS) -> list[tuple[int, ...]]:
        """Name the columns that lost a row most points, of those their best bins have.

        Args:
            points: as `column_points` gives them.
            most: columns, at most.

        Returns:
            For each row, columns by number, the most points lost first; the card's order decides
            where it is the same.
        """
        lost = np.array([each.most for each in self.columns]) - points
        order = np.argsort(-lost, axis=1, kind="stable")[:, :most]
        return [
            tuple(int(at) for at in row if losses[at] > 0)
            for row, losses in zip(order, lost, strict=True)
        ]


def place(bins: Sequence[Bin], values: Values) -> Integers:
    """Tell in which bin each value lies; what no other bin holds is in the last, of missing."""
    first = bins[0].holds
    if isinstance(first, Classes):
        at = {
            name: number
            for number, each in enumerate(bins)
            if isinstance(each.holds, Classes)
            for name in each.holds.names
        }
        return np.array([at.get(value, len(bins) - 1) for value in values], dtype=np.int64)
    numbers = np.asarray(values, dtype=np.float64)
    found = np.searchsorted(_lows(bins), numbers, side="right")
    return np.where(np.isnan(numbers), len(bins) - 1, found).astype(np.int64)


def pointed(name: str, binned: Binned, weight: float, scale: ToPoints, base: float) -> CardColumn:
    """Give a column its points.

    Args:
        name: of the column.
        binned: its bins.
        weight: of its weights of evidence.
        scale: log-odds to points.
        base: this column's share of the points of the intercept.
    """
    slope = scale(1.0) - scale(0.0)
    points = tuple(round(base + slope * weight * each.woe) for each in binned.bins)
    return CardColumn(name, binned, weight, points)


def make_card(
    columns: Sequence[tuple[str, Binned, float]], intercept: float, scale: ToPoints
) -> Card:
    """Make a card of weights; the intercept's points are shared out evenly, as is usual.

    Args:
        columns: name, bins and weight of each.
        intercept: of the log-odds.
        scale: log-odds to points.
    """
    base = scale(intercept) / max(1, len(columns))
    made = (pointed(name, binned, weight, scale, base) for name, binned, weight in columns)
    return Card(tuple(made), intercept)


def _lows(bins: Sequence[Bin]) -> Floats:
    lows = [each.holds.low for each in bins if isinstance(each.holds, Interval)]
    return np.array([low for low in lows if low is not None])
