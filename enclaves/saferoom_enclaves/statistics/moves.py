"""Complementary suppression: what else is withheld, so that a telling cell could be otherwise.

A move takes subjects (or amounts) from some cells to others so that every published number stays
what it is. In the plain case it turns a cube: the telling cell and its neighbours along some
dimensions, alternately more and less. It is found by looking, and its cells are withheld; that the
cell can then be so much more or less is exact, and stays true whatever else is withheld later.

Source: the hypercube method (Repsilber 1994; Giessing and Repsilber 2002; Hundepool et al. 2012,
section 4.4), here over all margins at once, with each move kept as a certificate.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import combinations, product
from typing import Final

import numpy as np

from saferoom_enclaves.statistics.lattice import Axes, Flags, Floats, Integers, Lattice
from saferoom_enclaves.statistics.primary import Demand

HALVINGS: Final = 4
"""How often the step is halved where no single cube has room for the whole: to a sixteenth."""

TRIED: Final = 24
"""How many of the cheapest cubes are looked at whole before the next step is taken."""

MAX_LOOKS: Final = 60_000
"""Most cubes that are looked for in one family: two minutes. A plan of 16,176 cells of which 2,386
were telling took 19,707; one that needs more is too thin to be of use, and nothing of it leaves."""


@dataclass(frozen=True, slots=True)
class Cube:
    """A cell's neighbours along some dimensions, in every margin that holds those dimensions.

    Attributes:
        cells: numbers of the cells.
        signs: +1 where there is more, and -1 where there is less.
        step: how much.
        cost: of withholding those that are not yet withheld.
    """

    cells: Integers
    signs: Floats
    step: float
    cost: float


@dataclass(frozen=True, slots=True)
class Move:
    """What could be otherwise while every published number stays: cells and their change."""

    cells: Integers
    change: Floats


@dataclass(frozen=True, slots=True)
class _Telling:
    """A telling cell on its way up (or down), and how far others can go with it and against it."""

    cell: int
    margin: Axes
    held: Mapping[int, int]
    need: float
    grain: float
    along: Floats
    against: Floats

    def after(self, cubes: list[Cube]) -> _Telling:
        """The same, when these cubes have used up what they use."""
        if not cubes:
            return self
        along, against = self.along.copy(), self.against.copy()
        for cube in cubes:
            more = cube.signs > 0
            along[cube.cells[more]] -= cube.step
            against[cube.cells[~more]] -= cube.step
        return replace(self, along=along, against=against)


class Withholding:
    """Which cells of one family are withheld, and the moves that show it is enough."""

    def __init__(self, lattice: Lattice, values: Floats, withheld: Flags, fixed: Flags) -> None:
        """Takes the numbers, the cells withheld so far, and those that left before."""
        self._lattice: Final = lattice
        self.withheld: Final = withheld.copy()
        # A cell costs one, and more the more subjects are in it: few cells, and small ones.
        worth = 1.0 + np.log1p(np.abs(values))
        self._cost: Final = np.where(withheld, 0.0, np.where(fixed, np.inf, worth))
        self._above: Final[dict[Axes, tuple[Axes, ...]]] = {}
        self._looks = 0
        self.moves: Final[list[Move]] = []

    def withhold(self, cells: Flags) -> None:
        """Withhold some cells more."""
        self.withheld[cells] = True
        self._cost[cells] = 0.0

    def protect(self, demand: Demand) -> bool:
        """Withhold what it takes for every telling cell to be able to move as far as it must.

        Returns:
            Whether it can. If not, what is withheld by then is not enough.
        """
        ways = (
            (1.0, demand.rise, demand.up, demand.down),
            (-1.0, demand.fall, demand.down, demand.up),
        )
        for sign, need, along, against in ways:
            shown = np.zeros(len(need))
            for cell in np.flatnonzero(need > 0).tolist():
                if shown[cell] >= need[cell]:
                    continue
                margin, at = self._lattice.where(cell)
                held = dict(zip(margin, at, strict=True))
                goal = float(need[cell])
                found = self._search(
                    _Telling(cell, margin, held, goal, demand.grain, along, against)
                )
                if found is None:
                    return False
                move = self._withhold(found, sign)
                shown[move.cells] = np.maximum(shown[move.cells], sign * move.change)
        return True

    def _withhold(self, cubes: list[Cube], sign: float) -> Move:
        for cube in cubes:
            self.withheld[cube.cells] = True
            self._cost[cube.cells] = 0.0
        cells = np.concatenate([each.cells for each in cubes])
        steps = np.concatenate([each.signs * each.step for each in cubes])
        kept, inverse = np.unique(cells, return_inverse=True)
        change: Floats = np.zeros(len(kept))
        np.add.at(change, inverse, sign * steps)
        move = Move(kept, change)
        self.moves.append(move)
        return move

    def _search(self, telling: _Telling) -> list[Cube] | None:
        """Find the cubes by which a cell can move as far as it must: the cheapest that are seen."""
        whole = self._cube(telling, telling.margin, telling.need)
        if whole is not None:
            return [whole]
        best: list[Cube] | None = None
        for ways in range(len(telling.margin), -1, -1):
            for turned in combinations(telling.margin, ways):
                found = self._gather(telling, turned)
                if found is not None and (best is None or _cost(found) < _cost(best)):
                    best = found
        return best

    def _gather(self, telling: _Telling, turned: Axes) -> list[Cube] | None:
        """Find cubes that together reach the need, each as large a part of it as there is."""
        found: list[Cube] = []
        grain = telling.grain
        left = step = telling.need
        least = max(grain, step / 2**HALVINGS)
        while left > 0:
            cube = self._cube(telling.after(found), turned, min(step, left))
            if cube is not None:
                found.append(cube)
                left -= cube.step
            elif step > least:
                step = math.ceil(step / 2 / grain) * grain if grain else step / 2
            else:
                return None
        return found

    def _cube(self, telling: _Telling, turned: Axes, step: float) -> Cube | None:
        """Find the cheapest cube along some dimensions that has room for a step."""
        self._looks += 1
        if self._looks > MAX_LOOKS:
            return None
        cost, chosen = self._prices(telling, turned, step)
        flat = cost.reshape(-1)
        sizes = [self._lattice.sizes[axis] for axis in turned]
        corners: list[tuple[int, ...]] = list(product(*(range(size) for size in sizes)))
        order: list[int] = np.argsort(flat, kind="stable")[:TRIED].tolist()
        for candidate in order:
            if flat[candidate] == np.inf:
                return None
            base = {axis: int(picks[candidate]) for axis, picks in chosen.items()}
            opposite: dict[int, int] = dict(zip(turned, corners[candidate], strict=True))
            cube = self._whole(telling, {**base, **telling.held}, opposite, step)
            if cube is not None:
                return cube
        return None

    def _prices(
        self, telling: _Telling, turned: Axes, step: float
    ) -> tuple[Floats, dict[int, Integers]]:
        """What each opposite corner costs, and the class of each other dimension that goes with it.

        Margins with two or more other dimensions are left to `_whole`.
        """
        shape = tuple(self._lattice.sizes[axis] for axis in turned)
        cost: Floats = np.zeros(shape)
        for at, axis in enumerate(turned):
            np.moveaxis(cost, at, 0)[telling.held[axis]] = np.inf
        beside: dict[int, list[Axes]] = {}
        for margin in self._margins(turned):
            free = [axis for axis in margin if axis not in telling.held]
            if not free:
                cost = cost + self._price(margin, telling, turned, step)
            elif len(free) == 1:
                beside.setdefault(free[0], []).append(margin)
        chosen: dict[int, Integers] = {}
        for axis, those in beside.items():
            price: Floats = np.zeros((*shape, self._lattice.sizes[axis]))
            for margin in those:
                price = price + self._price(margin, telling, turned, step)
            chosen[axis] = price.argmin(axis=-1).reshape(-1)
            cost = cost + price.min(axis=-1)
        return cost, chosen

    def _price(self, margin: Axes, telling: _Telling, turned: Axes, step: float) -> Floats:
        """The cost in one margin, for each opposite corner and each class of what is free.

        Infinite where a cell has left before, or has no room.
        """
        place, held = self._lattice.place(margin), telling.held
        fixed = tuple(
            held[axis] if axis in held and axis not in turned else slice(None) for axis in margin
        )
        left = [axis for axis in margin if axis not in held or axis in turned]
        order = [left.index(axis) for axis in turned]
        order += [at for at in range(len(left)) if at not in order]
        total: Floats = np.zeros(())
        for corner in product((False, True), repeat=len(turned)):
            index = tuple(
                slice(None) if far else slice(held[axis], held[axis] + 1)
                for axis, far in zip(turned, corner, strict=True)
            )
            cost = self._cost[place]
            if margin != telling.margin or any(corner):
                room = telling.against if sum(corner) % 2 else telling.along
                cost = np.where(room[place] >= step, cost, np.inf)
            table = cost.reshape(self._lattice.shape(margin))[fixed]
            total = total + np.transpose(table, order)[index]
        return total

    def _whole(
        self, telling: _Telling, base: dict[int, int], opposite: dict[int, int], step: float
    ) -> Cube | None:
        """Name a cube's cells in every margin, or none if one of them has no room."""
        lattice = self._lattice
        cells: list[int] = []
        signs: list[float] = []
        for corner in product((False, True), repeat=len(opposite)):
            far = {axis for axis, away in zip(opposite, corner, strict=True) if away}
            here = {**base, **{axis: opposite[axis] for axis in far}}
            for margin in self._margins(tuple(opposite)):
                cells.append(lattice.number(margin, here))
                signs.append(-1.0 if len(far) % 2 else 1.0)
        found, ways = np.array(cells, dtype=np.int64), np.array(signs)
        room = np.where(ways > 0, telling.along[found], telling.against[found])
        # How far the telling cell itself goes is what its demand says.
        enough = (room >= step) | (found == telling.cell)
        cost = float(self._cost[found].sum())
        return Cube(found, ways, step, cost) if enough.all() and math.isfinite(cost) else None

    def _margins(self, turned: Axes) -> tuple[Axes, ...]:
        if turned not in self._above:
            self._above[turned] = self._lattice.above(turned)
        return self._above[turned]


def _cost(cubes: list[Cube]) -> float:
    return sum(each.cost for each in cubes)
