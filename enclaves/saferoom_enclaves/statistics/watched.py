"""Margins that nobody asked for, and that those which were asked for tell of.

What is watched never leaves; it is protected together with what does.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from itertools import combinations
from typing import Final

import numpy as np

from saferoom_enclaves.statistics.lattice import Axes
from saferoom_enclaves.statistics.tabulate import Table
from saferoom_proto.tables.plan import MAX_CELLS
from saferoom_proto.tables.rules import Rules

COARSE: Final = 36
"""Most cells of a finer table that is watched: of flags, and of few classes. In wider ones "none of
these classes" is many, and to watch them would withhold most of a plan."""

THICK: Final = 2
"""How many times the threshold there must be in a finer cell on average for it to be watched."""

PAIR: Final = 2
"""Columns of a table in which it is looked for whether one follows from the other."""

MOST_FOLLOWING: Final = 4096
"""Most cells of such a table: 64 classes by 64, or 34 provinces by the 120 classes there may be."""


def finer(table: Table, rules: Rules) -> Mapping[Axes, bool]:
    """Find margins that nobody asked for, all of whose own margins somebody did.

    Their cells never leave, but margins tell of them: those of "a and b", "a and c" and "b and c"
    together tell how many subjects are in all three classes or in none. They are watched too, where
    they are coarse, and not thin of themselves; and of two columns also where the one follows from
    the other but for a few classes, as two grids over one amount do: there unions of classes can
    differ by few subjects. The smallest come first, until there are as many cells as a plan has.

    Returns:
        The margins, and of each whether it is watched for the latter reason alone: then everybody
        knows which of its cells are empty.
    """
    lattice = table.lattice
    known = set(lattice.margins)
    most = min(COARSE, table.subjects // (THICK * rules.threshold))
    sizes = {each: math.prod(lattice.sizes[axis] for axis in each) for each in _wider(known)}
    found: dict[Axes, bool] = {}
    left = MAX_CELLS - lattice.cells
    for margin, cells in sorted(sizes.items(), key=lambda each: (each[1], each[0])):
        if cells > left:
            break
        if cells <= most or (len(margin) == PAIR and follows(table, margin, cells)):
            found[margin] = cells > most
            left -= cells
    return found


def _wider(known: AbstractSet[Axes]) -> Iterator[Axes]:
    """Name every margin that is not known and all of whose own margins are."""
    axes = sorted(margin[0] for margin in known if len(margin) == 1)
    beside = ((*margin, axis) for margin in known if margin for axis in axes if axis > margin[-1])
    for each in beside:
        lowers = combinations(each, len(each) - 1)
        if each not in known and all(lower in known for lower in lowers):
            yield each


def follows(table: Table, margin: Axes, cells: int) -> bool:
    """Whether so few combinations of two columns' classes are there that one tells of the other.

    Of two columns that have nothing to do with each other most combinations are there. A column
    that follows from another leaves as many as that has classes, and two grids over one amount no
    more than both have together.
    """
    if cells > MOST_FOLLOWING:
        return False
    there = np.bincount(table.cells(margin), minlength=cells)
    return int(np.count_nonzero(there)) < sum(table.lattice.sizes[axis] for axis in margin)
