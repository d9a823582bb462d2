"""What a label side can tell of a joint model, from its own rows and from what it saw.

It holds no logit of the room's, so no row's joint score: how the joint model ranks rows cannot be
measured here. What can be: how far the joint model tells events from others (`separation`), and the
same of the label side's own columns alone, for which there are ranks too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score, roc_curve
from sklearn.model_selection import StratifiedKFold

from saferoom_models.arrays import Floats, Integers
from saferoom_models.participant import Participant
from saferoom_models.vertical.columns import Finding, prepare

FOLDS: Final = 5
BANDS: Final = 10


@dataclass(frozen=True, slots=True)
class Weight:
    """One own column's weight, for the standardised column.

    Attributes:
        name: of the column.
        joint: in the joint model.
        alone: in the fit on the own columns alone.
        mean, scale: by which the column was standardised; scale is 0 for one left out.
    """

    name: str
    joint: float
    alone: float
    mean: float
    scale: float


@dataclass(frozen=True, slots=True)
class Band:
    """A tenth of the rows, by the score of the own columns alone; the riskiest first."""

    rows: int
    events: int
    lift: float
    """Its rate of events, of the rate of all rows."""


@dataclass(frozen=True, slots=True)
class Appraisal:
    """What is to be told.

    Attributes:
        rows, events: that were trained on; the label side's own count.
        separation: of the joint model, on the rows it was trained on.
        alone_separation: of the fit on the own columns alone, on the same rows.
        alone_auc, alone_ks: of that fit on rows held out, each fifth in turn.
        bands: of that fit, likewise.
        weights: of the own columns.
        intercept: of the joint model.
        rounds, converged: of the training.
        findings: what stood out.
    """

    rows: int
    events: int
    separation: float
    alone_separation: float
    alone_auc: float
    alone_ks: float
    bands: tuple[Band, ...]
    weights: tuple[Weight, ...]
    intercept: float
    rounds: int
    converged: bool
    findings: tuple[Finding, ...]


def appraise(participant: Participant, inverse_ridge: float) -> Appraisal:
    """Appraise a training that has ended.

    Args:
        participant: after the last answer.
        inverse_ridge: of the job; the own columns alone are fitted with the same.

    Raises:
        JointTrainingError: `NOT_FINISHED`.
    """
    trained = participant.trained()
    values, labels = participant.common()
    ready = prepare(trained.names, values).values
    alone = _fit(ready, labels, inverse_ridge)
    held = _held_out(ready, labels, inverse_ridge)
    false, true, _ = roc_curve(labels, held)
    return Appraisal(
        rows=len(labels),
        events=int(labels.sum()),
        separation=participant.separation,
        alone_separation=_separation(alone.decision_function(ready), labels),
        alone_auc=float(roc_auc_score(labels, held)),
        alone_ks=float(np.abs(true - false).max()),
        bands=_bands(held, labels),
        weights=tuple(
            Weight(name, float(joint), float(own), float(mean), float(scale))
            for name, joint, own, mean, scale in zip(
                trained.names,
                trained.weights,
                alone.coef_[0],
                trained.means,
                np.where(np.isfinite(trained.scales), trained.scales, 0.0),
                strict=True,
            )
        ),
        intercept=trained.intercept,
        rounds=trained.rounds,
        converged=trained.converged,
        findings=trained.findings,
    )


def _fit(ready: Floats, labels: Integers, inverse_ridge: float) -> LogisticRegression:
    return LogisticRegression(C=inverse_ridge, tol=1e-6, max_iter=2000).fit(ready, labels)


def _held_out(ready: Floats, labels: Integers, inverse_ridge: float) -> Floats:
    """Score each fifth of the rows by a fit on the others."""
    scores = np.zeros(len(labels))
    for train, held in StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(ready, labels):
        fit = _fit(ready[train], labels[train], inverse_ridge)
        scores[held] = fit.decision_function(ready[held])
    return scores


def _separation(logits: Floats, labels: Integers) -> float:
    risks = 1 / (1 + np.exp(-logits))
    return float(risks[labels == 1].mean() - risks[labels == 0].mean())


def _bands(scores: Floats, labels: Integers) -> tuple[Band, ...]:
    rate = labels.mean()
    tenths = np.array_split(labels[np.argsort(-scores, kind="stable")], BANDS)
    return tuple(Band(len(tenth), int(tenth.sum()), float(tenth.mean() / rate)) for tenth in tenths)
