"""Margins that nobody asked for, and that those which were asked for tell of.

Their cells never leave, but what leaves can fix how many are in some of them together: pairs of
three flags tell how many have all three or none, and two grids over one amount how many are between
a cut of the one and the next cut of the other. What is watched is protected with what leaves.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np

from saferoom_enclaves.statistics.fixed import FixedSets
from saferoom_enclaves.statistics.lattice import Axes, Flags, Floats, Integers, Lattice
from saferoom_enclaves.statistics.tabulate import UNIT, Table
from saferoom_proto.tables.plan import MAX_CELLS
from saferoom_proto.tables.rules import Rules

COARSE: Final = 36
"""Most cells of a finer table that is watched as a whole: of flags, and of few classes. In wider
ones "none of these classes" is many, and to watch them would withhold most of a plan."""

THICK: Final = 2
"""How many times the threshold there must be in a finer cell on average for it to be so."""

FEWEST_COLUMNS: Final = 3
"""Columns of such a table. Of two the margins fix sums of classes of each, and nothing else, unless
one of them follows from the other."""

MOST_CELLS: Final = 100
"""Most cells of a finer table in which small sets are looked for: nine classes by nine are 81."""

MOST_LOOKS: Final = 600
"""Most integer programmes for one plan: most take 5 to 50 ms, the hardest 300."""

MOST_COUNTED: Final = 2_000_000_000
"""Subjects that are counted in finer tables for one plan: two thousand tables of a million, some
forty seconds."""

LOOKED_AT: Final = 100_000
"""As how many subjects a table counts of which it is asked whether anything small is fixed at all:
that takes as long."""

Watched = Mapping[Axes, Flags]
"""Of each watched margin which cells must be able to hold the threshold more, in its shape."""


def coarse(lattice: Lattice, subjects: int, rules: Rules) -> Watched:
    """Find the margins that are watched as a whole, whatever is published; none of too many."""
    known = set(lattice.margins)
    most = min(COARSE, subjects // (THICK * rules.threshold))
    found = {
        margin: np.ones(_shape(lattice, margin), dtype=np.bool_)
        for margin, cells in _sized(lattice, known)
        if len(margin) >= FEWEST_COLUMNS and cells <= most and _enclosed(margin, known)
    }
    cells = sum(each.size for each in found.values())
    return found if lattice.cells + cells <= MAX_CELLS else {}


@dataclass(slots=True)
class Looks:
    """What is left to be spent on one plan's search for small sets, by all its families.

    Attributes:
        programmes: integer programmes.
        counted: subjects, once in each table.
    """

    programmes: int = MOST_LOOKS
    counted: int = MOST_COUNTED

    @property
    def half(self) -> Looks:
        """What one search leaves to those after it: of narrower margins, and of sums."""
        return Looks(self.programmes // 2, self.counted // 2)


class Finer:
    """Looks for small sets that published cells fix, in tables of one column more.

    Args:
        table: the subjects by the cells that were asked for, in any plan.
        weights: of each subject; of a sum only those count who contribute to it.
        rules: the threshold.
        looks: what may be spent.
    """

    def __init__(self, table: Table, weights: Integers, rules: Rules, looks: Looks) -> None:
        self._table: Final = table
        self._weights: Final = weights
        self._threshold: Final = rules.threshold
        self._looks: Final = looks
        self._counted: Final[dict[Axes, Floats]] = {}

    def fixed(
        self, published: Flags, left: Flags, watched: AbstractSet[Axes], ways: int
    ) -> Watched | None:
        """Find the small sets that new numbers fix, alone or with those that left before.

        None if there is more to look at than may be spent: what was not looked at may be fixed.

        Args:
            published: of all cells of the table's lattice.
            left: those that left before.
            watched: margins that are watched as a whole, and so need no look.
            ways: of how many columns margins may be of which anything new leaves.
        """
        lattice, looks, end = self._table.lattice, self._looks, self._looks.half
        new = {each for each in lattice.margins if (published & ~left)[lattice.place(each)].any()}
        known = {m for m in lattice.margins if len(m) <= ways or left[lattice.place(m)].any()}
        found: dict[Axes, Flags] = {}
        for margin, cells in _sized(lattice, known):
            # Sets that no new number fixes were fixed before.
            if margin in watched or not any(set(each) < set(margin) for each in new):
                continue
            if cells > MOST_CELLS:
                break
            units = self._units(margin, cells)
            if looks.counted < end.counted:
                return None
            if not ((units > 0) & (units < self._threshold)).any():
                continue
            looks.counted -= LOOKED_AT
            rows, before = _rows(lattice, margin, published, left)
            sets = FixedSets(rows, before, units, self._table.possible(margin), self._threshold)
            hidden = sets.cells(looks.programmes - end.programmes)
            looks.programmes -= sets.looks
            if hidden is None:
                return None
            if hidden.any():
                found[margin] = hidden.reshape(_shape(lattice, margin))
        return found

    def _units(self, margin: Axes, cells: int) -> Floats:
        """Count the units of each cell of a margin, once for all searches."""
        if margin not in self._counted:
            self._looks.counted -= self._table.subjects
            at = self._table.cells(margin)
            added = np.bincount(at, weights=self._weights, minlength=cells)
            self._counted[margin] = added / UNIT
        return self._counted[margin]


def _sized(lattice: Lattice, known: AbstractSet[Axes]) -> list[tuple[Axes, int]]:
    """Name the margins of one column more than some, the smallest first, with their cells."""
    wider = set(_wider(known)) - set(lattice.margins)
    sizes = {each: math.prod(_shape(lattice, each)) for each in wider}
    return sorted(sizes.items(), key=lambda each: (each[1], each[0]))


def _shape(lattice: Lattice, margin: Axes) -> tuple[int, ...]:
    return tuple(lattice.sizes[axis] for axis in margin)


def _wider(known: AbstractSet[Axes]) -> Iterator[Axes]:
    """Name every margin of one column more than a known one that is not known itself."""
    axes = sorted(margin[0] for margin in known if len(margin) == 1)
    for margin in known:
        for axis in axes:
            each = tuple(sorted((*margin, axis)))
            if margin and axis not in margin and each not in known:
                yield each


def _enclosed(margin: Axes, known: AbstractSet[Axes]) -> bool:
    """Whether all margins of one column less are known."""
    return all(lower in known for lower in combinations(margin, len(margin) - 1))


def _rows(lattice: Lattice, margin: Axes, published: Flags, left: Flags) -> tuple[Floats, Flags]:
    """Tell which cells of a margin each published cell adds up, and which of them left before."""
    shape = _shape(lattice, margin)
    at = np.indices(shape).reshape(len(shape), -1)
    rows: list[Floats] = [np.zeros((0, at.shape[1]))]
    before: list[Flags] = [np.zeros(0, dtype=np.bool_)]
    for lower in lattice.margins:
        if not set(lower) < set(margin):
            continue
        places = [margin.index(axis) for axis in lower]
        cell = np.ravel_multi_index(at[places], lattice.shape(lower)) if places else at[0] * 0
        place = lattice.place(lower)
        shown = np.flatnonzero(published[place])
        rows.append((shown[:, None] == cell).astype(np.float64))
        before.append(left[place][shown])
    return np.vstack(rows), np.concatenate(before)
