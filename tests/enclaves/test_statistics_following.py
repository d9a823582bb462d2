"""Two columns of which one follows from the other: two grids over one amount, regions of districts.

The intruder knows every number that left before it was rounded, and which classes cannot go
together: nobody is below 40 by one grid and above 60 by the other. By linear programmes it looks
for sets of few subjects that could not be larger by the threshold, in every stretch of the amount.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product
from typing import Any, Final, cast

import numpy as np
import pytest
from scipy.optimize import linprog

from saferoom_enclaves.statistics import primary
from saferoom_enclaves.statistics import protect as protecting
from saferoom_enclaves.statistics.fixed import FixedSets
from saferoom_enclaves.statistics.guard import LEFT
from saferoom_enclaves.statistics.lattice import Flags, Floats
from saferoom_enclaves.statistics.primary import Demand
from saferoom_enclaves.statistics.protect import Before, protect
from saferoom_enclaves.statistics.publish import publish
from saferoom_enclaves.statistics.tabulate import UNIT, Columns
from saferoom_enclaves.statistics.watched import Finer, Looks
from saferoom_proto.tables.plan import (
    Dimension,
    Measure,
    MeasureKind,
    ReleasePlan,
    Variable,
    every_margin,
)
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


def told(before: Before, *margin: str) -> Flags:
    """Tell which cells of a margin left by now."""
    none = np.zeros([len(before.dimensions[name].classes) for name in margin], dtype=np.int8)
    return before.shown[""].get(margin, none) == LEFT


def nothing(*_: object) -> dict[Any, Any]:
    """Look for no small sets."""
    return {}


@pytest.mark.parametrize("plans", [apart, together])
def test_two_grids_over_one_amount_tell_of_no_few_firms(plans: Any) -> None:
    assert count_pinned(plans) == 0


def test_two_grids_that_nobody_watches_tell_of_few_firms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Finer, "fixed", nothing)
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
    assert not told(after, "b").any()


LINES: Final = 4
ALIKE: Final = 5
"""Firms of a line that have all three flags or none."""


def lines_and_flags() -> Columns:
    """Firms of some lines with three flags: few have all or none, of any two there are many."""
    mixed = [each for each in product((0, 1), repeat=3) if len(set(each)) > 1]
    flags = [
        (at % 2,) * 3 if at < ALIKE else mixed[at % len(mixed)]
        for _ in range(LINES)
        for at in range(80)
    ]
    line = np.repeat(np.arange(LINES), 80).astype(np.int8)
    of = np.array(flags, dtype=np.int8).T
    draw = np.random.default_rng(2)
    others = {name: draw.integers(0, 2, size=len(line)).astype(np.int8) for name in "xyz"}
    return Columns({"line": line, **dict(zip("abc", of, strict=True)), **others}, {})


def told_by_pairs(columns: Columns) -> list[float]:
    """Reckon how many of each line have all three flags or none, where pairs tell it."""
    dimension = {name: Dimension(name, ("no", "yes")) for name in "abcxyz"}
    line = Dimension("line", tuple(f"line {at}" for at in range(LINES)))
    plans = [
        # A wider plan of other columns ends no watch.
        ReleasePlan(tuple(dimension[name] for name in "xyz"), (), COUNT, (("x", "y", "z"),), 1),
        *(
            ReleasePlan(
                (line, dimension[one], dimension[other]),
                (),
                COUNT,
                every_margin(("line", one, other), 3),
                1,
            )
            for one, other in combinations("abc", 2)
        ),
    ]
    before = Before(1)
    for plan in plans:
        before = protect(plan, columns, before, ROOMS).after
    classes = columns.classes
    found: list[float] = []
    for at in range(LINES):
        inside = classes["line"] == at
        # n - a - b - c + ab + ac + bc
        total = float(inside.sum())
        known = bool(told(before, "line")[at])
        for sign, names in [(-1, "a"), (-1, "b"), (-1, "c"), (1, "ab"), (1, "ac"), (1, "bc")]:
            margin = sorted(("line", *names))
            place = tuple(at if name == "line" else 1 for name in margin)
            known = known and bool(told(before, *margin)[place])
            have = inside & np.logical_and.reduce([classes[name] == 1 for name in names])
            total += sign * float(have.sum())
        if known:
            found.append(total)
    return found


def test_who_has_all_flags_or_none_is_not_told_by_pairs_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    columns = lines_and_flags()
    assert told_by_pairs(columns) == []
    monkeypatch.setattr(Finer, "fixed", nothing)
    assert told_by_pairs(columns) == [ALIKE] * LINES, "the control"


def test_a_plan_that_cannot_be_protected_ends_no_plan_of_other_columns() -> None:
    """Whoever asks for too much spoils nothing for those who ask for something else."""
    draw = np.random.default_rng(3)
    thin = {name: draw.integers(0, 6, size=300).astype(np.int8) for name in "abc"}
    grade = np.repeat(np.arange(3), 100).astype(np.int8)
    columns = Columns({**thin, "grade": grade}, {})
    before = Before(1)
    for names, ways in (("ab", 2), ("bc", 2), ("abc", 3)):
        dimensions = tuple(Dimension(name, tuple("012345")) for name in names)
        plan = ReleasePlan(dimensions, (), COUNT, every_margin(names, ways), 1)
        before = protect(plan, columns, before, ROOMS).after
    grades = Dimension("grade", tuple("012"))
    after = protect(
        ReleasePlan((grades,), (), COUNT, ((), ("grade",)), 1), columns, before, ROOMS
    ).after
    assert (after.shown[""]["grade",] == LEFT).all()


PADS: Final = tuple("cdef")
TURNOVERS: Final = 700


def two_grids_and_pads() -> Columns:
    """Firms with a turnover each, two grids over it with cuts three apart, and other columns."""
    draw = np.random.default_rng(5)
    turnover = draw.permutation(TURNOVERS)
    cuts = [140 * at for at in range(1, 5)]
    grids = {
        "a": sorted([*cuts, *(140 * at + 50 for at in range(5))]),
        "b": sorted([*(cut + 3 for cut in cuts), *(140 * at + 90 for at in range(5))]),
    }
    codes = {name: np.searchsorted(grid, turnover, side="right") for name, grid in grids.items()}
    codes |= {name: draw.integers(0, 4, TURNOVERS) for name in PADS}
    return Columns({name: code.astype(np.int8) for name, code in codes.items()}, {})


def padded(pads: Sequence[str]) -> ReleasePlan:
    """Ask by both grids, and by pairs of other columns."""
    names = ("a", "b", *pads)
    dimensions = tuple(
        Dimension(name, tuple("0123456789"[: 10 if name in "ab" else 4])) for name in names
    )
    margins = (*((name,) for name in names), *combinations(pads, 2))
    return ReleasePlan(dimensions, (), COUNT, margins, 1)


def fixed_differences(columns: Columns, after: Before) -> int:
    """Count the sets of a few firms between two cuts that what was told fixes."""
    a, b = columns.classes["a"], columns.classes["b"]
    told_sets = [
        (columns.classes[name] == at).astype(np.float64)
        for name in "ab"
        for at in np.flatnonzero(told(after, name))
    ]
    fixed = 0
    # Above a cut by the one grid, and not yet by the other.
    for cut in range(2, 10, 2):
        few = ((a >= cut) & (b < cut)).astype(np.float64)
        assert 0 < few.sum() < ROOMS.threshold
        if told_sets:
            sets = np.stack(told_sets).T
            times = np.linalg.lstsq(sets, few, rcond=None)[0]
            fixed += bool(np.abs(sets @ times - few).max() < 1e-6)
    return fixed


def test_whoever_pads_a_plan_ends_no_search_before_the_tables_that_tell(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    columns = two_grids_and_pads()
    plan = padded(PADS)
    for programmes in (4, 12, 600):
        monkeypatch.setattr(protecting, "Looks", lambda most=programmes: Looks(most))
        after = protect(plan, columns, Before(1), ROOMS).after
        assert fixed_differences(columns, after) == 0
    assert told(after, "b").any(), "where all was looked at, something is told"
    monkeypatch.setattr(Finer, "fixed", nothing)
    unguarded = protect(plan, columns, Before(1), ROOMS).after
    assert fixed_differences(columns, unguarded) > 0, "the control"


def test_a_search_that_counts_too_many_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    columns = two_grids_and_pads()
    monkeypatch.setattr(protecting, "Looks", lambda: Looks(counted=TURNOVERS))
    after = protect(padded(()), columns, Before(1), ROOMS).after
    assert not told(after, "a").any()
    assert not told(after, "b").any()


def test_a_plan_that_is_too_thick_keeps_its_own_columns_from_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of a plan that nothing leaves of, only what is too telling by itself stays withheld."""
    columns = two_grids_and_pads()
    alone = ReleasePlan(padded(()).dimensions[:1], (), COUNT, (("a",),), 1)
    expected = protect(alone, columns, Before(1), ROOMS).after
    assert told(expected, "a").all()
    monkeypatch.setattr(protecting, "Looks", lambda: Looks(0))
    thick = protect(padded(PADS), columns, Before(1), ROOMS)
    again = protect(padded(PADS), columns, thick.after, ROOMS)
    assert publish(again) == publish(thick), "the same question, the same answer"
    assert not told(thick.after, "a").any()
    monkeypatch.undo()
    assert told(protect(alone, columns, thick.after, ROOMS).after, "a").all()


