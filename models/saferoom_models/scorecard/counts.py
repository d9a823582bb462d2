"""Counts of rows with and without the event, by pre-bin: all that bins are made of.

They come of a bank's own rows, or as numbers that passed a gate; those may be rounded, and nothing
here asks where they are from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Context, Decimal
from itertools import pairwise
from typing import Final

import numpy as np

from saferoom_models.arrays import Floats, Integers
from saferoom_models.scorecard.faults import Fault, ScorecardError

MOST_PRE_BINS: Final = 32
"""Twentieths are usual; some more cost little, and let a cut lie where a column has its steps."""
_ALL_DIGITS: Final = 17
"""From so many significant digits on a double is told exactly (IEEE 754)."""
_EXACT: Final = Context(prec=_ALL_DIGITS + 2)


@dataclass(frozen=True, slots=True)
class Count:
    """Rows with the event, and the others."""

    events: int = 0
    others: int = 0

    def __post_init__(self) -> None:
        if self.events < 0 or self.others < 0:
            raise ScorecardError(Fault.BAD_COUNTS, "a count is below zero")

    @property
    def rows(self) -> int:
        """All of them."""
        return self.events + self.others

    @property
    def rate(self) -> float:
        """The share with the event; 0 where there are no rows."""
        return self.events / self.rows if self.rows else 0.0

    def __add__(self, more: Count) -> Count:
        """Give both together."""
        return Count(self.events + more.events, self.others + more.others)


@dataclass(frozen=True, slots=True)
class OrderedCounts:
    """Counts of a column of numbers.

    Attributes:
        edges: ascending, where one pre-bin ends and the next begins: it holds its lower edge.
        counts: of each pre-bin, one more than there are edges.
        missing: of rows without a value.
    """

    edges: tuple[float, ...]
    counts: tuple[Count, ...]
    missing: Count = Count()

    def __post_init__(self) -> None:
        finite = all(np.isfinite(self.edges))
        if not finite or any(low >= high for low, high in pairwise(self.edges)):
            raise ScorecardError(Fault.BAD_COUNTS, "edges are finite numbers and ascend")
        if len(self.counts) != len(self.edges) + 1:
            raise ScorecardError(Fault.BAD_COUNTS, "there is one pre-bin more than edges")


@dataclass(frozen=True, slots=True)
class ClassCounts:
    """Counts of a column of classes.

    Attributes:
        counts: of each class, by its name.
        missing: of rows without a value.
    """

    counts: dict[str, Count]
    missing: Count = Count()

    def __post_init__(self) -> None:
        if not self.counts:
            raise ScorecardError(Fault.BAD_COUNTS, "a column of classes has at least one")


Counts = OrderedCounts | ClassCounts


def count_numbers(values: Floats, labels: Integers, most: int = MOST_PRE_BINS) -> OrderedCounts:
    """Count a column of numbers by quantiles; a value that many rows have is a pre-bin of its own.

    Args:
        values: one for each row; NaN where there is none.
        labels: 1 for the event, else 0.
        most: pre-bins, at most.

    Raises:
        ScorecardError: `BAD_COUNTS` for an infinite value.
    """
    if np.isinf(values).any():
        raise ScorecardError(Fault.BAD_COUNTS, "a value is infinite")
    there = ~np.isnan(values)
    known = values[there]
    edges = _edges(known, most)
    at = np.searchsorted(edges, known, side="right")
    label = labels[there]
    events = np.bincount(at[label == 1], minlength=len(edges) + 1)
    others = np.bincount(at[label == 0], minlength=len(edges) + 1)
    return OrderedCounts(
        tuple(edges.tolist()), _counts(events, others), count_labels(labels[~there])
    )


def count_classes(values: Sequence[str], labels: Integers) -> ClassCounts:
    """Count a column of classes; an empty text is a missing value."""
    names, at = np.unique(np.asarray(values, dtype=str), return_inverse=True)
    events = np.bincount(at[labels == 1], minlength=len(names))
    others = np.bincount(at[labels == 0], minlength=len(names))
    found = dict(zip(names.tolist(), _counts(events, others), strict=True))
    missing = found.pop("", Count())
    return ClassCounts(found or {"": Count()}, missing)


def count_labels(labels: Integers) -> Count:
    """Count rows with the event, and the others."""
    events = int(labels.sum())
    return Count(events, len(labels) - events)


def _counts(events: Integers, others: Integers) -> tuple[Count, ...]:
    return tuple(Count(*pair) for pair in zip(events.tolist(), others.tolist(), strict=True))


def _edges(known: Floats, most: int) -> Floats:
    """Place edges between neighbouring values, at the roundest number there is between them."""
    if not len(known):
        return np.empty(0)
    distinct, counts = np.unique(known, return_counts=True)
    if len(distinct) > most:
        # Where a quantile falls within a value's rows, the edge is below that value.
        below = np.cumsum(counts) / len(known)
        wanted = np.searchsorted(below, np.arange(1, most) / most, side="left")
        upper = distinct[np.unique(wanted[wanted > 0])]
        lower = distinct[np.searchsorted(distinct, upper) - 1]
    else:
        lower, upper = distinct[:-1], distinct[1:]
    pairs = zip(lower.tolist(), upper.tolist(), strict=True)
    return np.array([_roundest(*pair) for pair in pairs], dtype=np.float64)


def _roundest(lower: float, upper: float) -> float:
    """Give the number of fewest digits above one and at most the other.

    People read it easily, and it tells as little as it can of the two rows that it lies between.
    """
    if lower < 0.0 <= upper:
        return 0.0
    exact = Decimal(repr(upper))
    first = exact.adjusted()
    for place in range(first, first - _ALL_DIGITS, -1):
        found = float(exact.quantize(Decimal(1).scaleb(place), ROUND_FLOOR, _EXACT))
        if lower < found <= upper:
            return found
    return upper
