"""Subjects counted and added up, cell by cell, by legal group where one is known.

Everything is a function of the arrays in their order. Weights are whole numbers, so counts and
what decides about them are exact.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import NDArray

from saferoom_enclaves.statistics.lattice import Axes, Flags, Floats, Integers, Lattice
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.tables.rules import malformed

UNIT: Final = 720_720
"""A legal group's weight, shared evenly by its subjects: divisible by 1 to 16. A share of a larger
group is rounded down, so that no weight says more units than there are."""

Codes = NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class Columns:
    """One owner's subjects, a row each, in the same order everywhere.

    Attributes:
        classes: for each dimension the class of each subject, shape (subjects,), from 0.
        amounts: for each variable the amount of each subject, shape (subjects,), not yet clipped.
        groups: which legal group each subject belongs to, any numbers; without, each is its own.
    """

    classes: Mapping[str, Codes]
    amounts: Mapping[str, Floats]
    groups: Integers | None = None

    def __post_init__(self) -> None:
        lengths = {len(each) for each in (*self.classes.values(), *self.amounts.values())}
        if self.groups is not None:
            lengths.add(len(self.groups))
        if len(lengths) != 1:
            raise SafeRoomError(Reason.MALFORMED, "columns: all are of one length")
        for name, amounts in self.amounts.items():
            if not np.isfinite(amounts).all():
                raise malformed(name, "finite amounts are expected")

    @property
    def subjects(self) -> int:
        """How many subjects there are."""
        return len(next(iter(self.classes.values())))


class Units:
    """Which subjects stand together, and the weight of each."""

    def __init__(self, columns: Columns) -> None:
        count = columns.subjects
        self.weights: Integers = np.full(count, UNIT, dtype=np.int64)
        self.shared: Integers = np.zeros(0, dtype=np.int64)
        self.group: Integers = np.arange(count, dtype=np.int64)
        if columns.groups is not None:
            _, self.group, sizes = np.unique(
                columns.groups, return_inverse=True, return_counts=True
            )
            self.weights = UNIT // sizes.astype(np.int64)[self.group]
            self.shared = np.flatnonzero(sizes[self.group] > 1)

    @property
    def alone(self) -> bool:
        """Whether every subject is a unit of its own."""
        return not len(self.shared)


class Table:
    """All subjects by the cells of one lattice."""

    def __init__(self, lattice: Lattice, names: tuple[str, ...], columns: Columns) -> None:
        """Takes the lattice, the name of each of its dimensions, and the columns.

        Raises:
            SafeRoomError: a column is missing, or names a class that its dimension has not.
        """
        self.lattice: Final = lattice
        self._codes: Final[list[Codes]] = []
        self._there: Final[dict[Axes, Flags]] = {}
        for name, size in zip(names, lattice.sizes, strict=True):
            if name not in columns.classes:
                raise SafeRoomError(Reason.UNKNOWN_FEATURE, f"there is no column {name}")
            codes = columns.classes[name]
            if len(codes) and not (int(codes.min()) >= 0 and int(codes.max()) < size):
                raise SafeRoomError(Reason.OFF_DOMAIN, f"{name}: a class that it does not have")
            self._codes.append(codes)

    @property
    def subjects(self) -> int:
        """How many subjects there are."""
        return len(self._codes[0])

    def cells(self, margin: Axes) -> Integers:
        """Give each subject's cell within a margin, shape (subjects,)."""
        found = np.zeros(len(self._codes[0]), dtype=np.int64)
        for axis in margin:
            found *= self.lattice.sizes[axis]
            found += self._codes[axis]
        return found

    def possible(self, margin: Axes) -> Flags:
        """Tell in which cells of a margin somebody can be, for all that is known of the columns.

        Not where two of its classes are together at nobody: below 40 by one grid, and above 60 by
        another. Shape (cells,).
        """
        sizes = self.lattice.sizes
        found = np.ones([sizes[axis] for axis in margin], dtype=np.bool_)
        for pair in combinations(margin, min(len(margin), 2)):
            if pair not in self._there:
                size = int(np.prod([sizes[axis] for axis in pair], dtype=np.int64))
                self._there[pair] = np.bincount(self.cells(pair), minlength=size) > 0
            shape = [sizes[axis] if axis in pair else 1 for axis in margin]
            found &= self._there[pair].reshape(shape)
        return found.reshape(-1)

    def impossible(self) -> Flags:
        """Tell in which cells of all margins nobody can be; shape (cells,)."""
        return ~np.concatenate([self.possible(margin) for margin in self.lattice.margins])

    def counts(self) -> Floats:
        """Count subjects in every cell, exactly."""
        return self._add([None])[0]

    def sums(self, *weights: Floats) -> Floats:
        """Add weights up in every cell; shape (cells,), or (weights, cells) of several."""
        added = self._add(weights)
        return added if len(weights) > 1 else added[0]

    def _add(self, weights: Sequence[Floats | None]) -> Floats:
        lattice = self.lattice
        tables: list[dict[Axes, Floats]] = [{} for _ in weights]
        for margin in lattice.widest:
            size = int(np.prod(lattice.shape(margin), dtype=np.int64))
            cells = self.cells(margin)
            for each, found in zip(weights, tables, strict=True):
                found[margin] = _added(cells, each, size)
        return np.stack([lattice.filled(each) for each in tables])

    def largest(self, sizes: Floats, units: Units, how_many: int) -> Floats:
        """Give the largest contributions of one unit to each cell, shape (cells, how many).

        Args:
            sizes: what each subject contributes, none negative; shape (subjects,).
            units: whose contributions are added up.
            how_many: how many of the largest.
        """
        found = np.zeros((self.lattice.cells, how_many))
        alone = np.ones(len(sizes), dtype=np.bool_)
        alone[units.shared] = False
        order = np.flatnonzero(alone)
        order = order[np.argsort(sizes[order], kind="stable")]
        for margin in self.lattice.margins:
            cells = self.cells(margin)
            place = self.lattice.place(margin)
            found[place] = _top(cells[order], sizes[order], found[place].shape[0], how_many)
            if not units.alone:
                them = units.shared
                at, added = _of_groups(cells[them], units.group[them], sizes[them])
                rank = np.argsort(added, kind="stable")
                theirs = _top(at[rank], added[rank], found[place].shape[0], how_many)
                together = np.sort(np.hstack([found[place], theirs]), axis=1)
                found[place] = together[:, : -how_many - 1 : -1]
        return found


def _added(cells: Integers, weights: Floats | None, size: int) -> Floats:
    return np.bincount(cells, weights=weights, minlength=size).astype(np.float64)


def _top(cells: Integers, ascending: Floats, size: int, how_many: int) -> Floats:
    """The largest of each cell. The last written wins, so the last of ascending ones is largest."""
    found = np.zeros((size, how_many))
    left = np.arange(len(cells))
    for rank in range(how_many):
        last = np.full(size, -1, dtype=np.int64)
        last[cells[left]] = left
        there = last >= 0
        found[there, rank] = ascending[last[there]]
        keep = np.ones(len(cells), dtype=np.bool_)
        keep[last[there]] = False
        left = left[keep[left]]
    return found


def _of_groups(cells: Integers, group: Integers, sizes: Floats) -> tuple[Integers, Floats]:
    """Add up what each group contributes to each cell."""
    groups = int(group.max(initial=0)) + 1
    keys = cells * groups + group
    kept, inverse = np.unique(keys, return_inverse=True)
    added: Floats = np.zeros(len(kept))
    np.add.at(added, inverse, sizes)
    return kept // groups, added
