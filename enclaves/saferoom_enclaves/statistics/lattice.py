"""The cells of all margins of a plan, numbered, and which of them sum to which.

A margin brings those it sums up to with it: whoever knows a table knows its totals. All cells stand
in one row of numbers, margin by margin, each margin in C order, so that a table is a view of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import NDArray

from saferoom_proto.reasons import Reason, SafeRoomError

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

Axes = tuple[int, ...]
"""A margin: the numbers of its dimensions, ascending."""

Equations = tuple[Integers, Integers]
"""Each row: a cell, and the cells that sum to it, -1 where there is none; shapes (n,), (n, k)."""


class Lattice:
    """Margins closed under summing up. Immutable."""

    def __init__(self, sizes: tuple[int, ...], margins: Iterable[Axes]) -> None:
        """Takes how many classes each dimension has, and the margins that are asked for."""
        closed = {
            lower
            for margin in margins
            for ways in range(len(margin) + 1)
            for lower in combinations(sorted(margin), ways)
        }
        self.sizes: Final = sizes
        self.margins: Final[tuple[Axes, ...]] = tuple(
            sorted(closed, key=lambda each: (len(each), each))
        )
        self._shapes: Final = {
            margin: tuple(sizes[axis] for axis in margin) for margin in self.margins
        }
        self._places: Final[dict[Axes, slice[int, int, None]]] = {}
        cells = 0
        for margin, shape in self._shapes.items():
            first, cells = cells, cells + math.prod(shape)
            self._places[margin] = slice(first, cells)
        self.cells: Final = cells
        # Those that no other sums up to.
        self.widest: Final = tuple(
            each
            for each in self.margins
            if not any(set(each) < set(other) for other in self.margins)
        )

    def shape(self, margin: Axes) -> tuple[int, ...]:
        """Give a margin's shape."""
        return self._shapes[margin]

    def place(self, margin: Axes) -> slice:
        """Give where a margin's cells stand."""
        return self._places[margin]

    def first(self, margin: Axes) -> int:
        """Give the number of a margin's first cell."""
        return self._places[margin].start

    def above(self, axes: Axes) -> tuple[Axes, ...]:
        """Name the margins that hold all these dimensions."""
        wanted = set(axes)
        return tuple(each for each in self.margins if wanted <= set(each))

    def where(self, cell: int) -> tuple[Axes, tuple[int, ...]]:
        """Tell which margin a cell is of, and its class of each of the margin's dimensions."""
        for margin in reversed(self.margins):
            if self.first(margin) <= cell:
                at = np.unravel_index(cell - self.first(margin), self.shape(margin))
                return margin, tuple(int(each) for each in at)
        raise SafeRoomError(Reason.INTERNAL, f"there is no cell {cell}")

    def number(self, margin: Axes, at: Mapping[int, int]) -> int:
        """Give the number of a margin's cell, from its class of each dimension."""
        found = 0
        for axis in margin:
            found = found * self.sizes[axis] + at[axis]
        return self.first(margin) + found

    def numbers(self, margin: Axes) -> Integers:
        """Give the numbers of a margin's cells, in its shape."""
        place = self.place(margin)
        return np.arange(place.start, place.stop, dtype=np.int64).reshape(self.shape(margin))

    def equations(self) -> tuple[Equations, ...]:
        """Give every sum that holds among the cells: over one dimension of one margin each."""
        found: list[Equations] = []
        for margin in self.margins:
            numbers = self.numbers(margin)
            for at in range(len(margin)):
                lower = (*margin[:at], *margin[at + 1 :])
                parts = np.moveaxis(numbers, at, -1).reshape(-1, self.sizes[margin[at]])
                found.append((self.numbers(lower).reshape(-1), parts))
        return tuple(found)

    def filled(self, tables: Mapping[Axes, Floats]) -> Floats:
        """Bring tables into one row of numbers; a margin without one is summed up from another.

        Args:
            tables: of every margin that is not summed up to by another, float64.
        """
        values = np.zeros(self.cells)
        for margin in reversed(self.margins):
            if margin in tables:
                values[self.place(margin)] = tables[margin].reshape(-1)
                continue
            wider = next(
                each
                for each in self.margins
                if len(each) == len(margin) + 1 and set(margin) < set(each)
            )
            lost = next(at for at, axis in enumerate(wider) if axis not in margin)
            table = values[self.place(wider)].reshape(self.shape(wider))
            values[self.place(margin)] = table.sum(axis=lost).reshape(-1)
        return values
