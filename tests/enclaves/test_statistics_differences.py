"""What was released before counts: differences, trackers, repeats, other epochs; and dry runs."""

from __future__ import annotations

from typing import Final

import numpy as np
import pytest

from saferoom_enclaves.statistics.audit import Audit
from saferoom_enclaves.statistics.lattice import Lattice
from saferoom_enclaves.statistics.moves import Withholding
from saferoom_enclaves.statistics.pairs import too_close
from saferoom_enclaves.statistics.primary import count_family, sum_family
from saferoom_enclaves.statistics.protect import Before, protect
from saferoom_enclaves.statistics.publish import publish
from saferoom_enclaves.statistics.tabulate import Columns, Table, Units
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.tables.dryrun import Outlook, dry_run
from saferoom_proto.tables.plan import Dimension, Measure, MeasureKind, ReleasePlan, Variable
from saferoom_proto.tables.rules import Rules

from .statistics_tables import columns_of, plan_of, released

ROOMS: Final = Rules()
COUNT: Final = Measure(MeasureKind.COUNT)
X: Final = Variable("x", 0.0, 1e6)


def codes(*runs: tuple[int, int]) -> np.ndarray:
    return np.concatenate([np.full(n, k, dtype=np.int8) for k, n in runs])


def two_flags(apart: int) -> Columns:
    """Two flags that hold the same 100 of 300 subjects but for so many on each side."""
    first = codes((1, 100), (0, 200))
    second = codes((0, apart), (1, 100), (0, 200 - apart))
    return Columns({"a": first, "b": second}, {})


@pytest.mark.parametrize(("apart", "withheld"), [(4, True), (5, False), (0, False)])
def test_two_sets_that_differ_by_a_few_subjects_are_not_both_shown(
    apart: int, withheld: bool
) -> None:
    plan = plan_of((2, 2), [("a",), ("b",)])
    _, (by_a, by_b) = released(plan, two_flags(apart), ROOMS)
    assert by_a.lines[1].number == 100
    assert (by_b.lines[1].number is None) is withheld


def test_two_sums_that_differ_by_a_few_who_contribute_are_not_both_shown() -> None:
    """The sets differ by 100 subjects; all of these but three have an amount of zero."""
    first = codes((1, 200), (0, 200))
    second = codes((1, 100), (0, 300))
    amounts = np.zeros(400)
    amounts[:100] = np.random.default_rng(5).uniform(50, 150, size=100)
    amounts[100:103], amounts[200:] = (70.0, 80.0, 90.0), 60.0 + np.arange(200) % 7
    columns = Columns({"a": first, "b": second}, {"x": amounts})
    plan = plan_of((2, 2), [("a",), ("b",)], (Measure(MeasureKind.SUM, "x"),), (X,))
    _, (by_a, by_b) = released(plan, columns, ROOMS)
    assert by_a.lines[1].number is not None
    assert by_b.lines[1].number is None


def test_a_sum_is_the_same_in_whatever_order_and_margin_it_is_reckoned() -> None:
    draw = np.random.default_rng(6)
    counts = np.full((3, 3, 2), 40)
    columns = columns_of(counts, {"x": np.exp(draw.normal(8, 3, size=720))})
    order = draw.permutation(720)
    mixed = Columns(
        {name: each[order] for name, each in columns.classes.items()},
        {"x": columns.amounts["x"][order]},
    )
    sums = [
        protect(
            plan_of((3, 3, 2), margins, (Measure(MeasureKind.SUM, "x"),), (X,)),
            data,
            Before(1),
            ROOMS,
        )
        .families["x"]
        .family.values[0]
        for data in (columns, mixed)
        for margins in ([()], 2, 3)
    ]
    assert len(set(sums)) == 1