def test_sums_and_counts_of_one_plan_spend_the_same_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    columns = two_grids_and_pads()
    amounts = np.ones(TURNOVERS) + np.arange(TURNOVERS) % 7
    columns = Columns(columns.classes, {"x": amounts, "y": amounts})
    plan = padded(PADS)
    variables = (Variable("x", 0.0, 10.0), Variable("y", 0.0, 10.0))
    measures = (*COUNT, *(Measure(MeasureKind.SUM, each.name) for each in variables))
    plan = replace(plan, variables=variables, measures=measures)
    made: list[Looks] = []

    def once() -> Looks:
        made.append(Looks(30))
        return made[-1]

    monkeypatch.setattr(protecting, "Looks", once)
    programmes = 0
    honest = FixedSets._smallest

    def counted(sets: FixedSets, found: Flags) -> Flags | None:
        nonlocal programmes
        programmes += 1
        return honest(sets, found)

    monkeypatch.setattr(FixedSets, "_smallest", counted)
    protect(plan, columns, Before(1), ROOMS)
    assert len(made) == 1
    assert 0 < programmes == 30 - made[0].programmes <= 30


def test_where_ranks_show_that_nothing_is_fixed_programmes_find_nothing() -> None:
    draw = np.random.default_rng(4)
    skipped = 0
    for _ in range(40):
        at = np.indices((3, 4)).reshape(2, -1)
        rows = np.vstack([at[0] == k for k in range(3)] + [at[1] == k for k in range(4)])
        rows = rows[draw.random(7) < 0.8].astype(np.float64)
        units = draw.integers(0, 30, 12).astype(np.float64)
        before, possible = np.zeros(len(rows), dtype=np.bool_), draw.random(12) < 0.9
        sets = FixedSets(rows, before, units, possible, ROOMS.threshold)
        empty = sets._units <= 0
        if not sets._any_fixed and not empty.all():
            skipped += 1
            assert sets._smallest(empty) is None
            found = sets.cells(0)
            assert found is not None
            assert not found.any()
    assert skipped > 5


@pytest.mark.soak
@pytest.mark.parametrize("plans", [apart, together])
def test_many_grids_over_one_amount_tell_of_no_few_firms(plans: Any) -> None:
    assert count_pinned(plans, range(1000, 1600)) == 0
