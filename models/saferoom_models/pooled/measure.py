"""How far a model tells events from others, and rows of training from others."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from sklearn.metrics import roc_auc_score, roc_curve

from saferoom_models.arrays import Floats, Integers
from saferoom_models.pooled.rows import Parts

BY_CHANCE: Final = 0.001
"""How often a model that tells nothing of membership comes to `by_chance` or more."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured.

    Attributes:
        auc, ks: on the rows held out.
        membership: the advantage of the best attack by a threshold of the loss (Yeom et al. 2018):
            how much more of the rows of training than of those held out have at most that loss.
        by_chance: what it comes to by chance, once in a thousand times: the one-sided bound of
            Smirnov for two samples of these sizes.
    """

    auc: float
    ks: float
    membership: float
    by_chance: float


def measure(log_odds: Floats, labels: Integers, parts: Parts) -> Measured:
    """Measure a model by its log-odds of all rows."""
    held = log_odds[parts.held]
    false, true, _ = roc_curve(labels[parts.held], held)
    losses = np.logaddexp(0.0, np.where(labels == 1, -log_odds, log_odds))
    train, others = np.sort(losses[parts.train]), np.sort(losses[parts.held])
    at = np.unique(losses)
    shares = (np.searchsorted(each, at, side="right") / len(each) for each in (train, others))
    of_train, of_others = shares
    sizes = (len(train) + len(others)) / (len(train) * len(others))
    return Measured(
        auc=float(roc_auc_score(labels[parts.held], held)),
        ks=float(np.abs(true - false).max()),
        membership=max(0.0, float((of_train - of_others).max())),
        by_chance=min(1.0, math.sqrt(-math.log(BY_CHANCE) / 2 * sizes)),
    )
