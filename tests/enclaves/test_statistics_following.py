"""Two columns of which one follows from the other: two grids over one amount, regions of districts.

The intruder knows every number that left before it was rounded, and which classes cannot go
together: nobody is below 40 by one grid and above 60 by the other. By linear programmes it looks
for sets of few subjects that could not be larger by the threshold, in every stretch of the amount.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, cast

import numpy as np
import pytest
from scipy.optimize import linprog

from saferoom_enclaves.statistics import primary, watched
from saferoom_enclaves.statistics.lattice import Flags, Floats
from saferoom_enclaves.statistics.primary import Demand
from saferoom_enclaves.statistics.protect import LEFT, Before, protect
from saferoom_enclaves.statistics.tabulate import UNIT, Columns
from saferoom_proto.tables.plan import Dimension, Measure, MeasureKind, ReleasePlan
from saferoom_proto.tables.rules import Rules

ROOMS: Final = Rules()
COUNT: Final = (Measure(MeasureKind.COUNT),)
HIGHEST: Final = 64
SEEDS: Final = range(14)


@dataclass(frozen=True, slots=True)
class TwoGrids:
    """Firms with one amount each, and two grids over it that differ by little."""

    amounts: np.ndarray
    grids: tuple[tuple[int, ...], tuple[int, ...]]

    @classmethod
    def drawn(cls, seed: int) -> TwoGrids:
        draw = np.random.default_rng(seed)
        amounts = draw.integers(0, HIGHEST, size=int(draw.integers(150, 500)))
        first = {int(cut) for cut in draw.choice(np.arange(1, HIGHEST), 7, replace=False)}
        shifted = {min(HIGHEST - 1, max(1, cut + int(draw.integers(-2, 3)))) for cut in first}
        return cls(amounts, (tuple(sorted(first)), tuple(sorted(shifted))))

    def codes(self, which: int) -> np.ndarray:
        found = np.searchsorted(np.array(self.grids[which]), self.amounts, side="right")
        return found.astype(np.int8)

    def dimension(self, which: int) -> Dimension:
        name = "ab"[which]
        classes = tuple(f"{name}{at}" for at in range(len(self.grids[which]) + 1))
        return Dimension(name, classes)

    def pinned(self, plans: Sequence[ReleasePlan]) -> int:
        """Count the stretches of few firms that are told to be few, once the plans were told."""
        columns = Columns({"a": self.codes(0), "b": self.codes(1)}, {})
        before = Before(1)
        for plan in plans:
            before = protect(plan, columns, before, ROOMS).after
        # What can be: the stretches between any two cuts, by which cell of both grids each is in.
        cuts = sorted({*self.grids[0], *self.grids[1]})
        middles = np.array([0, *cuts])
        where = [np.searchsorted(np.array(grid), middles, side="right") for grid in self.grids]
        held = np.searchsorted(np.array(cuts), self.amounts, side="right")
        firms = np.bincount(held, minlength=len(middles)).astype(np.float64)
        sets: list[Floats] = []
        for margin, became in before.shown[""].items():
            for at in np.argwhere(became == LEFT):
                inside = np.ones(len(middles))
                for name, each in zip(margin, at, strict=True):
                    inside *= where["ab".index(name)] == each
                sets.append(inside)
        assert sets, "something is told, or nothing could be"
        return sum(
            _most(np.stack(sets), firms, one) < ROOMS.threshold - 1e-6
            for first in range(len(firms))
            for last in range(first + 1, len(firms) + 1)
            if 0 < firms[first:last].sum() < ROOMS.threshold
            for one in [np.isin(np.arange(len(firms)), np.arange(first, last)).astype(np.float64)]
        )


def _most(sets: Floats, firms: Floats, wanted: Floats) -> float:
    """Derive how many firms there can be at most in a set."""
    found = cast("Any", linprog)(-wanted, A_eq=sets, b_eq=sets @ firms, bounds=(0, None))
    return np.inf if found.status else -float(found.fun)


def apart(grids: TwoGrids) -> list[ReleasePlan]:
    """Ask by one grid, and then by the other."""
    return [
        ReleasePlan((grids.dimension(0),), (), COUNT, ((), ("a",)), 1),
        ReleasePlan((grids.dimension(1),), (), COUNT, ((), ("b",)), 1),
    ]


def together(grids: TwoGrids) -> list[ReleasePlan]:
    """Ask by both at once, and all margins."""
    both = (grids.dimension(0), grids.dimension(1))
    return [ReleasePlan(both, (), COUNT, ((), ("a",), ("b",), ("a", "b")), 1)]


def count_pinned(plans: Any, seeds: Sequence[int] = SEEDS) -> int:
    return sum(grids.pinned(plans(grids)) for grids in map(TwoGrids.drawn, seeds))


@pytest.mark.parametrize("plans", [apart, together])
def test_two_grids_over_one_amount_tell_of_no_few_firms(plans: Any) -> None:
    assert count_pinned(plans) == 0


def test_two_grids_that_nobody_watches_tell_of_few_firms(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> bool:
        return False

    monkeypatch.setattr(watched, "follows", never)
    assert count_pinned(apart, range(4)) > 0, "the control pins nothing"


def test_firms_in_cells_where_nobody_can_be_hide_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = primary._of_units

    def as_if_anybody(weights: Floats, small: Flags, *rest: Any) -> tuple[Demand, ...]:
        held, *_ = honest(weights, small, *rest)
        anywhere, need = np.full(len(weights), np.inf), np.where(small, 10.0 * UNIT, 0.0)
        return (replace(held, up=anywhere, rise=need),)

    monkeypatch.setattr(primary, "_of_units", as_if_anybody)
    assert count_pinned(together, (7, 8)) > 0, "the control pins nothing"


def test_districts_and_their_regions_tell_of_no_few_firms() -> None:
    """All of a region but three firms are in three districts, which have a few others' firms."""
    sizes = (40, 30, 50, 60, 45, 55)
    district = np.repeat(np.arange(6), sizes).astype(np.int8)
    region = (district >= 3).astype(np.int8)
    region[np.flatnonzero(district == 0)[:3]] = 1
    columns = Columns({"a": district, "b": region}, {})
    districts = Dimension("a", tuple(f"district {at}" for at in range(6)))
    regions = Dimension("b", ("south", "north"))
    first = protect(
        ReleasePlan((districts,), (), COUNT, ((), ("a",)), 1), columns, Before(1), ROOMS
    )
    assert (first.after.shown[""]["a",] == LEFT).all()
    then = ReleasePlan((regions,), (), COUNT, ((), ("b",)), 1)
    after = protect(then, columns, first.after, ROOMS).after
    assert not (after.shown[""]["b",] == LEFT).any()


