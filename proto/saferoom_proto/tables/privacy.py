"""With how much noise a plan's tables leave: by the plan alone, for whoever reads it (ADR 48).

A plan's numbers are made of counts, and of sums of each variable. A subject that comes, goes or
changes alters some of them by so much at most, over all margins together: the noise of each is as
wide as that, divided by its part of epsilon. Amounts are added up in whole steps, so that all that
noise is added to is a whole number.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Final

from saferoom_proto.tables.plan import ReleasePlan, Variable

COUNTS: Final = ""
"""The name of counts among a plan's families; the others have their variable's."""

_FINER: Final = 6
"""A step is so many powers of ten below a variable's larger bound: what is lost by it in a whole
table is nothing beside its noise, and sums of a hundred million subjects are exact."""
_CLOSE: Final = 1e-6
"""In scales: far below the step that a margin of error is rounded up to."""
CONFIDENCE: Final = 0.95
"""How often a number is within its margin of error: the usual share (ISO 3534-1, 1.28)."""


@dataclass(frozen=True, slots=True)
class Noise:
    """The noise of one family: discrete Laplace, in whole steps.

    Attributes:
        step: what one step is: 1 of a count, a power of ten of a variable.
        touched: by how many steps one subject alters all numbers together at most.
        epsilon: this family's part.
    """

    step: Decimal
    touched: int
    epsilon: Fraction

    @property
    def scale(self) -> Fraction:
        """The distribution's scale, in steps."""
        return self.touched / self.epsilon

    @property
    def margin_of_error(self) -> Decimal:
        """Within what a number is of the true one, nineteen times of twenty."""
        # P(|X| > t) = 2 q^(t+1) / (1 + q) with q = e^(-1/scale): Ghosh, Roughgarden and
        # Sundararajan 2012, section 2.
        inverse = 1 / float(self.scale)
        tail = (1 - CONFIDENCE) * (1 + math.exp(-inverse)) / 2
        return self.step * max(0, math.ceil(-math.log(tail) / inverse - 1))


def noise_of(plan: ReleasePlan, epsilon: Decimal) -> Mapping[str, Noise]:
    """Give the noise of each family of a plan: counts first, if it counts.

    Epsilon is divided evenly among them: their answers are told together.
    """
    counted = plan.count_margins()
    margins: dict[str, int] = {COUNTS: sum(map(_cells_touched, counted))} if counted else {}
    steps = {COUNTS: Decimal(1)}
    for each in plan.summed():
        steps[each.name] = step_of(each)
        margins[each.name] = sum(_steps_touched(each, bool(margin)) for margin in plan.margins)
    part = Fraction(epsilon) / len(margins)
    return {name: Noise(steps[name], touched, part) for name, touched in margins.items()}


def margin_of_sum(noise: Noise, owners: int) -> Decimal:
    """Give within what a sum is of the true one, nineteen times of twenty.

    Each of so many owners adds noise of its own; of one it is `Noise.margin_of_error`.
    """
    if owners == 1:
        return noise.margin_of_error
    low, high = 0.0, 1.0
    while 2 * _beyond(high, owners) > 1 - CONFIDENCE:
        low, high = high, 2 * high
    while high - low > _CLOSE:
        middle = (low + high) / 2
        if 2 * _beyond(middle, owners) > 1 - CONFIDENCE:
            low = middle
        else:
            high = middle
    return noise.step * math.ceil(high * float(noise.scale))


def _beyond(scales: float, owners: int) -> float:
    """Give how probable it is that a sum of Laplace noises passes so many scales.

    A Laplace noise is the difference of two waiting times (Kotz, Kozubowski and Podgorski 2001,
    2.2). So theirs all passes, if of two streams of events with one rate the first has j of the
    owners' events by then, and the second all of its own before the first has the rest: fair
    tosses. Whole steps are spread a little less than this.
    """
    return math.exp(-scales) * sum(
        scales**j
        / math.factorial(j)
        * sum(math.comb(owners - 1 + i, i) / 2 ** (owners + i) for i in range(owners - j))
        for j in range(owners)
    )


def step_of(variable: Variable) -> Decimal:
    """Give in what steps a variable is added up."""
    largest = Decimal(str(max(-variable.low, variable.high)))
    return Decimal(1).scaleb(largest.adjusted() - _FINER)


def bounds_of(variable: Variable) -> tuple[int, int]:
    """Give a variable's bounds in steps, the next whole ones outwards."""
    step = step_of(variable)
    low, high = Decimal(str(variable.low)) / step, Decimal(str(variable.high)) / step
    return math.floor(low), math.ceil(high)


def odds(epsilon: Decimal) -> float:
    """Give by what factor one subject changes the odds of any answer at most."""
    return math.exp(epsilon)


def _cells_touched(margin: tuple[str, ...]) -> int:
    """Who changes class leaves a cell and joins another; the total alters by whoever comes."""
    return 2 if margin else 1


def _steps_touched(variable: Variable, by_class: bool) -> int:
    low, high = bounds_of(variable)
    # Out of one cell with one amount, and into another with one. In the total: from one bound to
    # the other; no less than whoever comes or goes, for nothing is between the bounds.
    return 2 * max(-low, high) if by_class else high - low