def test_a_tracker_of_two_plans_learns_of_no_one() -> None:
    """All of a class, and all of it but three, asked for one after the other."""
    counts = np.array([[97, 3], [150, 150]])
    first, out = released(plan_of((2, 2), [("a",)]), columns_of(counts), ROOMS)
    assert [line.number for line in out[0].lines] == [100, 300]
    _, out = released(plan_of((2, 2), [("a", "b")]), columns_of(counts), ROOMS, first.after)
    assert [line.number for line in out[0].lines][:2] == [None, None]


def test_what_is_asked_in_two_plans_is_withheld_as_if_asked_in_one() -> None:
    """A dimension that comes later: its sets differ by few subjects from what left before."""
    columns = two_flags(3)
    first, _ = released(plan_of((2, 2), [("a",)]), columns, ROOMS)
    _, (by_b,) = released(plan_of((2, 2), [("b",)]), columns, ROOMS, first.after)
    assert [line.number for line in by_b.lines] == [None, None]


def test_the_same_question_gets_the_same_answer() -> None:
    counts = np.random.default_rng(4).poisson(9, size=(3, 4, 2))
    columns = columns_of(counts)
    once, out = released(plan_of(counts.shape, 3), columns, ROOMS)
    again, same = released(plan_of(counts.shape, 3), columns, ROOMS, once.after)
    assert same == out
    part = [("c", "a")]
    _, some = released(plan_of(counts.shape, part), columns, ROOMS, again.after)
    before = next(each for each in out if each.margin == ("a", "c"))
    by_classes = {line.classes: line.number for line in before.lines}
    assert {line.classes[::-1]: line.number for line in some[0].lines} == by_classes


def test_another_epoch_and_another_meaning_of_a_dimension_are_refused() -> None:
    columns = columns_of(np.array([[40, 50], [60, 70]]))
    first, _ = released(plan_of((2, 2), 2), columns, ROOMS)
    with pytest.raises(SafeRoomError) as refused:
        protect(plan_of((2, 2), 2, epoch=2), columns, first.after, ROOMS)
    assert refused.value.reason is Reason.CONFLICT
    renamed = ReleasePlan((Dimension("a", ("x", "y")),), (), (COUNT,), ((),), 1)
    with pytest.raises(SafeRoomError, match="other classes"):
        protect(renamed, columns, first.after, ROOMS)


def test_a_sum_is_not_told_once_clipped_lower_and_once_higher() -> None:
    """Their difference would be what the one subject has that is above the lower bound."""
    columns = columns_of(np.array([60, 70]), {"x": np.linspace(1.0, 900.0, 130)})
    columns.amounts["x"][0] = 1900.0
    low, high = Variable("x", 0.0, 1000.0), Variable("x", 0.0, 2000.0)
    total = Measure(MeasureKind.SUM, "x")
    first, out = released(plan_of((2,), [()], (total,), (low,)), columns, ROOMS)
    assert out[0].lines[0].number is not None
    with pytest.raises(SafeRoomError, match="other bounds") as refused:
        protect(plan_of((2,), [()], (total,), (high,)), columns, first.after, ROOMS)
    assert refused.value.reason is Reason.CONFLICT


def test_nothing_new_leaves_where_a_small_cell_cannot_be_protected_any_more() -> None:
    """Both margins left before, and leave the small cell no room: the table stays as a whole."""
    counts = np.array([[1, 11], [12, 0]])
    columns = columns_of(counts)
    first, out = released(plan_of((2, 2), [("a",), ("b",)]), columns, ROOMS)
    _, both = released(plan_of((2, 2), [("a", "b")]), columns, ROOMS, first.after)
    assert all(line.number is None for line in both[0].lines)
    assert publish(first) == out


