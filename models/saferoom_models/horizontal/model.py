"""The model that all banks come to, in the columns' own units, and what stood out on the way."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from saferoom_models.refusals import JointTrainingError, Refusal

if TYPE_CHECKING:
    from saferoom_models.arrays import Floats

CLIP: Final = 8.0
"""Standardised values beyond are taken as this: no one row decides a weight."""


class FindingKind(StrEnum):
    """What stands out in columns or in the course of training, and was handled as it says."""

    CONSTANT = "CONSTANT"
    RARE = "RARE"
    RARE_HERE = "RARE_HERE"
    CUT = "CUT"
    FEW_EVENTS = "FEW_EVENTS"
    NOT_CONVERGED = "NOT_CONVERGED"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that stood out: its kind, where, and what was done or can be."""

    kind: FindingKind
    place: str
    detail: str


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
        import numpy as np  # noqa: PLC0415 - a model is read where numpy is not installed, too

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
