"""A side's part of a model's log-odds, for rows of training and for later ones alike.

Each row by itself: the same numbers come of it whatever rows stand beside it, on any machine, so
that a score is a function of the record and of the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from saferoom_models.arrays import Floats, Integers

COLUMN_BITS: Final = 10
CLIP: Final = 8.0


def standardise(values: Floats, means: Floats, scales: Floats) -> Floats:
    """Bring rows, those of training or later ones, to the scale of training."""
    return np.clip((values - means) / scales, -CLIP, CLIP)


def kept(values: Floats, means: Floats, scales: Floats) -> Integers:
    """Bring rows to the whole numbers that training is done with, in units of 2^-10."""
    return np.rint(standardise(values, means, scales) * 2**COLUMN_BITS).astype(np.int64)


def log_odds(whole: Integers, weights: Floats) -> Floats:
    """Add up what each column contributes, in the columns' order.

    A product of matrices may add in another order for another number of rows, and then a row's
    last digit would depend on the others.

    Args:
        whole: shape (rows, columns), as `kept` gives them.
        weights: one for each column.
    """
    total = np.zeros(len(whole))
    for column, weight in zip(whole.T, weights.tolist(), strict=True):
        total += column / 2.0**COLUMN_BITS * weight
    return total


def reasons(whole: Integers, weights: Floats, features: Integers, most: int) -> NDArray[np.uint64]:
    """Tell which features raise the log-odds of the event the most, above the mean of training.

    Args:
        whole: shape (rows, columns), as `kept` gives them.
        weights: one for each column.
        features: which feature each column is of, from 0 on, ascending.
        most: how many features are told at most.

    Returns:
        For each row a bit for each feature that is told: of those that raise the log-odds, the
        `most` that raise them the most, the earlier one where two raise them alike.
    """
    raised = np.column_stack(
        [
            log_odds(whole[:, features == feature], weights[features == feature])
            for feature in range(int(features[-1]) + 1)
        ]
    )
    ranked = np.argsort(-raised, axis=1, kind="stable")[:, :most]
    told = np.take_along_axis(raised, ranked, axis=1) > 0
    bits = np.where(told, np.uint64(1) << ranked.astype(np.uint64), np.uint64(0))
    return np.bitwise_or.reduce(bits, axis=1)


def bands(points: Floats, edges: Sequence[float]) -> Integers:
    """Tell in which band each number lies, from 0 on; a band holds its lower edge."""
    return np.searchsorted(np.asarray(edges), points, side="right").astype(np.int64)
