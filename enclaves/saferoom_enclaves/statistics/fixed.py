"""Sets of few subjects whose number is fixed by margins, found by integer programmes.

A set of a table's cells is fixed where some sum of published cells of its margins, each so many
times, is one on the set and nothing elsewhere; in cells where nobody can be it may be anything. The
smallest such sets are looked for one after the other, until there is none of fewer units than the
threshold that has a cell which was not found.

Source: it is the minimum distance of a code (ADR 27); of a hundred cells HiGHS finds it in
milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp

from saferoom_enclaves.statistics.lattice import Flags, Floats

TIMES: Final = 50.0
"""How often a margin's cell is added or taken away at most; of the sets in tests, twice."""
NODES: Final = 500
"""Of one programme. A count, and not a time: the same question gets the same answer."""
_NONE: Final = 2
"""scipy's status of a programme that has no solution."""
_PART: Final = 1e-7
"""Less than the weight of any subject."""
_NEARLY: Final = 1e-6
"""Sums of whole numbers that differ by no more are one."""


class FixedSets:
    """The small fixed sets of one table.

    Args:
        rows: which cells each published cell adds up; shape (published cells, cells).
        before: which of those were published before; what they fix alone cannot be taken back.
        units: how many are in each cell; shape (cells,).
        possible: in which cells somebody can be; shape (cells,).
        threshold: sets of fewer are small.
    """

    def __init__(
        self, rows: Floats, before: Flags, units: Floats, possible: Flags, threshold: int
    ) -> None:
        self._light: Final = possible & (units < threshold - _PART)
        self._units: Final = units[self._light]
        self._threshold: Final = threshold
        many, count = int(self._light.sum()), rows.shape[0]
        # What is on the light cells is the set; on the others that hold anybody there is nothing.
        heavy = rows[:, possible & ~self._light].T
        on_light = np.hstack([np.eye(many), -rows[:, self._light].T])
        on_heavy = np.hstack([np.zeros((heavy.shape[0], many)), heavy])
        # Else no sum of published cells is nothing on all the others: there is no programme to ask.
        self._any_fixed: Final = _rank(rows[:, possible]) > _rank(heavy)
        self._fixed: Final = LinearConstraint(np.vstack([on_light, on_heavy]), 0.0, 0.0)
        self._count: Final = count
        self._before: Final = rows[before][:, possible].T
        self._possible: Final = possible
        self._known: Final[list[Flags]] = []
        self.looks = 0

    def cells(self, most: int) -> Flags | None:
        """Give the cells of small fixed sets that hold anybody, by at most so many programmes.

        None if more are needed. Where one is not solved, every light cell is given.
        """
        found = self._units <= _PART
        while self._any_fixed and not found.all():
            if self.looks >= most:
                return None
            self.looks += 1
            one = self._smallest(found)
            if one is None:
                break
            if one.all() or not self._fixed_before(one):
                found |= one
            else:
                self._known.append(one)
        every = np.zeros(len(self._light), dtype=np.bool_)
        if self._any_fixed:
            every[self._light] = found & (self._units > _PART)
        return every

    def _fixed_before(self, chosen: Flags) -> bool:
        """Whether what was published before fixes a set alone."""
        if not self._before.shape[1]:
            return False
        every = np.zeros(len(self._possible))
        every[np.flatnonzero(self._light)[chosen]] = 1.0
        wanted = every[self._possible]
        times = np.linalg.lstsq(self._before, wanted, rcond=None)[0]
        return bool(np.abs(self._before @ times - wanted).max() < _NEARLY)

    def _smallest(self, found: Flags) -> Flags | None:
        """Find a small fixed set with a cell that was not found; all cells if it is not solved."""
        many, count, units = len(found), self._count, self._units
        new = np.where(found, 0.0, units)
        weight = np.concatenate([units, np.zeros(count)])
        solved = milp(
            weight,
            constraints=[
                self._fixed,
                LinearConstraint(weight[None], -np.inf, self._threshold - _PART),
                LinearConstraint(
                    np.concatenate([new, np.zeros(count)])[None], new[new > 0].min(), np.inf
                ),
                *self._others(),
            ],
            integrality=np.concatenate([np.ones(many), np.zeros(count)]),
            bounds=Bounds(
                np.concatenate([np.zeros(many), np.full(count, -TIMES)]),
                np.concatenate([np.ones(many), np.full(count, TIMES)]),
            ),
            options={"node_limit": NODES},
        )
        if solved.status == _NONE:
            return None
        if solved.x is None:
            return np.ones(many, dtype=np.bool_)
        chosen = np.round(solved.x[:many]) == 1.0
        return chosen if (chosen & ~found).any() else np.ones(many, dtype=np.bool_)

    def _others(self) -> Iterator[LinearConstraint]:
        """Ask for another set than each of those that were known before."""
        for known in self._known:
            signs = np.concatenate([np.where(known, -1.0, 1.0), np.zeros(self._count)])
            yield LinearConstraint(signs[None], 1.0 - known.sum(), np.inf)


def _rank(matrix: Floats) -> int:
    """Give the rank of a matrix of noughts and ones; of one without rows or columns, 0."""
    return int(np.linalg.matrix_rank(matrix)) if matrix.size else 0