def test_the_audit_finds_a_cell_that_moves_would_miss() -> None:
    """The control of the audit: with one complement short, it names the small cell."""
    counts = np.array([[3, 40], [50, 60]])
    columns = columns_of(counts)
    table = Table(Lattice((2, 2), [(0, 1)]), ("a", "b"), columns)
    family = count_family(table, Units(columns), ROOMS)
    withheld = family.small.copy()
    small = int(np.flatnonzero(withheld)[0])
    (demand,) = family.demands
    assert Audit(table.lattice, withheld).fails(demand).tolist() == [small]
    none = np.zeros_like(withheld)
    protecting = Withholding(table.lattice, family.values, withheld, none)
    assert protecting.protect(demand)
    audit = Audit(table.lattice, protecting.withheld)
    assert not len(audit.fails(demand))
    audit.certify(protecting.moves)
    with pytest.raises(SafeRoomError):
        Audit(table.lattice, withheld).certify(protecting.moves)
    found = audit.interval(small, family.values, np.full_like(family.values, np.inf))
    assert (found.down, found.up) == (3.0, 40.0)


def test_a_dominated_sum_stays_uncertain_by_what_the_rule_asks() -> None:
    draw = np.random.default_rng(3)
    columns = columns_of(np.full((3, 3), 30), {"x": draw.uniform(50, 150, size=270)})
    columns.amounts["x"][0] = 90_000.0
    variable = Variable("x", 0.0, 1e6)
    plan = plan_of((3, 3), 2, (Measure(MeasureKind.SUM, "x"),), (variable,))
    guarded = protect(plan, columns, Before(1), ROOMS).families["x"]
    giant = guarded.lattice.first((0, 1))
    assert guarded.family.dominated[giant]
    assert not guarded.published[giant]
    # 10% of the largest, less what the others but the second have.
    others = np.sort(columns.amounts["x"][:30])[::-1]
    needed = 0.1 * others[0] - others[2:].sum()
    table = Table(guarded.lattice, ("a", "b"), columns)
    demand = sum_family(table, Units(columns), columns, variable, ROOMS).demands[1]
    found = Audit(guarded.lattice, ~guarded.published).interval(giant, demand.down, demand.up)
    assert found.up >= needed > 0


def test_pairs_are_found_among_many_as_by_comparing_all() -> None:
    draw = np.random.default_rng(9)
    first = draw.integers(0, 6, size=4000).astype(np.int8)
    second = first.copy()
    second[draw.choice(4000, size=16, replace=False)] = 0
    third = draw.integers(0, 6, size=4000).astype(np.int8)
    columns = Columns({"a": first, "b": second, "c": third}, {})
    lattice = Lattice((6, 6, 6), [(0, 2), (1, 2)])
    table, weights = Table(lattice, ("a", "b", "c"), columns), Units(columns).weights
    published = table.counts() >= ROOMS.threshold
    sets = {
        cell: table.cells(lattice.where(cell)[0]) == cell - lattice.first(lattice.where(cell)[0])
        for cell in np.flatnonzero(published).tolist()
    }
    wanted = [
        (one, other)
        for one in sets
        for other in sets
        if one < other and 0 < (sets[one] ^ sets[other]).sum() < ROOMS.threshold
    ]
    assert wanted
    assert sorted(too_close(table, weights, published, ROOMS)) == wanted


def test_a_dry_run_is_told_from_public_counts_alone() -> None:
    plan = plan_of((3, 2), 2)
    public = {"a": (5, 400, 600), "b": (1000, 5)}
    told = dry_run(plan, public, ROOMS)
    by_both = {each.classes: each.outlook for each in told["a", "b"]}
    assert by_both["a0", "b0"] is Outlook.WITHHELD
    assert by_both["a1", "b0"] is Outlook.LARGE
    assert by_both["a2", "b1"] is Outlook.WITHHELD
    public = {"a": (50, 400, 600), "b": (950, 100)}
    by_both = {each.classes: each.outlook for each in dry_run(plan, public, ROOMS)["a", "b"]}
    assert by_both["a0", "b1"] is Outlook.LIKELY_WITHHELD
    assert by_both["a1", "b1"] is Outlook.LIKELY
    with pytest.raises(SafeRoomError, match="a count of each class"):
        dry_run(plan, {"a": (1, 2, 3)}, ROOMS)
