"""L-BFGS over two sides' blocks of weights, of which only dot products cross.

Each side keeps its own block of gradients g, of steps s and of differences y, and starts from its
own block H of the inverse of a fixed Hessian. What both need are products over both blocks. Of
these, nine a round are exchanged: s_j·g and (Hy_j)·g for the last four pairs, and g·Hg. All others
follow, for y = g' - g:

- s_i·y_j and (Hy_i)·y_j, i older than j: from the products with the gradients on either side of
  y_j;
- s·y of the newest: from s·g', and s·g by the combination that s was;
- y·Hy of the newest: 2(Hy)·g' - g'·Hg' + g·Hg.

Both sides add the same numbers in the same order, so they come to the same coefficients. Sources:
Nocedal and Wright, Numerical Optimization, algorithm 7.4; Chen, Wang and Zhou, Large-scale L-BFGS
using MapReduce (2014), for working with dot products only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from saferoom_models.arrays import Floats
from saferoom_models.refusals import JointTrainingError, Refusal
from saferoom_models.vertical.terms import MEMORY, SCALARS

DIVERGED: Final = 1e3
"""The gradient's norm, of its first value, at which training is given up."""


@dataclass(frozen=True, slots=True)
class Direction:
    """A step as a combination: of Hg, of the Hy_j, of the s_j."""

    gradient: float
    differences: list[float]
    steps: list[float]


@dataclass
class Recursion:
    """What both sides work out alike from the exchanged products."""

    pairs: int = 0
    step_difference: list[list[float]] = field(default_factory=list[list[float]])
    """Row i, column j >= i: s_i·y_j."""
    difference_difference: list[list[float]] = field(default_factory=list[list[float]])
    """Row i, column j: (Hy_i)·y_j."""
    seen: list[float] = field(default_factory=list[float])
    """The last round's products."""
    along: float = 0.0
    """The last step's product with the gradient it was made from."""
    first: float = 0.0
    """g·Hg of the first round."""
    least: float = math.inf
    """The least of (y·Hy)/(s·y): the curvature along a step, 1 where the own blocks tell it all."""

    def take(self, products: list[float]) -> float:
        """Take a round's products, and give the gradient's norm, of its first value.

        Raises:
            JointTrainingError: `DIVERGED`.
        """
        square = products[2 * MEMORY]
        if not self.seen:
            self.first = square
        else:
            self._extend(products)
        self.seen = products
        if not 0 <= square <= self.first * DIVERGED**2:
            raise JointTrainingError(
                Refusal.DIVERGED, "the gradient grows; take a stronger ridge or a higher rank"
            )
        return math.sqrt(square / self.first) if self.first else 0.0

    def _extend(self, products: list[float]) -> None:
        """Add the products of the newest pair; the oldest goes when memory is full."""
        old_steps, old_differences = self.seen[:MEMORY], self.seen[MEMORY : 2 * MEMORY]
        if self.pairs == MEMORY:
            old_steps, old_differences = old_steps[1:], old_differences[1:]
            self.step_difference = [row[1:] for row in self.step_difference[1:]]
            self.difference_difference = [row[1:] for row in self.difference_difference[1:]]
            self.pairs -= 1
        newest = self.pairs
        for i in range(newest):
            self.step_difference[i].append(products[i] - old_steps[i])
            self.difference_difference[i].append(products[MEMORY + i] - old_differences[i])
        square, before = products[2 * MEMORY], self.seen[2 * MEMORY]
        own = 2 * products[MEMORY + newest] - square + before
        row = [self.difference_difference[i][newest] for i in range(newest)]
        self.step_difference.append([0.0] * newest + [products[newest] - self.along])
        self.difference_difference.append([*row, own])
        self.pairs += 1
        if self.curved:
            self.least = min(self.least, own / self.step_difference[newest][newest])

    @property
    def curved(self) -> bool:
        """Whether the newest pair is curved as a convex loss is; rounding can spoil it."""
        newest = self.pairs - 1
        return newest < 0 or (
            self.step_difference[newest][newest] > 0
            and self.difference_difference[newest][newest] > 0
        )

    def forget(self) -> None:
        """Drop all pairs: the next step is the preconditioned gradient's."""
        self.pairs = 0
        self.step_difference, self.difference_difference = [], []

    def direction(self) -> Direction:
        """Work out the two loops of L-BFGS on products, and note the step's along the gradient."""
        count, across = self.pairs, self.step_difference
        steps, differences = self.seen[:count], self.seen[MEMORY : MEMORY + count]
        square = self.seen[2 * MEMORY]
        first = [0.0] * count
        for i in reversed(range(count)):
            rest = sum(first[j] * across[i][j] for j in range(i + 1, count))
            first[i] = (steps[i] - rest) / across[i][i]
        inner = self.difference_difference
        scale = across[-1][-1] / inner[-1][-1] if count else 1.0
        back = [0.0] * count
        for i in range(count):
            started = differences[i] - sum(first[j] * inner[i][j] for j in range(count))
            added = sum(back[j] * across[j][i] for j in range(i))
            back[i] = first[i] - (scale * started + added) / across[i][i]
        found = Direction(-scale, [scale * a for a in first], [-b for b in back])
        self.along = found.gradient * square
        self.along += sum(c * v for c, v in zip(found.differences, differences, strict=True))
        self.along += sum(c * v for c, v in zip(found.steps, steps, strict=True))
        return found


@dataclass
class Block:
    """One side's weights and what it remembers of its own gradients."""

    inverse: Floats
    """Its block of the inverse of the fixed Hessian, shape (columns, columns)."""
    weights: Floats
    gradient: Floats | None = None
    steps: list[Floats] = field(default_factory=list[Floats])
    differences: list[Floats] = field(default_factory=list[Floats])

    def products(self, gradient: Floats) -> Floats:
        """Take a new gradient and give this side's part of the nine products."""
        if self.gradient is not None:
            self.differences.append(gradient - self.gradient)
            self.steps = self.steps[-MEMORY:]
            self.differences = self.differences[-MEMORY:]
        self.gradient = gradient
        parts = np.zeros(SCALARS)
        for j, (step, difference) in enumerate(zip(self.steps, self.differences, strict=True)):
            parts[j] = step @ gradient
            parts[MEMORY + j] = (self.inverse @ difference) @ gradient
        parts[2 * MEMORY] = gradient @ self.inverse @ gradient
        return parts

    def forget(self) -> None:
        """Drop all pairs."""
        self.steps, self.differences = [], []

    def move(self, direction: Direction) -> None:
        """Take the step that both sides worked out, on this side's weights."""
        if self.gradient is None:
            raise RuntimeError("no gradient yet")
        step = direction.gradient * (self.inverse @ self.gradient)
        for c, difference in zip(direction.differences, self.differences, strict=True):
            step = step + c * (self.inverse @ difference)
        for c, earlier in zip(direction.steps, self.steps, strict=True):
            step = step + c * earlier
        self.weights = self.weights + step
        self.steps.append(step)


def inverse_hessian(values: Floats, variance: float, penalties: Floats) -> Floats:
    """Invert a side's block of the Hessian at the base rate: variance·XᵀX + ridge.

    Args:
        values: shape (rows, columns).
        variance: p(1 - p) at the base rate.
        penalties: the ridge of each column; a column left out needs one above 0.
    """
    return np.linalg.inv(variance * (values.T @ values) + np.diag(penalties)).astype(np.float64)
