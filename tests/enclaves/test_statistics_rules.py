"""What may not be shown for its own sake, how numbers are rounded, and what a table says of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from saferoom_enclaves.statistics.lattice import Lattice
from saferoom_enclaves.statistics.primary import count_family, sum_family
from saferoom_enclaves.statistics.protect import Before, protect
from saferoom_enclaves.statistics.publish import WITHHELD, publish, rounded, rounded_counts
from saferoom_enclaves.statistics.tabulate import Columns, Table, Units
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.tables.plan import Measure, MeasureKind, ReleasePlan, Variable
from saferoom_proto.tables.rules import Rules

from .statistics_tables import columns_of, dimensions, plan_of, released

ROOMS: Final = Rules()
COUNT: Final = Measure(MeasureKind.COUNT)
SUM: Final = Measure(MeasureKind.SUM, "x")
MEAN: Final = Measure(MeasureKind.MEAN, "x")
X: Final = Variable("x", 0.0, 1e6)
ACRO: Final[dict[str, Any]] = json.loads((Path(__file__).parent / "acro_vectors.json").read_text())


def one_column(amounts: list[float], groups: list[int] | None = None) -> Columns:
    """Subjects of one class of a dimension that has two."""
    return Columns(
        {"a": np.zeros(len(amounts), dtype=np.int8)},
        {"x": np.array(amounts, dtype=np.float64)},
        None if groups is None else np.array(groups, dtype=np.int64),
    )


def told_of(
    amounts: list[float], groups: list[int] | None = None, variable: Variable = X
) -> tuple[bool, bool, bool]:
    """Whether the one cell they are all in is small, dominated, or of one value."""
    columns = one_column(amounts, groups)
    table = Table(Lattice((2,), [(0,)]), ("a",), columns)
    family = sum_family(table, Units(columns), columns, variable, ROOMS)
    return bool(family.small[1]), bool(family.dominated[1]), bool(family.same[1])


@pytest.mark.parametrize("case", range(len(ACRO["cases"])))
def test_what_acro_would_not_show_is_not_shown(case: int) -> None:
    kept = ACRO["cases"][case]
    rows = np.array(kept["rows"], dtype=np.float64)
    columns = Columns(
        {"a": rows[:, 0].astype(np.int8), "b": rows[:, 1].astype(np.int8)}, {"x": rows[:, 2]}
    )
    rules = Rules(share=90)  # as acro's
    table = Table(Lattice((2, 3), [(0, 1)]), ("a", "b"), columns)
    place = table.lattice.place((0, 1))
    counts = count_family(table, Units(columns), rules)
    sums = sum_family(table, Units(columns), columns, X, rules)
    told = np.array(kept["count"]).reshape(-1)
    assert (counts.small[place] == (told != "ok")).all()
    told = np.array(kept["sum"]).reshape(-1)
    assert (sums.small[place] == np.char.find(told, "MinimumThreshold").__ge__(0)).all()
    dominated = (np.char.find(told, "NK") >= 0) | (np.char.find(told, "PPercent") >= 0)
    assert (sums.dominated[place] == dominated).all()
    # acro withholds these cells and no others; of what is left, none of them can be derived here.
    plan = plan_of((2, 3), 2, (COUNT, SUM), (X,))
    withheld = protect(plan, columns, Before(1), rules).families["x"].withheld[place]
    assert (withheld >= (told != "ok")).all()


def test_of_no_subjects_and_of_few_nothing_is_told() -> None:
    for counts in (np.zeros((5, 5, 5), dtype=np.int64), np.ones((2, 2, 2), dtype=np.int64)):
        columns = columns_of(counts, {"x": np.arange(counts.sum(), dtype=np.float64)})
        _, tables = released(plan_of(counts.shape, 3, (COUNT, SUM, MEAN), (X,)), columns, ROOMS)
        assert all(line.number is None for table in tables for line in table.lines)


def test_ten_subjects_are_shown_and_nine_are_not() -> None:
    for subjects, small in ((9, True), (10, False)):
        assert told_of([float(k + 1) for k in range(subjects)])[0] is small


def test_a_legal_group_is_one_unit_however_many_subjects_it_has() -> None:
    amounts = [float(k + 1) for k in range(40)]
    assert told_of(amounts) == (False, False, False)
    assert told_of(amounts, [k // 5 for k in range(40)])[0]
    assert not told_of(amounts, [k // 4 for k in range(40)])[0]


def test_a_group_dominates_by_what_its_subjects_have_together() -> None:
    amounts = [*([100.0, 101.0] * 15), *([3.0, 2.0] * 10)]
    assert not told_of(amounts)[1]
    assert told_of(amounts, [0] * 15 + [1] * 15 + list(range(2, 22)))[1]


@pytest.mark.parametrize(
    ("amounts", "dominated"),
    [
        ([1000.0, 500.0, *[9.0] * 11], True),  # the rest is 99, less than 10% of 1,000
        ([1000.0, 500.0, *[30.0] * 11], False),  # 330 of 1,830: the two have 82%
        ([1000.0, 900.0, *[30.0] * 11], True),  # 330 of 2,230: the two have 85.2%
    ],
)
def test_p_percent_and_dominance(amounts: list[float], dominated: bool) -> None:
    assert told_of(amounts)[1] is dominated


def test_what_all_share_is_not_shown_and_neither_is_the_sum_of_a_flag() -> None:
    assert told_of([7.0] * 30) == (False, False, True)
    flag = Variable("x", 0.0, 1.0)
    assert not told_of([1.0] * 25 + [0.0] * 25, variable=flag)[0]
    assert told_of([1.0] * 9 + [0.0] * 25, variable=flag)[0]
    assert told_of([1.0] * 25 + [0.0] * 9, variable=flag)[0]
    assert told_of([0.0] * 50 + [3.0, 4.0])[0]  # two of 52 contribute


def test_amounts_are_clipped_to_the_published_bounds() -> None:
    amounts = {"x": np.array([*[50.0] * 20, *[60.0] * 20, 1e12])}
    columns = Columns({"a": np.array([0] * 20 + [1] * 21, dtype=np.int8)}, amounts)
    plan = plan_of((2,), [()], (SUM,), (Variable("x", 0.0, 100.0),))
    (_, (table,)) = released(plan, columns, ROOMS)
    assert table.lines[0].number == 2300.0


def test_counts_are_rounded_to_five_and_sums_and_means_to_three_digits() -> None:
    counts = np.array([10.0, 12.0, 13.0, 17.0, 18.0])
    assert rounded_counts(counts, ROOMS).tolist() == [10, 10, 15, 15, 20]
    assert [rounded(n, ROOMS) for n in (123456.0, 0.0012345, -98765.0)] == [123000, 0.00123, -98800]
    counts = np.array([[33, 48], [51, 127]])
    amounts = {"x": np.random.default_rng(1).uniform(100, 200, size=259)}
    plan = plan_of((2, 2), 2, (COUNT, SUM, MEAN), (X,))
    _, tables = released(plan, columns_of(counts, amounts), ROOMS)
    numbers = {
        (table.measure.kind, table.margin): [line.number for line in table.lines]
        for table in tables
    }
    assert numbers[MeasureKind.COUNT, ("a", "b")] == [35, 50, 50, 125]
    assert numbers[MeasureKind.SUM, ()] == [rounded(amounts["x"].sum(), ROOMS)]
    # Of both as they were rounded: 259 are told as 260.
    added = rounded(amounts["x"].sum(), ROOMS)
    assert numbers[MeasureKind.MEAN, ()] == [rounded(added / 260, ROOMS)]


def test_a_mean_and_a_sum_of_one_cell_tell_no_more_than_its_rounded_count() -> None:
    amounts = {"x": np.random.default_rng(4).uniform(100, 200, size=259)}
    plan = plan_of((2,), 1, (COUNT, SUM, MEAN), (X,))
    told: dict[tuple[float | None, ...], set[int]] = {}
    for one in range(33, 38):
        total = np.array([one, 259 - one])
        _, tables = released(plan, columns_of(total, {"x": amounts["x"]}), ROOMS)
        count, added, mean = (
            next(each for each in tables if (each.measure.kind, each.margin) == (kind, ("a",)))
            .lines[0]
            .number
            for kind in (MeasureKind.COUNT, MeasureKind.SUM, MeasureKind.MEAN)
        )
        assert added is not None
        assert mean == rounded(added / (count or 0), ROOMS)
        told.setdefault((count,), set()).add(one)
    assert told == {(35,): {33, 34, 35, 36, 37}}


def test_tables_rounded_by_several_rules_tell_no_more_than_the_first() -> None:
    """Rounded to fives, to sixes and to nines, a count would be one number only."""
    bases = (5, 6, 7, 8, 9, 10)

    def told(count: int, first: Rules | None) -> tuple[float | None, ...]:
        counts = np.array([count, 300 - count])
        protected = [
            released(plan_of((2,), 1), columns_of(counts), replace(ROOMS, base=base))[0]
            for base in bases
        ]
        return tuple(publish(each, first)[1].lines[0].number for each in protected)

    counts = range(40, 90)
    assert len({told(count, None) for count in counts}) > 30, "the control tells them apart"
    once = {told(count, ROOMS): rounded_counts(np.array([count]), ROOMS)[0] for count in counts}
    assert len(once) == len(set(once.values())) == 11


def test_shares_and_histograms_count_in_one_dimension_more() -> None:
    counts = np.array([[30, 70], [60, 41], [100, 3]])
    share, histogram = Measure(MeasureKind.SHARE, "b", ("b1",)), Measure(MeasureKind.HISTOGRAM, "b")
    plan = plan_of(counts.shape, [(), ("a",)], (share, histogram))
    _, (all_share, by_a, all_counts, by_both) = released(plan, columns_of(counts), ROOMS)
    assert all_share.lines[0].number == rounded(115 / 305, ROOMS)
    assert [line.classes for line in by_both.lines][:2] == [("a0", "b0"), ("a0", "b1")]
    # Of those in a2 all but 3 are in b0: neither is shown, nor what they could be reckoned from.
    assert by_a.lines[2].shown == by_both.lines[4].shown == by_both.lines[5].shown == WITHHELD
    assert all_counts.lines[1].number == 115


def test_every_withheld_cell_looks_the_same_whatever_the_reason() -> None:
    counts = np.array([[2, 30, 44], [40, 50, 0], [38, 61, 77]])
    protected, tables = released(plan_of((3, 3), 2), columns_of(counts), ROOMS)
    shown = {line.shown for table in tables for line in table.lines if line.number is None}
    assert shown == {WITHHELD}
    guarded = protected.families[""]
    assert (guarded.withheld & guarded.family.telling).any()
    assert (guarded.withheld & ~guarded.family.telling).any()


def test_what_is_withheld_for_counts_is_withheld_for_means() -> None:
    """A sum and a mean of one cell would give its count away."""
    counts = np.array([[3, 60], [50, 40]])
    amounts = {"x": np.random.default_rng(2).uniform(1, 9, size=153)}
    plan = plan_of((2, 2), 2, (COUNT, MEAN, SUM), (X,))
    _, tables = released(plan, columns_of(counts, amounts), ROOMS)
    by_kind = {table.measure.kind: table for table in tables if table.margin == ("a", "b")}
    for count, mean in zip(
        by_kind[MeasureKind.COUNT].lines, by_kind[MeasureKind.MEAN].lines, strict=True
    ):
        assert count.number is not None or mean.number is None


@pytest.mark.parametrize(
    ("change", "reason", "place"),
    [
        ({"dimensions": ()}, Reason.MALFORMED, "dimensions"),
        ({"measures": ()}, Reason.MALFORMED, "measures"),
        ({"measures": (SUM,)}, Reason.UNKNOWN_FEATURE, "variable x"),
        (
            {"measures": (Measure(MeasureKind.SHARE, "b", ("b0", "b1")),)},
            Reason.MALFORMED,
            "classes",
        ),
        ({"measures": (Measure(MeasureKind.SHARE, "b", ("z",)),)}, Reason.MALFORMED, "classes"),
        ({"margins": (("a", "z"),)}, Reason.UNKNOWN_FEATURE, "dimension z"),
        ({"margins": (("a", "a"),)}, Reason.MALFORMED, "margins"),
        ({"margins": (("a", "b"), ("b", "a"))}, Reason.MALFORMED, "margins"),
        ({"margins": (("a", "b", "c", "d"),)}, Reason.MALFORMED, "margins"),
    ],
)
def test_a_plan_that_is_wrong_is_refused_by_name(
    change: dict[str, Any], reason: Reason, place: str
) -> None:
    given: dict[str, Any] = {
        "dimensions": dimensions((2, 2, 2, 2)),
        "variables": (),
        "measures": (COUNT,),
        "margins": ((),),
        "epoch": 1,
    }
    with pytest.raises(SafeRoomError) as refused:
        ReleasePlan(**{**given, **change})
    assert refused.value.reason is reason
    assert place in str(refused.value)


def test_a_plan_of_too_many_cells_is_refused() -> None:
    with pytest.raises(SafeRoomError) as refused:
        plan_of((28, 28, 28), 3)
    assert refused.value.reason is Reason.TOO_LARGE


@pytest.mark.parametrize("rule", ["threshold", "base", "percent", "largest", "share", "digits"])
def test_no_rule_can_be_switched_off(rule: str) -> None:
    with pytest.raises(SafeRoomError) as refused:
        Rules(**{rule: 0})
    assert refused.value.fields[0].field == rule


def test_columns_that_do_not_fit_are_refused() -> None:
    with pytest.raises(SafeRoomError, match="one length"):
        Columns({"a": np.zeros(2, np.int8)}, {"x": np.zeros(3)})
    with pytest.raises(SafeRoomError, match="finite"):
        Columns({"a": np.zeros(1, np.int8)}, {"x": np.array([np.nan])})
    with pytest.raises(SafeRoomError, match="no column x"):
        protect(plan_of((2,), 1, (SUM,), (X,)), columns_of(np.array([20, 20])), Before(1), ROOMS)
    with pytest.raises(SafeRoomError, match="no column b"):
        protect(plan_of((2, 2), 1), columns_of(np.array([20, 20])), Before(1), ROOMS)
    with pytest.raises(SafeRoomError, match="OFF_DOMAIN"):
        protect(plan_of((2,), 1), columns_of(np.array([1, 2, 3])), Before(1), ROOMS)
