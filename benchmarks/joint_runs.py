"""One joint training between two sides in this process, measured, and the pooled fit beside it."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score, roc_curve

from benchmarks.credit_sets import CreditSet
from saferoom_models.arrays import Floats, Integers
from saferoom_models.vertical.columns import Prepared, prepare
from saferoom_models.vertical.course import Trained
from saferoom_models.vertical.label_side import LabelSide
from saferoom_models.vertical.owners import join_owners
from saferoom_models.vertical.points import standardise
from saferoom_models.vertical.room_side import RoomSide
from saferoom_models.vertical.terms import Terms

JOB = "5afe" * 16


@dataclass(frozen=True, slots=True)
class Quality:
    """How scores rank events before others."""

    auc: float
    ks: float


@dataclass(frozen=True, slots=True)
class JointRun:
    """Both parts of a model, and what making them took."""

    label: Trained
    room: Trained
    seconds: float
    cpu_seconds: float
    up_bytes: int
    down_bytes: int


def quality(labels: Integers, scores: Floats) -> Quality:
    """Measure scores by scikit-learn."""
    false, true, _ = roc_curve(labels, scores)
    return Quality(roc_auc_score(labels, scores), float(np.abs(true - false).max()))


def converse(label: LabelSide, room: RoomSide) -> tuple[int, int]:
    """Carry messages until all is over, and count their bytes: to the room, and back."""
    up = down = 0
    message: bytes | None = label.begin()
    while message is not None:
        answer = room.answer(message)
        up, down = up + len(message), down + len(answer)
        message = label.answer(answer)
    return up, down


def make_ready(rows: CreditSet) -> tuple[Prepared, Prepared]:
    """Make both sides' columns ready."""
    return prepare(rows.bank.names, rows.bank.values), join_owners(rows.owners)


def train_jointly(rows: CreditSet, terms: Terms) -> JointRun:
    """Train, both sides in this process."""
    wall, cpu = time.perf_counter(), time.process_time()
    bank, owners = make_ready(rows)
    label = LabelSide(terms, bank, rows.labels)
    room = RoomSide(terms, owners, os.urandom)
    up, down = converse(label, room)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return JointRun(label.trained(), room.trained(), wall, cpu, up, down)


def joint_scores(run: JointRun, rows: CreditSet) -> Floats:
    """Score rows with both parts."""
    return run.label.points(rows.bank.values) + run.room.points(rows.room)


def pooled_scores(rows: CreditSet, held: CreditSet, inverse_ridge: float) -> Floats:
    """Score held-out rows with scikit-learn's fit on all columns, made ready in the same way."""
    bank, owners = make_ready(rows)
    fit = LogisticRegression(C=inverse_ridge, tol=1e-8, max_iter=5000)
    fit.fit(np.hstack([bank.values, owners.values]), rows.labels)
    return fit.decision_function(
        np.hstack(
            [
                standardise(held.bank.values, bank.means, bank.scales),
                standardise(held.room, owners.means, owners.scales),
            ]
        )
    )


def alone_scores(columns: Floats, labels: Integers, held: Floats, inverse_ridge: float) -> Floats:
    """Score held-out rows with the fit on one side's columns alone."""
    own = prepare([str(at) for at in range(columns.shape[1])], columns)
    fit = LogisticRegression(C=inverse_ridge, tol=1e-8, max_iter=5000).fit(own.values, labels)
    return fit.decision_function(standardise(held, own.means, own.scales))
