"""How wide noise must be, by the plan alone: reckoned by hand, and held against every neighbour."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from itertools import product

import pytest

from saferoom_proto.tables.plan import (
    Dimension,
    Margin,
    Measure,
    MeasureKind,
    ReleasePlan,
    Variable,
    every_margin,
)
from saferoom_proto.tables.privacy import COUNTS, bounds_of, noise_of, odds, step_of

COUNT = Measure(MeasureKind.COUNT)
SIZE, LATE = Dimension("size", ("small", "large")), Dimension("late", ("no", "yes"))


def planned(
    margins: tuple[Margin, ...], *measures: Measure, low: float = 0.0, high: float = 1.0
) -> ReleasePlan:
    return ReleasePlan((SIZE, LATE), (Variable("vat", low, high),), measures, margins, 1)


def touched(plan: ReleasePlan, name: str) -> int:
    return noise_of(plan, Decimal(1))[name].touched


def test_a_firm_alters_two_cells_of_every_margin_and_the_total_by_one() -> None:
    assert touched(planned(((),), COUNT), COUNTS) == 1
    assert touched(planned((("size",),), COUNT), COUNTS) == 2
    assert touched(planned(every_margin(["size", "late"], 2), COUNT), COUNTS) == 7
    histogram = Measure(MeasureKind.HISTOGRAM, "late")
    assert touched(planned(((), ("size",)), histogram), COUNTS) == 1 + 2 + 2 + 2
    # One table asked for by two measures is made once, and has one noise.
    assert touched(planned((("size",),), COUNT, Measure(MeasureKind.MEAN, "vat")), COUNTS) == 2


def test_a_sum_is_altered_by_its_bounds_in_steps_a_millionth_as_large() -> None:
    added = Measure(MeasureKind.SUM, "vat")
    plan = planned(((), ("size",)), added, low=-3.0, high=40_000.0)
    assert step_of(plan.variables[0]) == Decimal("0.01")
    assert bounds_of(plan.variables[0]) == (-300, 4_000_000)
    assert touched(plan, "vat") == 4_000_300 + 2 * 4_000_000
    assert set(noise_of(plan, Decimal(1))) == {"vat"}


def test_epsilon_is_divided_among_what_is_counted_and_added_up() -> None:
    plan = planned(((),), COUNT, Measure(MeasureKind.SUM, "vat"), Measure(MeasureKind.MEAN, "vat"))
    noise = noise_of(plan, Decimal("0.3"))
    assert sum(each.epsilon for each in noise.values()) == Fraction(3, 10)
    assert noise[COUNTS].scale == Fraction(20, 3)


def test_no_firm_that_comes_goes_or_changes_alters_more_than_is_reckoned() -> None:
    margins = every_margin(["size", "late"], 2)
    low, high = -2, 3
    plan = planned(margins, COUNT, Measure(MeasureKind.SUM, "vat"), low=low, high=high)
    steps = 1 / step_of(plan.variables[0])
    firms = [None, *product((0, 1), (0, 1), (low, 0, high))]
    most = {COUNTS: 0, "vat": 0}
    for before, after in product(firms, firms):
        for name, known in most.items():
            altered = sum(
                abs(_added(after, margin, cell, name) - _added(before, margin, cell, name))
                for margin in margins
                for cell in product((0, 1), repeat=len(margin))
            )
            most[name] = max(known, altered)
    # In whole steps. A change of class alters the total by less than its bound.
    assert most[COUNTS] <= touched(plan, COUNTS) == 7
    assert most["vat"] * steps <= touched(plan, "vat") == (5 + 3 * 6) * steps


def _added(
    firm: tuple[int, int, int] | None, margin: Margin, cell: tuple[int, ...], name: str
) -> int:
    if firm is None:
        return 0
    own = tuple(firm[("size", "late").index(column)] for column in margin)
    return 0 if own != cell else 1 if name == COUNTS else firm[2]


@pytest.mark.parametrize(("epsilon", "margin"), [("1", 3), ("0.1", 30), ("10", 0)])
def test_nineteen_of_twenty_are_within_the_margin_of_error(epsilon: str, margin: int) -> None:
    noise = noise_of(planned(((),), COUNT), Decimal(epsilon))[COUNTS]
    assert noise.margin_of_error == margin
    q = math.exp(-1 / float(noise.scale))
    beyond = [2 * q ** (most + 1) / (1 + q) for most in (margin, margin - 1)]
    assert beyond[0] <= 0.05
    assert margin == 0 or beyond[1] > 0.05


def test_half_an_epsilon_changes_odds_by_the_factor_that_an_approver_reads() -> None:
    assert odds(Decimal("0.5")) == pytest.approx(1.6487, abs=1e-4)
