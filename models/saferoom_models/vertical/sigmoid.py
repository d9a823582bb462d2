"""The logistic function of a sum, split so that each side evaluates its own part.

s(u + v) = a(u) + b(v) + sum over k of phi_k(u)·psi_k(v) + error, on a grid of 401 points a side: u
within 10 of the base rate's log-odds mu, v within 10 of 0. a and b are weighted means over rows and
columns of the table; phi and psi are what a weighted singular value decomposition leaves of the
rest. Beyond the grid each side is clipped.

Weights exp(-(x/spread)²/2) + 0.002 lay the accuracy where logits are. With mu = -1.26 and spread
1.5, the error's weighted root mean square is 0.010 at rank 2, 0.003 at 4 and 0.001 at 6 (measured;
a cubic diverges on real data). More of how it was found: docs/joint-training.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np

from saferoom_models.arrays import Floats, Integers

POINTS: Final = 401
REACH: Final = 10.0
FLOOR: Final = 2e-3
MOST_RANK: Final = 8
MARK_EVERY: Final = 50
MARK_TOLERANCE: Final = 1e-6
"""Rounding of double precision leaves some 1e-12; another table differs in the first place."""
FACTOR_BITS: Final = 10
"""Both factors of a product are kept to 2^-10."""
RESIDUAL_BITS: Final = 2 * FACTOR_BITS
"""So residuals are kept to 2^-20."""


@dataclass(frozen=True, slots=True)
class HalfTable:
    """One side's part: a function of its logits that is added, and those that are multiplied."""

    grid: Floats
    added: Floats
    multiplied: Floats
    """Shape (points, rank)."""

    def addend(self, logits: Floats) -> Floats:
        """Evaluate what is added; outside the grid its end counts."""
        return np.interp(logits, self.grid, self.added)

    def factors(self, logits: Floats) -> list[Integers]:
        """Evaluate what is multiplied, in units of 2^-10, one vector for each rank."""
        return [
            np.rint(np.interp(logits, self.grid, self.multiplied[:, k]) * 2**FACTOR_BITS).astype(
                np.int64
            )
            for k in range(self.multiplied.shape[1])
        ]


@dataclass(frozen=True, slots=True)
class SplitSigmoid:
    """Both sides' parts, made from public numbers alone, and the largest residual they can give."""

    label: HalfTable
    room: HalfTable
    largest_residual: float

    def marks(self) -> Floats:
        """Give some points of both tables, by which two sides tell that they made the same."""
        halves = (self.label.multiplied, self.room.multiplied)
        return np.concatenate([half[::MARK_EVERY].reshape(-1) for half in halves])


def mark_count(rank: int) -> int:
    """Say how many marks there are."""
    return 2 * rank * len(range(0, POINTS, MARK_EVERY))


@lru_cache(maxsize=32)
def split_sigmoid(log_odds: float, rank: int, spread: float) -> SplitSigmoid:
    """Split the logistic function around the base rate's log-odds."""
    parts = _decompose(log_odds, spread)
    phi, psi = parts.phi[:, :rank], parts.psi[:, :rank]
    # |phi| is at most 1, so that the label side's numbers have one known range.
    largest = np.abs(phi).max(axis=0)
    phi, psi = phi / largest, psi * largest
    # Between grid points all is bilinear, so the largest value stands at one of them. Rounding
    # adds half a unit to each factor and each addend.
    whole = parts.added_u[:, None] + parts.added_v[None, :] + phi @ psi.T
    rounding = rank * 2.0**-FACTOR_BITS + 2.0**-RESIDUAL_BITS
    residual = max(float(whole.max()), 1.0 - float(whole.min())) + rounding
    label = HalfTable(parts.u, parts.added_u, phi)
    return SplitSigmoid(label, HalfTable(parts.v, parts.added_v, psi), residual)


@dataclass(frozen=True, slots=True)
class _Parts:
    u: Floats
    v: Floats
    added_u: Floats
    added_v: Floats
    phi: Floats
    psi: Floats


@lru_cache(maxsize=8)
def _decompose(log_odds: float, spread: float) -> _Parts:
    u = np.linspace(log_odds - REACH, log_odds + REACH, POINTS)
    v = np.linspace(-REACH, REACH, POINTS)
    table = 1.0 / (1.0 + np.exp(-(u[:, None] + v[None, :])))
    weight_u = _weights((u - log_odds) / spread)
    weight_v = _weights(v / spread)
    mean_u, mean_v = table @ weight_v, weight_u @ table
    mean = float(weight_u @ mean_u)
    rest = table - mean_u[:, None] - mean_v[None, :] + mean
    root_u, root_v = np.sqrt(weight_u), np.sqrt(weight_v)
    left, sizes, right = np.linalg.svd(root_u[:, None] * rest * root_v[None, :])
    left, right = left[:, :MOST_RANK], right[:MOST_RANK].T * sizes[:MOST_RANK]
    for first in range(0, MOST_RANK, 2):
        pair = slice(first, first + 2)
        turn = _settled(left[:, pair], np.exp(-v / REACH))
        left[:, pair], right[:, pair] = left[:, pair] @ turn, right[:, pair] @ turn
    phi, psi = left / root_u[:, None], right / root_v[:, None]
    return _Parts(u, v, mean_u - mean / 2, mean_v - mean / 2, phi, psi)


def _settled(pair: Floats, towards: Floats) -> Floats:
    """Give the turn by which two vectors come to stand as they would from any other library.

    A decomposition leaves signs open, and vectors of equal size may be turned in their plane; sizes
    come in pairs, at even odds exactly equal ones. Turning both sides of a pair alike changes no
    product. So the first is turned towards a fixed vector, and the second's sign follows from
    another.
    """
    along = towards @ pair
    cosine, sine = along / np.hypot(along[0], along[1])
    turn = np.array([[cosine, -sine], [sine, cosine]])
    turn[:, 1] *= np.sign(np.arange(POINTS) * towards @ pair @ turn[:, 1])
    return turn


def _weights(distance: Floats) -> Floats:
    weights = np.exp(-0.5 * distance**2) + FLOOR
    return weights / weights.sum()
