"""Small tables of subjects, plans about them, and an intruder who enumerates every store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from typing import Final

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp

from saferoom_enclaves.statistics.lattice import Floats, Integers
from saferoom_enclaves.statistics.protect import Before, Protected, protect
from saferoom_enclaves.statistics.publish import ShownTable, publish
from saferoom_enclaves.statistics.tabulate import Columns
from saferoom_proto.tables.plan import (
    Dimension,
    Margin,
    Measure,
    MeasureKind,
    ReleasePlan,
    Variable,
    every_margin,
)
from saferoom_proto.tables.rules import Rules

NAMES: Final = ("a", "b", "c", "d")


def dimensions(shape: Sequence[int]) -> tuple[Dimension, ...]:
    return tuple(
        Dimension(name, tuple(f"{name}{k}" for k in range(size)))
        for name, size in zip(NAMES, shape, strict=False)
    )


def plan_of(
    shape: Sequence[int],
    margins: Sequence[Margin] | int,
    measures: Sequence[Measure] = (Measure(MeasureKind.COUNT),),
    variables: Sequence[Variable] = (),
    epoch: int = 1,
) -> ReleasePlan:
    """A plan about the first dimensions, of all margins up to so many ways or of those named."""
    known = dimensions(shape)
    if isinstance(margins, int):
        margins = every_margin([each.name for each in known], margins)
    return ReleasePlan(known, tuple(variables), tuple(measures), tuple(margins), epoch)


def columns_of(counts: Integers, amounts: dict[str, Floats] | None = None) -> Columns:
    """One subject after the other, from how many there are of each combination of classes."""
    where = np.repeat(np.arange(counts.size), counts.reshape(-1))
    classes = np.unravel_index(where, counts.shape)
    return Columns(
        {name: each.astype(np.int8) for name, each in zip(NAMES, classes, strict=False)},
        amounts or {},
    )


def released(
    plan: ReleasePlan, columns: Columns, rules: Rules, before: Before | None = None
) -> tuple[Protected, tuple[ShownTable, ...]]:
    protected = protect(plan, columns, before or Before(plan.epoch), rules)
    return protected, publish(protected)


@cache
def stores(shape: tuple[int, ...], total: int) -> Integers:
    """Every table of that shape with so many subjects; shape (tables, cells)."""
    cells = int(np.prod(shape))
    bars = np.array(list(combinations(range(total + cells - 1), cells - 1)), dtype=np.int64)
    ends = np.full((len(bars), 1), total + cells - 1)
    return np.diff(np.hstack([np.full_like(ends, -1), bars, ends]), axis=1) - 1


def members(shape: tuple[int, ...], margin: Margin) -> Floats:
    """Which cells of the whole table each cell of a margin sums up; shape (lines, cells)."""
    dims = [NAMES.index(name) for name in margin]
    at = np.stack(np.unravel_index(np.arange(int(np.prod(shape))), shape))
    lines = np.ravel_multi_index(at[dims], [shape[axis] for axis in dims]) if dims else at[0] * 0
    size = int(np.prod([shape[axis] for axis in dims]))
    return (np.arange(size)[:, None] == lines).astype(np.float64)


@dataclass(frozen=True, slots=True)
class Told:
    """What an intruder reads of a set of cells: between which counts it lies."""

    sets: Floats
    low: Floats
    high: Floats


def told(
    shape: tuple[int, ...],
    tables: Sequence[ShownTable],
    rules: Rules,
    truth: Integers | None = None,
) -> Told:
    """Read tables of counts as one who knows the rules; exactly, if the truth is handed in."""
    sets: list[Floats] = [np.zeros((0, int(np.prod(shape))))]
    low: list[float] = []
    high: list[float] = []
    for table in tables:
        shown = [at for at, line in enumerate(table.lines) if line.number is not None]
        chosen = members(shape, table.margin)[shown]
        sets.append(chosen)
        if truth is not None:
            low += (chosen @ truth.reshape(-1)).tolist()
            high += (chosen @ truth.reshape(-1)).tolist()
            continue
        for at in shown:
            number = table.lines[at].number or 0.0
            low.append(max(rules.threshold, number - rules.base // 2))
            high.append(number + (rules.base - 1) // 2)
    return Told(np.vstack(sets), np.array(low), np.array(high))


def pinned_by_enumeration(
    shape: tuple[int, ...], known: Told, totals: range, threshold: int
) -> list[tuple[int, ...]]:
    """Enumerate every store; give the sets of cells, of few subjects, whose count is then known."""
    tables = np.vstack([stores(shape, total) for total in totals])
    for chosen, low, high in zip(known.sets, known.low, known.high, strict=True):
        count = tables @ chosen
        tables = tables[(low <= count) & (count <= high)]
    counts = tables @ _every_set(tables.shape[1]).T
    pinned = (counts.min(axis=0) == counts.max(axis=0)) & (counts[0] < threshold)
    return [_named(chosen) for chosen in _every_set(tables.shape[1])[pinned]]


class Solver:
    """An intruder for larger tables: finds stores by integer programmes, where it must."""

    def __init__(self, known: Told, truth: Integers, seed: int = 1) -> None:
        self._known = known
        self._truth = truth.reshape(-1)
        draw = np.random.default_rng(seed)
        found = [self._store(draw.normal(size=truth.size)) for _ in range(truth.size)]
        self._stores = np.array([self._truth, *found])

    def _store(self, aim: Floats) -> Integers:
        cells = len(self._truth)
        known = [LinearConstraint(self._known.sets, self._known.low, self._known.high)]
        solved = milp(
            aim,
            constraints=known if len(self._known.sets) else [],
            integrality=np.ones(cells),
            bounds=Bounds(0.0, 2.0 * self._truth.sum() + 100),
        )
        assert solved.status == 0
        assert solved.x is not None
        return np.round(solved.x).astype(np.int64)

    def bounds(self, chosen: Floats) -> tuple[int, int]:
        """The least and the most that a set of cells can hold."""
        return int(chosen @ self._store(chosen)), int(chosen @ self._store(-chosen))

    def pins(self, threshold: int) -> list[tuple[int, ...]]:
        """Give the sets of cells, of few subjects, whose count is known."""
        sets = _every_set(len(self._truth))
        sets = sets[sets @ self._truth < threshold]
        counts = self._stores @ sets.T
        alike = sets[counts.min(axis=0) == counts.max(axis=0)]
        return [_named(each) for each in alike if len(set(self.bounds(each))) == 1]


def _every_set(cells: int) -> Floats:
    """Every set of cells but the empty one; shape (sets, cells)."""
    numbers = np.arange(1, 2**cells, dtype=np.int64)
    return ((numbers[:, None] >> np.arange(cells, dtype=np.int64)) & 1).astype(np.float64)


def _named(chosen: Floats) -> tuple[int, ...]:
    return tuple(np.flatnonzero(chosen).tolist())
