"""The model that all banks come to, in the columns' own units."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from saferoom_models.horizontal.columns import CLIP, Finding, FindingKind, Floats
from saferoom_models.horizontal.fit import Fit
from saferoom_models.horizontal.terms import Terms
from saferoom_models.refusals import JointTrainingError, Refusal


@dataclass(frozen=True, slots=True)
class Model:
    """The model that all banks come to.

    Attributes:
        names: of the columns.
        weights: of the standardised columns.
        intercept: of the model.
        means, scales: by which a column is standardised; scale is 0 for one left out.
        bounds: of the columns; values beyond are taken as these.
        rows, events: of all banks, that were trained on.
        rounds: Newton rounds.
        converged: whether the last step was within the tolerance.
        separation: before the last step: mean foretold risk of events, less that of other rows
            (Tjur, Coefficients of determination in logistic regression models, 2009).
        findings: what stood out.
    """

    names: tuple[str, ...]
    weights: tuple[float, ...]
    intercept: float
    means: tuple[float, ...]
    scales: tuple[float, ...]
    bounds: tuple[tuple[float, float], ...]
    rows: int
    events: int
    rounds: int
    converged: bool
    separation: float
    findings: tuple[Finding, ...]

    def points(self, values: Floats) -> Floats:
        """Give the log-odds of rows, of shape (rows, columns), unscaled.

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
        lows, highs = np.array(self.bounds).T
        scales = np.where(np.array(self.scales) == 0, np.inf, self.scales)
        standard = (np.clip(values, lows, highs) - np.array(self.means)) / scales
        return np.clip(standard, -CLIP, CLIP) @ np.array(self.weights) + self.intercept


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