def test_a_plan_of_other_columns_ends_no_watch() -> None:
    """Two flags that differ by three firms are told apart no more for a wider plan beside them."""
    draw = np.random.default_rng(2)
    flag = np.repeat([1, 0], [100, 200]).astype(np.int8)
    nearly = flag.copy()
    nearly[:3] = 0
    others = {name: draw.integers(0, 2, size=300).astype(np.int8) for name in "cd"}
    columns = Columns({"a": flag, "b": nearly, **others}, {})
    dimension = {name: Dimension(name, ("no", "yes")) for name in "abcd"}
    wide = (dimension["c"], dimension["d"])
    before = protect(
        ReleasePlan(wide, (), COUNT, (("c", "d"),), 1), columns, Before(1), ROOMS
    ).after
    first, then = (ReleasePlan((dimension[name],), (), COUNT, ((), (name,)), 1) for name in "ab")
    before = protect(first, columns, before, ROOMS).after
    guarded = protect(then, columns, before, ROOMS)
    assert (0, 1) in guarded.families[""].lattice.margins, "the flags' own table"
    assert not (guarded.after.shown[""]["b",] == LEFT).any()


@pytest.mark.soak
@pytest.mark.parametrize("plans", [apart, together])
def test_many_grids_over_one_amount_tell_of_no_few_firms(plans: Any) -> None:
    assert count_pinned(plans, range(1000, 1600)) == 0
