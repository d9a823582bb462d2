"""Which rows a model is trained on, and which are held out to measure it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from saferoom_models.arrays import Floats, Integers


@dataclass(frozen=True, slots=True)
class Parts:
    """The places of rows, ascending.

    Attributes:
        train: trained on.
        held: held out.
    """

    train: Integers
    held: Integers


def split(labels: Integers, seed: bytes, one_of: int) -> Parts:
    """Hold out one row of so many, of each label alike; the same seed holds out the same rows.

    Args:
        labels: shape (rows,), 0 and 1.
        seed: 32 bytes that nobody knows who could choose rows.
        one_of: how many rows there are to one that is held out.
    """
    draw = np.random.Generator(np.random.PCG64(int.from_bytes(seed)))
    shuffled = [draw.permutation(np.flatnonzero(labels == label)) for label in (0, 1)]
    held = np.sort(np.concatenate([each[::one_of] for each in shuffled])).astype(np.int64)
    train = np.setdiff1d(np.arange(len(labels)), held, assume_unique=True)
    return Parts(train.astype(np.int64), held)


def means_of(values: Floats) -> Floats:
    """Give each column's mean over what is known; 0 where nothing is."""
    known = ~np.isnan(values)
    counts = known.sum(axis=0)
    return np.where(known, values, 0.0).sum(axis=0) / np.maximum(counts, 1)


def ends_of(values: Floats, fewest: int) -> tuple[Floats, Floats]:
    """Give each column's ends: so many known rows are at or beyond either of them.

    What is trained on is brought within its ends, so that no mean, scale or weight follows how far
    one row lies out.

    Args:
        values: shape (rows, columns); not a number where one is unknown.
        fewest: rows; of a column with fewer than twice as many, both ends are in the middle.
    """
    ends: list[tuple[float, float]] = []
    for column in values.T:
        known = np.sort(column[~np.isnan(column)])
        low = min(fewest - 1, (len(known) - 1) // 2)
        high = max(len(known) - fewest, len(known) // 2)
        ends.append((float(known[low]), float(known[high])) if len(known) else (0.0, 0.0))
    lows, highs = np.array(ends, np.float64).reshape(-1, 2).T
    return lows, highs
