"""Bins tell most within their rules, and come of counts alone."""

from __future__ import annotations

import math
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saferoom_models.scorecard.binning import (
    Binned,
    Classes,
    Interval,
    Missing,
    Rules,
    Shape,
    bin_column,
)
from saferoom_models.scorecard.counts import (
    ClassCounts,
    Count,
    OrderedCounts,
    count_classes,
    count_numbers,
)
from saferoom_models.scorecard.faults import Fault, ScorecardError

LOOSE = Rules(least_share=0.05, least_events=1, most_bins=4)
PAIRS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=3, max_size=7).filter(
    lambda pairs: all(map(sum, zip(*pairs, strict=True)))
)


def ordered(pairs: list[tuple[int, int]], missing: Count = Count()) -> OrderedCounts:  # noqa: B008
    edges = tuple(float(number) for number in range(1, len(pairs)))
    return OrderedCounts(edges, tuple(Count(*pair) for pair in pairs), missing)


def value_of(groups: list[Count], total: Count) -> float:
    shares = [(one.events / total.events, one.others / total.others) for one in groups]
    return sum((event - other) * math.log(event / other) for event, other in shares)


def searched(pairs: list[tuple[int, int]], rules: Rules) -> float:
    """Try every grouping there is."""
    single = [Count(*pair) for pair in pairs]
    total = sum(single, Count())
    best = -math.inf
    for number in range(1, rules.most_bins):
        for cuts in combinations(range(1, len(single)), number):
            groups = [
                sum(single[low:high], Count()) for low, high in pairwise((0, *cuts, len(single)))
            ]
            rates = [one.rate for one in groups]
            goes = {
                Shape.FREE: True,
                Shape.RISING: all(a < b for a, b in pairwise(rates)),
                Shape.FALLING: all(a > b for a, b in pairwise(rates)),
            }[rules.shape]
            if goes and all(
                min(one.events, one.others) >= rules.least_events
                and one.rows >= rules.least_share * total.rows
                for one in groups
            ):
                best = max(best, value_of(groups, total))
    return best


@given(PAIRS, st.sampled_from([Shape.FREE, Shape.RISING, Shape.FALLING]))
def test_no_grouping_within_the_rules_tells_more(
    pairs: list[tuple[int, int]], shape: Shape
) -> None:
    rules = Rules(0.1, 2, 3, shape)
    best, found = searched(pairs, rules), bin_column(ordered(pairs), rules)
    if found is None:
        total = sum((Count(*pair) for pair in pairs), Count())
        # One bin tells nothing; so may two of the same risk.
        alone = min(total.events, total.others) >= rules.least_events
        assert best == -math.inf or (alone and best == pytest.approx(0, abs=1e-9))
    else:
        assert found.value == pytest.approx(best, abs=1e-9)


@given(PAIRS)
def test_bins_keep_every_row_and_every_rule(pairs: list[tuple[int, int]]) -> None:
    found = bin_column(ordered(pairs, Count(3, 4)), LOOSE)
    if found is None:
        return
    *known, missing = found.bins
    rows = sum(sum(pair) for pair in pairs)
    assert sum(each.count.rows for each in known) == rows
    assert isinstance(missing.holds, Missing)
    assert missing.count == Count(3, 4)
    assert all(each.count.rows >= 0.05 * rows for each in known)
    assert len(known) <= 4
    ends = [each.holds for each in known]
    assert isinstance(ends[0], Interval)
    assert ends[0].low is None
    for one, other in pairwise(ends):
        assert isinstance(one, Interval)
        assert isinstance(other, Interval)
        assert one.high == other.low


def test_either_takes_the_direction_that_tells_more() -> None:
    falling = ordered([(40, 10), (10, 40), (20, 60)])
    found = bin_column(falling, Rules(shape=Shape.EITHER))
    assert found is not None
    rates = [each.count.rate for each in found.bins[:-1]]
    assert rates == sorted(rates, reverse=True)
    same = bin_column(falling, Rules(shape=Shape.FALLING))
    assert same == found


def test_weights_of_evidence_are_the_log_odds_less_those_of_all() -> None:
    found = bin_column(ordered([(10, 90), (40, 60)]), LOOSE)
    assert found is not None
    base = math.log(50 / 150)
    assert [each.woe for each in found.bins[:2]] == pytest.approx(
        [math.log(10 / 90) - base, math.log(40 / 60) - base]
    )


def test_missing_values_have_a_bin_of_their_own_risk() -> None:
    found = bin_column(ordered([(20, 80), (40, 60)], Count(30, 10)), LOOSE)
    assert found is not None
    assert found.missing_known
    assert found.bins[-1].woe > max(each.woe for each in found.bins[:-1])


