"""What a label side can tell of a joint model, from its own rows and from what it saw.

It holds no logit of the room's, so no row's joint score. What can be measured here is how far the
joint model tells events from others (`separation`), and the same of the label side's own columns
alone, for which there are ranks too; and, where rows were held out and counted by bands of the
joint score (`vertical.measuring`), how the joint model ranks those.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score, roc_curve
from sklearn.model_selection import StratifiedKFold

from saferoom_models.arrays import Floats, Integers
from saferoom_models.participant import Participant
from saferoom_models.vertical.columns import Finding, prepare
from saferoom_models.vertical.measuring import Measured
from saferoom_models.vertical.points import standardise

FOLDS: Final = 5
BANDS: Final = 10
_WITHIN: Final = 1.96
"""Standard deviations within which 19 of 20 lie."""


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
class Ranked:
    """How the joint model ranks the rows held out, by counts with noise.

    Attributes:
        auc: by bands; within one, rows rank as the neighbours' counts let expect.
        ks: at bands' edges.
        margin: within which of `auc` that of all such rows lies in 19 of 20 cases, by how few were
            held out (Hanley and McNeil 1982) and by the noise.
        counts: of which they were made.
    """

    auc: float
    ks: float
    margin: float
    counts: Measured


@dataclass(frozen=True, slots=True)
class Appraisal:
    """What is to be told.

    Attributes:
        rows, events: that were trained on; the label side's own count.
        separation: of the joint model, on the rows it was trained on.
        alone_separation: of the fit on the own columns alone, on the same rows.
        alone_auc, alone_ks: of that fit on the rows held out; where none are, on rows held out for
            it alone, each fifth in turn.
        bands: of that fit, likewise.
        weights: of the own columns.
        intercept: of the joint model.
        rounds, converged: of the training.
        findings: what stood out.
        held, held_events: the rows held out, and those of them with the event.
        ranked: how the joint model ranks these; none where none are, or noise hides it.
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
    held: int
    held_events: int
    ranked: Ranked | None


def appraise(participant: Participant, inverse_ridge: float, noise: float = 0.0) -> Appraisal:
    """Appraise a training that has ended.

    Args:
        participant: after the last answer.
        inverse_ridge: of the job; the own columns alone are fitted with the same.
        noise: the scale of the Laplace noise of counts of the rows held out.

    Raises:
        JointTrainingError: `NOT_FINISHED`.
    """
    trained = participant.trained()
    values, labels = participant.common()
    own = prepare(trained.names, values)
    ready = own.values
    alone = _fit(ready, labels, inverse_ridge)
    held_values, held_labels = participant.held_out()
    if len(held_labels):
        apart, of = (
            alone.decision_function(standardise(held_values, own.means, own.scales)),
            held_labels,
        )
    else:
        apart, of = _held_out(ready, labels, inverse_ridge), labels
    false, true, _ = roc_curve(of, apart)
    return Appraisal(
        rows=len(labels),
        events=int(labels.sum()),
        separation=participant.separation,
        alone_separation=_separation(alone.decision_function(ready), labels),
        alone_auc=float(roc_auc_score(of, apart)),
        alone_ks=float(np.abs(true - false).max()),
        bands=_bands(apart, of),
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
        held=len(held_labels),
        held_events=int(held_labels.sum()),
        ranked=participant.measured and rank(participant.measured, noise),
    )


def rank(counts: Measured, noise: float) -> Ranked | None:
    """Reckon how a model ranks rows, from their counts by bands; none where noise hides it."""
    events, others = np.array(counts.events, float), np.array(counts.others, float)
    many, rest = float(events.sum()), float(others.sum())
    if min(many, rest) < 1:
        return None
    below, above = _below(others / rest), 1 - _below(events / many)
    # Within a band, counts rise or fall as those of its neighbours do: of two straight lines with
    # rises a and b, of A and B rows, the one's rows rank above the other's by (aB - bA) / 12 more.
    within = (np.gradient(events) @ others - np.gradient(others) @ events) / 12
    auc = min(max(float(events @ below + within / rest) / many, 0.0), 1.0)
    # A count's noise moves the AUC by how far the AUC at its band is from the whole, of all rows.
    moved = (np.square(below - auc).sum() / many**2) + (np.square(above - auc).sum() / rest**2)
    first, second = auc / (2 - auc) - auc**2, 2 * auc**2 / (1 + auc) - auc**2
    sampled = (auc * (1 - auc) + (many - 1) * first + (rest - 1) * second) / (many * rest)
    margin = _WITHIN * math.sqrt(2 * noise**2 * float(moved) + sampled)
    ks = float(np.abs(np.cumsum(events) / many - np.cumsum(others) / rest).max())
    return Ranked(auc, ks, margin, counts)


def _below(shares: Floats) -> Floats:
    """Give the share below each band's middle."""
    return np.cumsum(shares) - shares / 2


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
