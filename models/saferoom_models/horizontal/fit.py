"""The fit that follows from the rounds' sums: scaling, and Newton steps.

All of it is a function of the terms and the exact sums, computed in a fixed order without a library
of linear algebra, so that every bank comes to the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final

import numpy as np

from saferoom_models.arrays import Floats
from saferoom_models.horizontal.model import CLIP, Finding, FindingKind, Model
from saferoom_models.horizontal.sums import MOMENT_BITS, SUPPORT, Moments, Newton
from saferoom_models.horizontal.terms import FEW_EVENTS, Terms, check_numbers
from saferoom_models.refusals import JointTrainingError, Refusal

LARGEST_WEIGHT: Final = 30.0
"""Of a standardised column: beyond it a unit's change alone would decide."""
_START_STEPS: Final = 1024.0
"""The first intercept is rounded so that no two mathematics libraries give two."""
_LEAST_SPREAD: Final = 1e-9
"""Of a column's bounds, squared: less is what rounding leaves of a column of equal values."""
_PROGRESS: Final = 1e-12


@dataclass(frozen=True, slots=True)
class Scaling:
    """How all banks standardise, from the sums of the first round.

    Attributes:
        rows, events: of all banks.
        means, scales: of columns within [-1, 1]; scale is 0 for one that is left out.
        findings: which were, and what else stood out.
    """

    rows: int
    events: int
    means: tuple[float, ...]
    scales: tuple[float, ...]
    findings: tuple[Finding, ...]

    def apply(self, values: Floats) -> Floats:
        """Standardise rows within [-1, 1], and add the intercept's ones."""
        scales = np.where(np.array(self.scales) == 0, np.inf, self.scales)
        standard = np.clip((values - np.array(self.means)) / scales, -CLIP, CLIP)
        return np.hstack([standard, np.ones((len(values), 1))])


def scaling_of(terms: Terms, moments: Moments) -> Scaling:
    """Find means and spreads, and what to leave out.

    A column that few rows carry, N s^4 / m4 of them, is left out: for a flag that is how many rows
    have it.

    Raises:
        JointTrainingError: `NO_SUPPORT` when no column is left, and what `check_numbers` refuses.
    """
    check_numbers(terms, moments.rows, moments.events)
    means: list[float] = []
    scales: list[float] = []
    findings: list[Finding] = []
    for place, column in enumerate(terms.columns):
        first, second, third, fourth = (
            Fraction(power[place], moments.rows << MOMENT_BITS) for power in moments.powers
        )
        variance = second - first**2
        kurtosis = fourth - 4 * first * third + 6 * first**2 * second - 3 * first**4
        means.append(float(first))
        if variance < _LEAST_SPREAD:
            findings.append(
                Finding(
                    FindingKind.CONSTANT,
                    column.name,
                    "left out: the same in all rows, or far narrower than its bounds",
                )
            )
            scales.append(0.0)
        elif moments.rows * variance**2 < SUPPORT * kurtosis:
            findings.append(
                Finding(
                    FindingKind.RARE,
                    column.name,
                    f"left out: fewer than {SUPPORT:.0f} rows carry it",
                )
            )
            scales.append(0.0)
        else:
            scales.append(math.sqrt(variance))
    if not any(scales):
        raise JointTrainingError(Refusal.NO_SUPPORT, "no column is left to train on")
    rarer = min(moments.events, moments.rows - moments.events)
    if rarer < FEW_EVENTS * len(terms.columns):
        findings.append(
            Finding(
                FindingKind.FEW_EVENTS,
                "labels",
                f"{rarer} events for {len(terms.columns)} columns: the ridge holds the weights",
            )
        )
    return Scaling(moments.rows, moments.events, tuple(means), tuple(scales), tuple(findings))


@dataclass(frozen=True, slots=True)
class Fit:
    """How far the fit is. A value: each sum makes the next of it.

    Attributes:
        scaling: of the columns.
        weights: of the round that is due, or the model's; the intercept last.
        step: the Newton step that led there; zero at first.
        loss: with the ridge, of the last round that was summed; infinite at first.
        rounds: how many Newton rounds were summed.
        separation: of the last one: mean foretold risk of events, less that of other rows.
        largest_step: the largest entry of the last step.
        over: whether nothing more is to be summed.
        converged: whether the last step was within the tolerance.
    """

    scaling: Scaling
    weights: tuple[float, ...]
    step: tuple[float, ...]
    loss: float = math.inf
    rounds: int = 0
    separation: float = 0.0
    largest_step: float = math.inf
    over: bool = False
    converged: bool = False


def begin(terms: Terms, moments: Moments) -> Fit:
    """Begin with the base rate's log-odds and no weights."""
    scaling = scaling_of(terms, moments)
    odds = math.log(scaling.events / (scaling.rows - scaling.events))
    width = len(terms.columns)
    weights = (*([0.0] * width), round(odds * _START_STEPS) / _START_STEPS)
    return Fit(scaling, weights, (0.0,) * (width + 1))


