"""What a bank adds to a round's sum, as whole numbers modulo 2^64, and how the sum is read.

Rounding is once a bank and number, to 2^-37 or 2^-31; everything after is exact. No sum can leave
the signed 64 bits: 300,000 rows are below 2^18.2. A moment of values within [-1, 1] is then below
2^54.2 at 36 bits; of the others the largest is the loss, at most 64 a row, below 2^54.2 at 30 bits.
Fifty banks add less than six bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from saferoom_models.arrays import Floats, Integers
from saferoom_models.horizontal.columns import Rows
from saferoom_models.horizontal.masks import Words
from saferoom_models.horizontal.terms import MOST_OWN_ROWS, Terms
from saferoom_models.refusals import JointTrainingError, Refusal

MOMENT_BITS: Final = 36
NEWTON_BITS: Final = 30
OWN_BITS: Final = 56
"""What one bank adds stays below 2^56 either way, so that fifty stay below 2^62."""
LARGEST_LOSS: Final = 64.0
SUPPORT: Final = 50.0
"""Rows that must carry what a bank adds to the Hessian, as (sum of v)^2 / sum of v^2 counts them,
v being the variances that the model foretells. Weights that single a few rows out have fewer."""
_COUNTS: Final = 3
_MOMENTS: Final = 4


@dataclass(frozen=True, slots=True)
class Moments:
    """The sum of the first round, exact: counts, and of each column the sums of its powers.

    Attributes:
        rows, events: of all banks.
        powers: four lists, of first to fourth powers, in units of 2^-36.
    """

    rows: int
    events: int
    powers: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Newton:
    """The sum of a later round, without the ridge; the intercept is the last weight.

    Attributes:
        loss: minus the log-likelihood.
        foretold: the sum of foretold risks of rows with the event.
        gradient: of the loss.
        hessian: of the loss, the upper triangle row by row.
    """

    loss: float
    foretold: float
    gradient: tuple[float, ...]
    hessian: tuple[float, ...]


def own_moments(rows: Rows) -> Words:
    """Sum a bank's own rows for the first round."""
    powers = np.concatenate([(rows.values**power).sum(axis=0) for power in range(1, _MOMENTS + 1)])
    counts = np.array([1, len(rows.labels), rows.labels.sum()], np.int64)
    return _words(counts, powers * 2.0**MOMENT_BITS)


def own_newton(values: Floats, labels: Integers, weights: Floats) -> Words:
    """Sum a bank's own rows for a Newton step.

    Args:
        values: shape (rows, weights), standardised; the last column is all ones.
        labels: shape (rows,).
        weights: the model of this round, the intercept last.

    Raises:
        JointTrainingError: `THIN_SUM` when fewer than 50 own rows would carry the sum.
    """
    logits = values @ weights
    risks = 1 / (1 + np.exp(-np.clip(logits, -500, 500)))
    variances = risks * (1 - risks)
    if float(variances.sum()) ** 2 < SUPPORT * float((variances**2).sum()) or not variances.any():
        raise JointTrainingError(
            Refusal.THIN_SUM,
            f"the model singles out fewer than {SUPPORT:.0f} of this bank's rows; "
            "take a stronger ridge, or bring more rows",
        )
    losses = np.minimum(np.logaddexp(0, logits) - labels * logits, LARGEST_LOSS)
    hessian = (values * variances[:, None]).T @ values
    numbers = np.concatenate(
        [
            [losses.sum(), risks[labels == 1].sum()],
            values.T @ (risks - labels),
            hessian[np.triu_indices(len(weights))],
        ]
    )
    return _words(np.ones(1, np.int64), numbers * 2.0**NEWTON_BITS)


def _words(counts: Integers, numbers: Floats) -> Words:
    whole = np.concatenate([counts, np.rint(numbers).astype(np.int64)])
    if bool((np.abs(whole) >= 1 << OWN_BITS).any()):
        raise JointTrainingError(Refusal.NOT_EXACT, "a sum beyond what whole numbers can add up")
    return whole.view(np.uint64)


def _signed(total: Words, banks: int) -> list[int]:
    """Read whole numbers, the first of which counts the banks whose masks came off."""
    numbers = total.view(np.int64).tolist()
    if numbers[0] != banks:
        raise JointTrainingError(
            Refusal.OTHER_SUM, "the masks do not come off; the banks were told different things"
        )
    return numbers


def read_moments(terms: Terms, total: Words, banks: int) -> Moments:
    """Read the first round's sum, and refuse what no rows can add up to.

    Raises:
        JointTrainingError: `OTHER_SUM`, `OUT_OF_RANGE`.
    """
    numbers = _signed(total, banks)
    rows, events = numbers[1:_COUNTS]
    width = len(terms.columns)
    powers = tuple(
        tuple(numbers[_COUNTS + power * width : _COUNTS + (power + 1) * width])
        for power in range(_MOMENTS)
    )
    most = (rows << MOMENT_BITS) + banks
    if not (
        banks * terms.fewest_own_rows <= rows <= banks * MOST_OWN_ROWS
        and 0 <= events <= rows
        and all(-most <= number <= most for each in powers for number in each)
        and all(number >= -banks for each in (powers[1], powers[3]) for number in each)
    ):
        raise JointTrainingError(
            Refusal.OUT_OF_RANGE, "a sum that no rows come to: one of the banks added what it liked"
        )
    return Moments(rows, events, powers)


def read_newton(terms: Terms, total: Words, banks: int, rows: int) -> Newton:
    """Read a later round's sum, and refuse what no rows can add up to.

    Raises:
        JointTrainingError: `OTHER_SUM`, `OUT_OF_RANGE`.
    """
    numbers = [number / 2.0**NEWTON_BITS for number in _signed(total, banks)[1:]]
    weights = len(terms.columns) + 1
    loss, foretold = numbers[:2]
    gradient, hessian = numbers[2 : 2 + weights], numbers[2 + weights :]
    diagonal = [hessian[place * weights - place * (place - 1) // 2] for place in range(weights)]
    if not (
        0 <= loss <= LARGEST_LOSS * rows + 1
        and -1 <= foretold <= rows + 1
        and all(abs(number) <= 8 * rows + 1 for number in gradient)  # columns.CLIP
        and all(abs(number) <= 16 * rows + 1 for number in hessian)  # CLIP^2, at a variance of 1/4
        and all(number >= -1 for number in diagonal)
    ):
        raise JointTrainingError(
            Refusal.OUT_OF_RANGE, "a sum that no rows come to: one of the banks added what it liked"
        )
    return Newton(loss, foretold, tuple(gradient), tuple(hessian))
