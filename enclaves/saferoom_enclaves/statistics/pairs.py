"""Two published sets of one measure that differ by a few subjects, however they were named.

All that are one within another are among the cells that `moves` protects. What is left are sets
such as "in trade 3" and "in district 7", which no sum joins, and which may hold the same subjects
but for three. Found exactly, over all pairs, without comparing all pairs.

Source: the query set overlap of Dobkin, Jones and Lipton 1979; trackers of Denning 1980.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy.spatial import KDTree

from saferoom_enclaves.statistics.lattice import Flags, Floats, Integers
from saferoom_enclaves.statistics.tabulate import UNIT, Table
from saferoom_proto.tables.rules import Rules

SHADOWS: Final = 8
"""Random sums of each set. Sets of 1,000 others pass all eight by chance once in 100,000 times."""

SEED: Final = 20_260_311
"""Fixed: the same question gets the same answer. It decides nothing but how long it takes."""


def too_close(
    table: Table, weights: Integers, published: Flags, rules: Rules
) -> list[tuple[int, int]]:
    """Find the pairs of published cells that differ by some units, and fewer than the threshold.

    If each subject has a random sign, and two sets differ by so little weight, their signed sums
    differ by no more. So only pairs whose sums are that near are looked at, and none is missed.

    Args:
        table: the subjects by cells.
        weights: of each subject; of a sum only those count who contribute to it.
        published: which cells are published.
        rules: the threshold.

    Returns:
        Pairs of cells' numbers, the first the lower.
    """
    cells = np.flatnonzero(published)
    bound = rules.threshold * UNIT
    shadows = _shadows(table, weights, cells)
    tree = KDTree(shadows)
    near = tree.query_pairs(bound - 0.5, np.inf, output_type="ndarray")
    members = _members(table, cells[np.unique(near)])
    found: list[tuple[int, int]] = []
    for one, other in cells[np.sort(near, axis=1)].tolist():
        apart = np.setxor1d(members[one], members[other], assume_unique=True)
        if 0 < int(weights[apart].sum()) < bound:
            found.append((one, other))
    return found


def _shadows(table: Table, weights: Integers, cells: Integers) -> Floats:
    """Each set's weight, and its weight under random signs; shape (cells, 1 + `SHADOWS`)."""
    draw = np.random.default_rng(SEED)
    weight = weights.astype(np.float64)
    signed = [weight * (draw.integers(0, 2, size=len(weight)) * 2 - 1) for _ in range(SHADOWS)]
    return table.sums(weight, *signed)[:, cells].T


def _members(table: Table, cells: Integers) -> dict[int, Integers]:
    """The subjects of each of some cells."""
    found: dict[int, Integers] = {}
    for margin in table.lattice.margins:
        place = table.lattice.place(margin)
        wanted = cells[(place.start <= cells) & (cells < place.stop)]
        if not len(wanted):
            continue
        chosen = np.zeros(place.stop - place.start, dtype=np.bool_)
        chosen[wanted - place.start] = True
        at = table.cells(margin)
        inside = np.flatnonzero(chosen[at])
        inside = inside[np.argsort(at[inside], kind="stable")]
        borders = np.searchsorted(at[inside], [wanted - place.start, wanted - place.start + 1])
        for cell, start, stop in zip(wanted.tolist(), *borders.tolist(), strict=True):
            found[cell] = inside[start:stop]
    return found
