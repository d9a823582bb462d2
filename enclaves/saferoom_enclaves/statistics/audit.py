"""The audit: what somebody can derive who knows exactly every number behind those that leave.

By linear programmes, as an intruder would, and not by the moves that `moves` found: what one of the
two overlooks the other shows. Rounding is not counted as protection here, so what an intruder can
derive from the rounded numbers that do leave is no narrower.

Source: Fellegi 1972 for the question; Hundepool et al. 2012, section 4.2, for the programmes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import csc_array
from scipy.sparse.csgraph import connected_components

from saferoom_enclaves.statistics.lattice import Flags, Floats, Integers, Lattice
from saferoom_enclaves.statistics.moves import Move
from saferoom_enclaves.statistics.primary import Demand
from saferoom_proto.reasons import Reason, SafeRoomError

NOISE: Final = 1e-12
"""What sums of a few doubles may differ by, in parts of the largest. Of whole numbers: nothing."""

SLACK: Final = 1e-6
"""What a linear programme's answer may be short of, in parts: ten times the solver's tolerance."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """Withheld cells that hang together by what they sum to, and no others."""

    cells: Integers
    sums: csc_array


@dataclass(frozen=True, slots=True)
class Interval:
    """How far below and above what it is a cell can lie, for all that is published."""

    down: float
    up: float


class Audit:
    """The linear relations among the withheld cells of one family."""

    def __init__(self, lattice: Lattice, withheld: Flags) -> None:
        self._withheld: Final = withheld
        self._sums: Final = _matrix(lattice)
        self._pieces: Final = tuple(_pieces(self._sums, withheld))

    def certify(self, moves: list[Move]) -> None:
        """Check, exactly, that no move changes a number that leaves.

        Raises:
            SafeRoomError: `INTERNAL`, one does.
        """
        for move in moves:
            if not self._withheld[move.cells].all():
                raise SafeRoomError(Reason.INTERNAL, "a move changes a number that leaves")
            changed = self._sums[slice(None), move.cells].dot(move.change)
            if np.abs(changed).max(initial=0.0) > NOISE * np.abs(move.change).max():
                raise SafeRoomError(Reason.INTERNAL, "a move changes a sum")

    def fails(self, demand: Demand) -> Integers:
        """Give the numbers of the cells that cannot move as far as they must.

        A published one can move nowhere.
        """
        bad = [np.flatnonzero(~self._withheld & ((demand.rise > 0) | (demand.fall > 0)))]
        for piece in self._pieces:
            bad.append(_too_stiff(piece, demand.down, demand.up, demand.rise))
            bad.append(_too_stiff(piece, demand.up, demand.down, demand.fall))
        return np.unique(np.concatenate(bad))

    def interval(self, cell: int, down: Floats, up: Floats) -> Interval:
        """Reckon what an intruder can derive of one cell.

        Args:
            cell: its number.
            down: how far below what it is each cell can lie, as is known beforehand.
            up: how far above.
        """
        if not self._withheld[cell]:
            return Interval(0.0, 0.0)
        piece = next(each for each in self._pieces if cell in each.cells)
        at = int(np.flatnonzero(piece.cells == cell)[0])
        furthest = [
            float(_solve(piece, _one(len(piece.cells), at), below, above)[at])
            for below, above in ((down, up), (up, down))
        ]
        return Interval(furthest[1], furthest[0])


def hanging(lattice: Lattice, free: Flags, some: Flags) -> Flags:
    """Tell which cells hang together with some others by sums, over free cells only.

    Args:
        lattice: the cells.
        free: those whose numbers are not known.
        some: of those, the ones to begin at.
    """
    found = np.zeros(lattice.cells, dtype=np.bool_)
    for piece in _pieces(_matrix(lattice), free):
        found[piece.cells] = some[piece.cells].any()
    return found


def _too_stiff(piece: _Piece, down: Floats, up: Floats, need: Floats) -> Integers:
    """Give the cells of a piece that cannot rise as far as they must."""
    needs = need[piece.cells]
    wanted = np.flatnonzero(needs > 0)
    if not len(wanted):
        return np.zeros(0, dtype=np.int64)
    # Step 1: as many as can, at once, each no further than it must, until none more gets there.
    capped = up.copy()
    capped[piece.cells[wanted]] = np.minimum(capped[piece.cells[wanted]], needs[wanted])
    reached, left = np.zeros(len(needs)), wanted
    while len(left):
        aim = np.zeros(len(needs))
        aim[left] = needs.max() / needs[left]
        reached = np.maximum(reached, _solve(piece, aim, down, capped))
        still = left[reached[left] < needs[left] * (1 - SLACK)]
        if len(still) == len(left):
            break
        left = still
    # Step 2: each of the rest alone; what others reach by the way counts.
    for at in left.tolist():
        if reached[at] < needs[at] * (1 - SLACK):
            reached = np.maximum(reached, _solve(piece, _one(len(needs), at), down, up))
    return piece.cells[wanted[reached[wanted] < needs[wanted] * (1 - SLACK)]]


def _solve(piece: _Piece, aim: Floats, down: Floats, up: Floats) -> Floats:
    """Find the change of a piece's cells, within bounds and changing no sum, that goes furthest."""
    room = np.stack([-down[piece.cells], up[piece.cells]], axis=1)
    # The solver's tolerance is absolute, so amounts are brought near one.
    scale = max(1.0, float(np.median(np.abs(room[np.isfinite(room)]))))
    solved = linprog(
        -aim,
        A_eq=piece.sums,
        b_eq=np.zeros(piece.sums.shape[0]),
        bounds=room / scale,
        method="highs",
    )
    if solved.status == UNBOUNDED:
        return np.where(aim > 0, np.inf, 0.0)
    if solved.status != SOLVED or solved.x is None:
        raise SafeRoomError(Reason.INTERNAL, f"the linear programme ended with {solved.status}")
    return solved.x * scale


SOLVED: Final = 0
"""scipy's status of a linear programme that was solved."""

UNBOUNDED: Final = 3
"""scipy's status of one that has no end."""


def _one(length: int, at: int) -> Floats:
    found = np.zeros(length)
    found[at] = 1.0
    return found


def _matrix(lattice: Lattice) -> csc_array:
    """All sums: a row each, -1 for the total and 1 for each part."""
    rows: list[Integers] = []
    columns: list[Integers] = []
    entries: list[Floats] = []
    first = 0
    for totals, parts in lattice.equations():
        numbers = np.arange(first, first + len(totals), dtype=np.int64)
        first += len(totals)
        rows += [numbers, np.repeat(numbers, parts.shape[1])]
        columns += [totals, parts.reshape(-1)]
        entries += [np.full(len(totals), -1.0), np.ones(parts.size)]
    if not rows:
        return csc_array((0, lattice.cells))
    where = (np.concatenate(rows), np.concatenate(columns))
    return csc_array((np.concatenate(entries), where), shape=(first, lattice.cells))


def _pieces(sums: csc_array, withheld: Flags) -> Iterator[_Piece]:
    """Cut the withheld cells into those that hang together."""
    cells = np.flatnonzero(withheld)
    if not len(cells):
        return
    part = sums[slice(None), cells]
    count, label = connected_components(part.T @ part, directed=False)
    order = np.argsort(label, kind="stable")
    borders = np.searchsorted(label[order], np.arange(count + 1))
    for start, stop in zip(borders[:-1].tolist(), borders[1:].tolist(), strict=True):
        these = np.sort(order[start:stop])
        own = csc_array(part[slice(None), these])
        used = np.unique(own.indices)
        yield _Piece(cells[these], csc_array(own[used, slice(None)]))
