"""A logistic regression of standardised columns, as joint training makes them ready."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from sklearn.linear_model import LogisticRegression

from saferoom_models.arrays import Floats, Integers
from saferoom_models.vertical.columns import prepare
from saferoom_models.vertical.points import kept, log_odds

TOLERANCE: Final = 1e-6
MOST_STEPS: Final = 2000
"""As joint training is measured by (`saferoom_models.appraisal`)."""


@dataclass(frozen=True, slots=True)
class Logistic:
    """A fitted model.

    Attributes:
        weights: of the standardised columns; 0 for one in which too few rows differ.
        means: taken off.
        scales: divided by; infinite for a column left out.
        intercept: of the log-odds.
    """

    weights: Floats
    means: Floats
    scales: Floats
    intercept: float

    def log_odds(self, values: Floats) -> Floats:
        """Foretell rows, each by itself."""
        return log_odds(kept(values, self.means, self.scales), self.weights) + self.intercept


def fit(names: Sequence[str], values: Floats, labels: Integers, inverse_ridge: float) -> Logistic:
    """Fit a model to rows.

    Raises:
        JointTrainingError: `NO_SUPPORT` where too few rows differ in any column, `BAD_COLUMNS`.
    """
    ready = prepare(names, values)
    model = LogisticRegression(C=inverse_ridge, tol=TOLERANCE, max_iter=MOST_STEPS)
    fitted = model.fit(ready.values, labels)
    weights = np.where(np.isfinite(ready.scales), fitted.coef_[0], 0.0)
    return Logistic(weights, ready.means, ready.scales, float(fitted.intercept_[0]))
