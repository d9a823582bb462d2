"""An intruder with every store at hand learns of no set of few subjects how many it holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saferoom_enclaves.statistics.lattice import Integers
from saferoom_enclaves.statistics.protect import Before, Protected
from saferoom_enclaves.statistics.publish import Line, ShownTable
from saferoom_proto.tables.plan import Margin, every_margin
from saferoom_proto.tables.rules import Rules

from .statistics_tables import (
    NAMES,
    Solver,
    columns_of,
    members,
    pinned_by_enumeration,
    plan_of,
    released,
    told,
)

ROOMS: Final = Rules()
SMALL: Final = Rules(threshold=3, base=1)
"""The same rules over a threshold that lets every store be enumerated; nothing is rounded."""

SHAPES: Final = ((2, 2), (2, 3), (3, 3), (2, 2, 2), (2, 2, 3))


@st.composite
def tables(draw: st.DrawFn, shapes: Sequence[tuple[int, ...]], most: int) -> Integers:
    """A table of counts, with empty, small and large cells side by side."""
    shape = draw(st.sampled_from(shapes))
    cell = st.one_of(st.integers(0, 3), st.integers(0, most), st.integers(most // 2, most))
    size = int(np.prod(shape))
    return np.array(draw(st.lists(cell, min_size=size, max_size=size))).reshape(shape)


def widths(solver: Solver, truth: Integers, protected: Protected) -> list[int]:
    """How far each too telling cell that was asked for can lie from side to side."""
    guarded = protected.families[""]
    found: list[int] = []
    for cell in np.flatnonzero(guarded.family.telling & guarded.asked).tolist():
        margin, at = guarded.lattice.where(cell)
        names = tuple(NAMES[axis] for axis in margin)
        line = int(np.ravel_multi_index(at, guarded.lattice.shape(margin))) if margin else 0
        low, high = solver.bounds(members(truth.shape, names)[line])
        found.append(high - low)
    return found


@settings(max_examples=25)
@given(tables([(2, 2), (2, 3)], 5))
def test_of_all_stores_that_fit_some_differ_in_every_small_set(truth: Integers) -> None:
    total = int(truth.sum())
    _, out = released(plan_of(truth.shape, 2), columns_of(truth), SMALL)
    known = told(truth.shape, out, SMALL, truth)
    around = range(max(0, total - 1), total + 2)
    assert not pinned_by_enumeration(truth.shape, known, around, SMALL.threshold)


@settings(max_examples=25)
@given(tables(SHAPES, 40))
def test_nobody_who_knows_the_exact_numbers_pins_a_small_set(truth: Integers) -> None:
    protected, out = released(plan_of(truth.shape, 3), columns_of(truth), ROOMS)
    solver = Solver(told(truth.shape, out, ROOMS, truth), truth)
    assert not solver.pins(ROOMS.threshold)
    assert all(each >= ROOMS.threshold for each in widths(solver, truth, protected))


@settings(max_examples=10)
@given(tables(SHAPES, 40))
def test_nobody_who_reads_what_leaves_pins_a_small_set(truth: Integers) -> None:
    protected, out = released(plan_of(truth.shape, 3), columns_of(truth), ROOMS)
    solver = Solver(told(truth.shape, out, ROOMS), truth)
    assert not solver.pins(ROOMS.threshold)
    assert all(each >= ROOMS.threshold for each in widths(solver, truth, protected))


@settings(max_examples=15)
@given(tables([(2, 2, 2), (2, 2, 3), (3, 3)], 40), st.data())
def test_no_plans_one_after_the_other_pin_a_small_set(truth: Integers, data: st.DataObject) -> None:
    every = every_margin(NAMES[: truth.ndim], 3)
    some = st.lists(st.sampled_from(every), min_size=1, max_size=4, unique=True)
    seen: list[ShownTable] = []
    before = Before(1)
    for margins in (*data.draw(st.lists(some, min_size=1, max_size=3)), every):
        protected, out = released(plan_of(truth.shape, margins), columns_of(truth), ROOMS, before)
        before = protected.after
        seen += out
    solver = Solver(told(truth.shape, seen, ROOMS, truth), truth)
    assert not solver.pins(ROOMS.threshold)


def test_margins_of_two_ways_do_not_tell_who_is_in_all_three_classes_or_in_none() -> None:
    """Found by the intruder: n(abc) + n(neither) follows from the two-way margins of flags."""
    truth = np.array([[[2, 41], [36, 58]], [[40, 69], [58, 7]]])
    plan = plan_of(truth.shape, 2)
    _, out = released(plan, columns_of(truth), ROOMS)
    open_tables = [unprotected(truth, table.margin) for table in out]
    seen = Solver(told(truth.shape, open_tables, ROOMS, truth), truth)
    assert (0, 7) in seen.pins(ROOMS.threshold)
    assert not Solver(told(truth.shape, out, ROOMS, truth), truth).pins(ROOMS.threshold)


@pytest.mark.parametrize(
    "truth", [np.array([[2, 30], [40, 50]]), np.array([[4, 20, 30], [25, 40, 11], [12, 33, 18]])]
)
def test_the_intruder_finds_what_small_cells_alone_would_give_away(truth: Integers) -> None:
    """The control: what is withheld for its own sake only, as `acro` does, is derived."""
    plan = plan_of(truth.shape, 2)
    _, out = released(plan, columns_of(truth), ROOMS)
    primary = [unprotected(truth, table.margin) for table in out]
    assert (0,) in Solver(told(truth.shape, primary, ROOMS, truth), truth).pins(ROOMS.threshold)
    assert not Solver(told(truth.shape, out, ROOMS, truth), truth).pins(ROOMS.threshold)


@pytest.mark.soak
@settings(max_examples=1500)
@given(tables([*SHAPES, (3, 4), (2, 2, 2, 2)], 60))
def test_nobody_pins_a_small_set_of_many_tables(truth: Integers) -> None:
    _, out = released(plan_of(truth.shape, 3), columns_of(truth), ROOMS)
    assert not Solver(told(truth.shape, out, ROOMS, truth), truth).pins(ROOMS.threshold)


def unprotected(truth: Integers, margin: Margin) -> ShownTable:
    """A table of counts from which only the small ones are missing."""
    counts = members(truth.shape, margin) @ truth.reshape(-1)
    lines = [Line((), float(n) if n >= ROOMS.threshold else None) for n in counts.tolist()]
    plan = plan_of(truth.shape, [margin])
    return ShownTable(plan.measures[0], margin, tuple(lines))
