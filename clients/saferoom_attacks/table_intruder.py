"""An intruder who derives, by linear programmes, how many firms there can be in a few's set.

It knows the rules, which classes can go together, how many firms there are of some classes, and of
every number that was told the exact one behind it: more than a bank is told.

Source: Fellegi, "On the question of statistical confidentiality", JASA 67, 1972: what tables tell
is what their linear relations leave possible. Linear reconstruction: Dinur and Nissim, PODS 2003.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

from saferoom_attacks.books import Book, Row
from saferoom_attacks.table_ask import Cell, Sheet, counted

NEARLY: Final = 1e-6
"""Ten times the solver's tolerance, in firms."""
_SOLVED: Final = 0

Codes = tuple[int, ...]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class World:
    """What an attack is about.

    Attributes:
        columns: those that its plans may have.
        possible: the combinations of their classes that can be.
        targets: sets of such combinations, each of few firms.
        known: columns of which everybody knows how many firms each class has.
    """

    columns: tuple[Book, ...]
    possible: tuple[Codes, ...]
    targets: tuple[frozenset[Codes], ...]
    known: tuple[Book, ...] = ()

    def few(self, firms: Iterable[Row]) -> list[float]:
        """Count the firms of each target."""
        counts = self._counts(firms)
        at = {codes: place for place, codes in enumerate(self.possible)}
        return [sum(counts[at[codes]] for codes in target) for target in self.targets]

    def ranges(self, told: Iterable[Sheet], firms: Sequence[Row]) -> list[tuple[int, int]]:
        """Derive between which counts each target is.

        Args:
            told: the tables; that a number was told counts, not how it was rounded.
            firms: the records that they were of, from which the exact numbers are taken.
        """
        names = {book.name for book in self.columns}
        cells = {cell for sheet in told for cell in sheet if names.issuperset(cell[0])}
        cells |= {cell for book in self.known for cell in counted(firms, (book,))}
        counts = self._counts(firms)
        sets = np.array([self._members(cell) for cell in [((), ()), *sorted(cells)]])
        sums = sets @ counts
        return [self._range(sets, sums, target) for target in self.targets]

    def _range(self, sets: Floats, sums: Floats, target: frozenset[Codes]) -> tuple[int, int]:
        wanted = np.array([float(codes in target) for codes in self.possible])
        ends = [sign * _solved(sign * wanted, sets, sums) for sign in (1, -1)]
        return math.ceil(ends[0] - NEARLY), math.floor(ends[1] + NEARLY)

    def _members(self, cell: Cell) -> list[float]:
        """Tell which combinations a cell adds up."""
        names = [book.name for book in self.columns]
        wanted = [(names.index(name), code) for name, code in zip(*cell, strict=True)]
        return [float(all(codes[at] == code for at, code in wanted)) for codes in self.possible]

    def _counts(self, firms: Iterable[Row]) -> Floats:
        found = counted(firms, self.columns)
        names = tuple(book.name for book in self.columns)
        return np.array([found.get((names, codes), 0.0) for codes in self.possible])


def derived(
    known: Sequence[tuple[Cell, float]], cells: Sequence[Cell], most: float
) -> list[tuple[float, float]]:
    """Derive between which amounts the sums of some cells are, all of one column.

    Args:
        known: cells, the total too, with the sums that were told.
        cells: all of the column.
        most: that a sum can be.
    """
    everything: Cell = ((), ())
    rows = [[float(cell in (each, everything)) for each in cells] for cell, _ in known]
    sets = np.array(rows).reshape(len(known), len(cells))
    sums = np.array([number for _, number in known])
    scale = max(1.0, most)
    found: list[tuple[float, float]] = []
    for at in range(len(cells)):
        wanted = np.eye(len(cells))[at]
        ends = [
            sign * float(_solved(sign * wanted, sets, sums / scale, 1.0)) * scale
            for sign in (1, -1)
        ]
        found.append((ends[0], ends[1]))
    return found


def _solved(aim: Floats, sets: Floats, sums: Floats, most: float | None = None) -> float:
    """Minimise a sum of numbers, none below nothing, that add up to what is known."""
    solved = linprog(aim, A_eq=sets, b_eq=sums, bounds=(0, most), method="highs")
    if solved.status != _SOLVED:
        raise ArithmeticError(f"the linear programme ended with {solved.status}")
    return float(solved.fun)