@pytest.mark.parametrize("missing", [Count(), Count(0, 5), Count(5, 0)])
def test_nobody_gains_by_leaving_a_value_out(missing: Count) -> None:
    found = bin_column(ordered([(20, 80), (40, 60)], missing), Rules(least_events=6))
    assert found is not None
    assert not found.missing_known
    assert found.bins[-1].woe == max(each.woe for each in found.bins[:-1])


def test_classes_are_joined_by_their_risk_and_not_by_their_names() -> None:
    counts = {"a": Count(40, 10), "b": Count(1, 49), "c": Count(39, 11), "d": Count(2, 48)}
    found = bin_column(ClassCounts(counts), Rules(least_share=0.3, least_events=2))
    assert found is not None
    assert [each.holds for each in found.bins[:-1]] == [Classes(("b", "d")), Classes(("a", "c"))]


def test_a_column_that_tells_nothing_has_no_bins() -> None:
    assert bin_column(ordered([(1, 9)]), LOOSE) is None
    assert bin_column(ordered([(5, 200), (5, 200)]), Rules(least_events=10)) is None


def test_quantiles_put_each_row_on_the_side_of_its_value() -> None:
    draw = np.random.default_rng(3)
    values = np.round(draw.normal(size=3000), 1)
    values[:1200] = 0.0
    values[:30] = np.nan
    labels = (draw.random(3000) < 0.3).astype(np.int64)
    found = count_numbers(values, labels, 10)
    assert len(found.counts) <= 10
    assert found.missing.rows == 30
    assert all(each.rows for each in found.counts)
    at = np.searchsorted(found.edges, values[~np.isnan(values)], side="right")
    assert [each.rows for each in found.counts] == np.bincount(at).tolist()


@pytest.mark.parametrize(
    ("values", "edge"),
    [
        ([199.0, 206.0], 200.0),
        ([1803.0, 1812.0], 1810.0),
        ([40_000.0, 50_000.0], 50_000.0),
        ([0.57, 0.58], 0.58),
        ([-3.0, 7.0], 0.0),
        ([-58.0, -49.0], -50.0),
        ([14.0, 18.9], 18.0),
        ([-0.0, 1.0], 1.0),
    ],
)
def test_bins_end_at_the_roundest_number_between_two_rows(values: list[float], edge: float) -> None:
    found = count_numbers(np.array(values * 9), np.array([0, 1] * 9))
    assert found.edges == (edge,)
    assert [each.rate for each in found.counts] == [0.0, 1.0]


@pytest.mark.parametrize(
    "values",
    [
        [0.0, math.nextafter(0.0, 1.0)] * 50,
        [1.0, math.nextafter(1.0, 2.0)] * 50,
        [-1.7e308, 1.7e308] * 50,
        [-math.nextafter(0.0, 1.0), math.nextafter(0.0, 1.0)] * 50,
    ],
)
def test_values_that_lie_as_near_or_far_as_numbers_can_are_told_apart(values: list[float]) -> None:
    labels = np.array([0, 1] * 50)
    found = count_numbers(np.array(values), labels)
    assert [each.rate for each in found.counts] == [0.0, 1.0]


def test_a_column_without_a_value_is_all_missing() -> None:
    labels = np.array([0, 1, 1])
    assert count_numbers(np.full(3, np.nan), labels).missing == Count(2, 1)
    assert count_classes(["", "", ""], labels).missing == Count(2, 1)


def test_counts_and_rules_that_make_no_sense_are_refused() -> None:
    refused: list[Fault] = []
    for make in (
        lambda: Count(-1, 0),
        lambda: OrderedCounts((2.0, 1.0), (Count(), Count(), Count())),
        lambda: OrderedCounts((math.nan,), (Count(), Count())),
        lambda: OrderedCounts((1.0,), (Count(),)),
        lambda: ClassCounts({}),
        lambda: count_numbers(np.array([math.inf, 1.0]), np.array([0, 1])),
        lambda: Rules(least_share=0.0),
        lambda: Rules(least_events=0),
        lambda: Rules(most_bins=1),
        lambda: bin_column(ordered([(0, 5), (0, 5)]), LOOSE),
        lambda: bin_column(ClassCounts({str(at): Count(1, 1) for at in range(61)}), LOOSE),
    ):
        with pytest.raises(ScorecardError) as caught:
            make()
        refused.append(caught.value.fault)
    assert refused == [
        *([Fault.BAD_COUNTS] * 6),
        *([Fault.BAD_RULES] * 3),
        Fault.FEW_EVENTS,
        Fault.BAD_COUNTS,
    ]


def test_bins_know_how_much_they_tell() -> None:
    found = bin_column(ordered([(10, 90), (40, 60)], Count(20, 20)), LOOSE)
    assert isinstance(found, Binned)
    counts = [each.count for each in found.bins]
    assert found.value == pytest.approx(value_of(counts, sum(counts, Count())))