def advance(terms: Terms, fit: Fit, newton: Newton) -> Fit:
    """Take a round's sum: a Newton step, or half of the last one when the loss grew.

    Source: McCullagh and Nelder, Generalized linear models, 2nd edition, section 2.5; with the
    ridge added to gradient and Hessian of all weights but the intercept.

    Raises:
        JointTrainingError: `DIVERGED`.
    """
    squares = math.fsum(weight * weight for weight in fit.weights[:-1])
    loss = newton.loss + terms.penalty * squares / 2
    if loss > fit.loss + _PROGRESS * abs(fit.loss):
        step = tuple(entry / 2 for entry in fit.step)
        move = tuple(-entry for entry in step)  # from the end of the step back to its middle
        loss, largest = fit.loss, fit.largest_step
    else:
        step = move = _step(terms, fit.weights, newton)
        largest = max(abs(entry) for entry in step)
    weights = tuple(weight + entry for weight, entry in zip(fit.weights, move, strict=True))
    if not all(abs(weight) <= LARGEST_WEIGHT for weight in weights):  # false for what is no number
        raise JointTrainingError(
            Refusal.DIVERGED, "a weight grew beyond all measure; take a stronger ridge"
        )
    rounds, converged = fit.rounds + 1, largest <= terms.tolerance
    return replace(
        fit,
        weights=weights,
        step=step,
        loss=loss,
        rounds=rounds,
        separation=_separation(fit.scaling, newton),
        largest_step=largest,
        over=converged or rounds >= terms.rounds,
        converged=converged,
    )


def _separation(scaling: Scaling, newton: Newton) -> float:
    """Say how far the round's model tells events from other rows (Tjur 2009)."""
    events, others = scaling.events, scaling.rows - scaling.events
    of_others = newton.gradient[-1] + events - newton.foretold
    return newton.foretold / events - of_others / others


def _step(terms: Terms, weights: Sequence[float], newton: Newton) -> tuple[float, ...]:
    penalties = [terms.penalty] * (len(weights) - 1) + [0.0]
    gradient = [
        slope + penalty * weight
        for slope, penalty, weight in zip(newton.gradient, penalties, weights, strict=True)
    ]
    rows: list[list[float]] = []
    at = 0
    for place, penalty in enumerate(penalties):
        row = list(newton.hessian[at : at + len(weights) - place])
        row[0] += penalty
        rows.append(row)
        at += len(row)
    return tuple(-entry for entry in solve(rows, gradient))


def solve(rows: list[list[float]], right: Sequence[float]) -> list[float]:
    """Solve a symmetric positive definite system, in one order of operations.

    Args:
        rows: the upper triangle; row i begins at the diagonal. It is used up.
        right: the right side.

    Raises:
        JointTrainingError: `DIVERGED` when the matrix is not positive definite.

    Source: Golub and Van Loan, Matrix computations, section 4.1 (LDL^T, by outer products).
    """
    size = len(rows)
    solution = list(right)
    for pivot, row in enumerate(rows):
        if not row[0] > 0:
            raise JointTrainingError(
                Refusal.DIVERGED, "the sums curve the wrong way; take a stronger ridge"
            )
        for below in range(pivot + 1, size):
            factor = row[below - pivot] / row[0]
            if factor:
                target = rows[below]
                for place in range(size - below):
                    target[place] -= factor * row[below - pivot + place]
                solution[below] -= factor * solution[pivot]
    for pivot in range(size - 1, -1, -1):
        row = rows[pivot]
        for place in range(1, size - pivot):
            solution[pivot] -= row[place] * solution[pivot + place]
        solution[pivot] /= row[0]
    return solution


def model_of(terms: Terms, fit: Fit) -> Model:
    """Give the model of a fit, in the columns' own units."""
    halves = [(column.high - column.low) / 2 for column in terms.columns]
    middles = [column.low + half for column, half in zip(terms.columns, halves, strict=True)]
    findings = list(fit.scaling.findings)
    if not fit.converged:
        findings.append(
            Finding(
                FindingKind.NOT_CONVERGED,
                "weights",
                f"the last step was {fit.largest_step:.1e}; take a stronger ridge or more rounds",
            )
        )
    return Model(
        names=tuple(column.name for column in terms.columns),
        weights=fit.weights[:-1],
        intercept=fit.weights[-1],
        means=tuple(
            middle + half * mean
            for middle, half, mean in zip(middles, halves, fit.scaling.means, strict=True)
        ),
        scales=tuple(half * scale for half, scale in zip(halves, fit.scaling.scales, strict=True)),
        bounds=tuple((column.low, column.high) for column in terms.columns),
        rows=fit.scaling.rows,
        events=fit.scaling.events,
        rounds=fit.rounds,
        converged=fit.converged,
        separation=fit.separation,
        findings=tuple(findings),
    )
