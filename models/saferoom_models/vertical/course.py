"""The course of a training as either side follows it: rounds, weights, and when it ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from saferoom_models.arrays import Floats, Integers
from saferoom_models.refusals import JointTrainingError, Refusal
from saferoom_models.vertical.columns import Finding, FindingKind, Prepared
from saferoom_models.vertical.descent import Block, Recursion
from saferoom_models.vertical.points import kept, log_odds
from saferoom_models.vertical.saved import Saved
from saferoom_models.vertical.terms import Terms

TORN_APART: Final = 0.3
"""The least curvature met along a step, of what the own blocks foretell, below which columns of the
two sides are strongly correlated. Measured: 0.43 and more with such columns on one side, 0.07 to
0.27 with them torn apart."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a training is.

    Attributes:
        rounds: that are over.
        of: the most there can be.
        distance: the gradient's preconditioned norm, of its first value.
        over: whether it has ended.
    """

    rounds: int
    of: int
    distance: float
    over: bool


@dataclass(frozen=True, slots=True)
class Trained:
    """One side's part of the model; nobody holds the other's.

    Attributes:
        names: of the columns.
        weights: for standardised columns; 0 for one left out.
        intercept: on the label side; 0 on the room's.
        means, scales: how rows are standardised.
        rounds: that were taken.
        converged: whether the tolerance was reached.
        findings: what stood out in this side's columns and in the course.
    """

    names: tuple[str, ...]
    weights: Floats
    intercept: float
    means: Floats
    scales: Floats
    rounds: int
    converged: bool
    findings: tuple[Finding, ...]

    def points(self, values: Floats) -> Floats:
        """Give this side's part of the log-odds of rows, of shape (rows, columns), unscaled.

        Both sides' parts add up to the model's.

        Raises:
            JointTrainingError: `BAD_COLUMNS`.
        """
        if values.ndim != 2 or values.shape[1] != len(self.names):  # noqa: PLR2004 -- rows, columns
            raise JointTrainingError(
                Refusal.BAD_COLUMNS, f"the model has {len(self.names)} columns, the rows have not"
            )
        if not bool(np.isfinite(values).all()):
            raise JointTrainingError(
                Refusal.BAD_COLUMNS, "missing or endless values; fill them as for training"
            )
        whole = kept(values, self.means, self.scales)
        return log_odds(whole, self.weights) + self.intercept


class Course:
    """Rounds, over both sides' products; each side holds its own block."""

    def __init__(self, terms: Terms, block: Block) -> None:
        self._terms = terms
        self.block = block
        self._recursion = Recursion()
        self._distances: list[float] = []
        self.over = False
        self._converged = False
        self._diverged = False

    @property
    def progress(self) -> Progress:
        """How far it is."""
        last = self._distances[-1] if self._distances else 1.0
        return Progress(len(self._distances), self._terms.rounds, last, self.over)

    def settle(self, label: Floats, room: Floats) -> None:
        """End a round with both sides' products: step, or end.

        Raises:
            JointTrainingError: `DIVERGED`; the training is over then too.
        """
        products = [float(a) + float(b) for a, b in zip(label, room, strict=True)]
        try:
            distance = self._recursion.take(products)
        except JointTrainingError:
            self.over = self._diverged = True
            raise
        self._distances.append(distance)
        self._converged = distance <= self._terms.tolerance
        self.over = self._converged or len(self._distances) >= self._terms.rounds
        if self.over:
            return
        if not self._recursion.curved:
            self._recursion.forget()
            self.block.forget()
        self.block.move(self._recursion.direction())

    def trained(self, columns: Prepared, intercept: float, weights: Floats) -> Trained:
        """Give the side's part of the model.

        Raises:
            JointTrainingError: `NOT_FINISHED`, `DIVERGED`.
        """
        if self._diverged:
            raise JointTrainingError(Refusal.DIVERGED, "there is no model: the gradient grew")
        if not self.over or not self._distances:
            raise JointTrainingError(Refusal.NOT_FINISHED, f"round {len(self._distances)} is over")
        return Trained(
            columns.names,
            weights,
            intercept,
            columns.means,
            columns.scales,
            len(self._distances),
            self._converged,
            (*columns.findings, *self._findings()),
        )

    def _findings(self) -> list[Finding]:
        rounds = f"{len(self._distances)} rounds"
        if not self._converged:
            return [
                Finding(
                    FindingKind.NOT_CONVERGED,
                    rounds,
                    f"ended at {self._distances[-1]:.3g} of the first gradient, not "
                    f"{self._terms.tolerance}; take a stronger ridge or rank 8, or keep correlated "
                    "columns on one side",
                )
            ]
        if self._recursion.least < TORN_APART:
            return [
                Finding(
                    FindingKind.TORN_APART,
                    rounds,
                    "columns of the two sides seem strongly correlated; do not read weights alone",
                )
            ]
        return []

    def save(self) -> dict[str, Floats | Integers]:
        """Give all of it as arrays."""
        recursion, block = self._recursion, self.block
        gradient = np.zeros(0) if block.gradient is None else block.gradient
        width = len(block.weights)
        return {
            "weights": block.weights,
            "gradient": gradient,
            "steps": np.array(block.steps).reshape(-1, width),
            "differences": np.array(block.differences).reshape(-1, width),
            "step_difference": _square(recursion.step_difference, recursion.pairs),
            "difference_difference": _square(recursion.difference_difference, recursion.pairs),
            "seen": np.array(recursion.seen),
            "along": np.array([recursion.along, recursion.first, recursion.least]),
            "distances": np.array(self._distances),
            "over": np.array([self.over, self._converged, self._diverged], dtype=np.int64),
        }

    def restore(self, saved: Saved) -> None:
        """Take up what `save` gave."""
        recursion, block = self._recursion, self.block
        block.weights = saved.floats("weights")
        gradient = saved.floats("gradient")
        block.gradient = gradient if len(gradient) else None
        block.steps = list(saved.floats("steps"))
        block.differences = list(saved.floats("differences"))
        recursion.step_difference = saved.floats("step_difference").tolist()
        recursion.difference_difference = saved.floats("difference_difference").tolist()
        recursion.pairs = len(recursion.step_difference)
        recursion.seen = saved.floats("seen").tolist()
        recursion.along, recursion.first, recursion.least = saved.floats("along").tolist()
        self._distances = saved.floats("distances").tolist()
        flags = [bool(flag) for flag in saved.integers("over")]
        self.over, self._converged, self._diverged = flags


def _square(rows: list[list[float]], size: int) -> Floats:
    return np.array(rows, dtype=np.float64).reshape(size, size)
