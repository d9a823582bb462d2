"""The noise of tables: OpenDP's, as wide as the plan's margins need, and as it is told."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from saferoom_enclaves.statistics.laplace import blurred
from saferoom_enclaves.statistics.noise import with_noise
from saferoom_enclaves.statistics.tabulate import Columns
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.tables.plan import (
    Dimension,
    Measure,
    MeasureKind,
    ReleasePlan,
    Variable,
    every_margin,
)
from saferoom_proto.tables.privacy import Noise
from saferoom_proto.tables.told import Numbers, Tables
from tests.proto.golden_tables import tables

DRAWS = 20_000
CRITICAL = 1.95
"""Of Kolmogorov and Smirnov's statistic times the root of the draws, one chance in a thousand; of
whole numbers the chance is less."""


def farthest(noise: Noise) -> float:
    """Give how far the distribution of many draws is from discrete Laplace."""
    drawn = np.sort(np.array(blurred([1000] * DRAWS, noise), dtype=np.float64) - 1000)
    values = np.arange(float(drawn[0]), float(drawn[-1]) + 1)
    q = math.exp(-1 / float(noise.scale))
    # P(X <= x) = 1 - q^(x+1) / (1 + q) from 0 on, and q^(-x) / (1 + q) below.
    upper, lower = 1 - q ** (np.abs(values) + 1) / (1 + q), q ** np.abs(values) / (1 + q)
    expected = np.where(values >= 0, upper, lower)
    found = np.searchsorted(drawn, values, side="right") / DRAWS
    return float(np.abs(found - expected).max()) * math.sqrt(DRAWS)


@pytest.mark.parametrize(
    ("touched", "epsilon"), [(7, Fraction(1, 2)), (1, Fraction(2)), (40, Fraction(1))]
)
def test_noise_is_discrete_laplace_of_the_plans_scale(touched: int, epsilon: Fraction) -> None:
    noise = Noise(Decimal(1), touched, epsilon)
    assert farthest(noise) < CRITICAL or farthest(noise) < CRITICAL


def test_noise_of_another_scale_is_told_apart() -> None:
    # The control: the test above would find noise that is a tenth too narrow.
    narrow = blurred([0] * DRAWS, Noise(Decimal(1), 63, Fraction(5)))
    q = math.exp(-1 / 14)
    within = np.mean(np.abs(narrow) <= 14)
    assert abs(within - (1 - 2 * q**15 / (1 + q))) * math.sqrt(DRAWS) > CRITICAL


def test_each_draw_is_anew() -> None:
    noise = Noise(Decimal(1), 10, Fraction(1, 10))
    assert blurred([0] * 64, noise) != blurred([0] * 64, noise)


def planned(*measures: Measure) -> ReleasePlan:
    size, late = Dimension("size", ("small", "large")), Dimension("late", ("no", "yes", "unknown"))
    bounds = (Variable("vat", -5.0, 10_000.5),)
    return ReleasePlan((size, late), bounds, measures, every_margin(["size", "late"], 2), 1)


def firms(many: int = 600) -> Columns:
    draw = np.random.default_rng(1)
    size = draw.integers(0, 2, many).astype(np.int8)
    late = draw.integers(0, 3, many).astype(np.int8)
    return Columns({"size": size, "late": late}, {"vat": draw.uniform(-100, 20_000, many)})


def told(plan: ReleasePlan, columns: Columns, epsilon: int = 1_000_000) -> tuple[Numbers, ...]:
    """Make tables; of so large an epsilon that no noise is left, as nobody may ask for it."""
    numbers = with_noise(plan, columns, Decimal(epsilon)).numbers()
    # They are such as are sealed, and laid out by their plan.
    sealed = Tables.model_validate(tables().model_dump() | {"numbers": numbers})
    assert len(sealed.by_plan(plan)) == len(numbers)
    return numbers


def test_without_noise_all_measures_are_what_they_say() -> None:
    columns = firms()
    size, late = columns.classes["size"], columns.classes["late"]
    vat = np.clip(columns.amounts["vat"], -5, 10_000.5)
    plan = planned(
        Measure(MeasureKind.COUNT),
        Measure(MeasureKind.SUM, "vat"),
        Measure(MeasureKind.MEAN, "vat"),
        Measure(MeasureKind.SHARE, "late", ("yes", "unknown")),
        Measure(MeasureKind.HISTOGRAM, "size"),
    )
    numbers = dict(zip(range(20), told(plan, columns), strict=True))
    cells = [(size == a) & (late == b) for a in range(2) for b in range(3)]
    assert [int(each or 0) for each in numbers[3]] == [int(each.sum()) for each in cells]
    sums = [float(each or 0) for each in numbers[7]]
    assert sums == pytest.approx([float(vat[each].sum()) for each in cells], abs=20)
    means = [float(each or 0) for each in numbers[11]]
    assert means == pytest.approx([float(vat[each].mean()) for each in cells], rel=1e-3)
    shares = [float(each or 0) for each in numbers[13]]
    assert shares == pytest.approx(
        [float((late[size == a] > 0).mean()) for a in range(2)], rel=1e-5
    )
    assert numbers[15] == ("0", "1", "1", "0", "1", "1")
    # A histogram in a margin that has its column already is the margin; else one column wider.
    assert numbers[17] == numbers[1]
    assert numbers[18] == tuple(numbers[3][at] for at in (0, 3, 1, 4, 2, 5))


def test_a_mean_is_within_its_bounds_and_none_where_the_noisy_count_is_below_one() -> None:
    nobody = Columns(
        {"size": np.zeros(3, np.int8), "late": np.zeros(3, np.int8)}, {"vat": np.zeros(3)}
    )
    plan = planned(
        Measure(MeasureKind.COUNT),
        Measure(MeasureKind.MEAN, "vat"),
        Measure(MeasureKind.SHARE, "late", ("yes",)),
    )
    for _ in range(20):
        numbers = with_noise(plan, nobody, Decimal("0.5")).numbers()
        for count, mean, share in zip(*(numbers[at] for at in (1, 5, 9)), strict=True):
            there = int(count or 0) >= 1
            assert (mean is not None, share is not None) == (there, there)
            assert mean is None or -5 <= float(mean) <= 10_000.5
            assert share is None or 0 <= float(share) <= 1


def test_numbers_of_any_size_are_written_as_tables_have_them() -> None:
    largest, smallest = Variable("vat", 0.0, 999_999_999_999.0), Variable("vat", -0.000002, 0.0)
    for variable in (largest, smallest):
        plan = ReleasePlan(
            (Dimension("size", ("small", "large")),),
            (variable,),
            (Measure(MeasureKind.SUM, "vat"), Measure(MeasureKind.MEAN, "vat")),
            ((), ("size",)),
            1,
        )
        amounts = np.full(50_000, variable.high or variable.low)
        columns = Columns({"size": np.zeros(50_000, np.int8)}, {"vat": amounts})
        whole = told(plan, columns)[0][0]
        assert float(whole or 0) == pytest.approx(float(amounts.sum()), rel=1e-6)


def test_legal_groups_are_refused_for_one_alters_more_than_a_firm() -> None:
    columns = firms()
    grouped = Columns(columns.classes, columns.amounts, np.zeros(600, dtype=np.int64))
    with pytest.raises(SafeRoomError) as caught:
        with_noise(planned(Measure(MeasureKind.COUNT)), grouped, Decimal(1))
    assert caught.value.reason is Reason.NOT_ALLOWED


@pytest.mark.parametrize("epsilon", ["0.01", "0.033", "0.1", "0.3", "0.7", "1.001", "9.999"])
def test_opendp_itself_reckons_no_more_than_epsilon(epsilon: str) -> None:
    for touched in (1, 7, 2701, 12_000_301):
        for parts in (1, 2, 3, 7):
            noise = Noise(Decimal(1), touched, Fraction(epsilon) / parts)
            assert len(blurred([0], noise)) == 1  # it refuses past its epsilon
