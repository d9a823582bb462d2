"""Fits a model to what a store holds; in a child, by scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import BinaryIO, Final

import duckdb
import numpy as np

from saferoom_enclaves.children.fit_jobs import (
    BoostedTold,
    Fit,
    Fitted,
    Made,
    ModelFitted,
    NodeTold,
)
from saferoom_enclaves.columns import Floats
from saferoom_enclaves.fit_rows import Given, Rows, read_rows
from saferoom_enclaves.risk_bands import noisy_bands
from saferoom_models.arrays import Integers
from saferoom_models.pooled import boosting, logistic
from saferoom_models.pooled.measure import measure
from saferoom_models.pooled.rows import Parts, ends_of, means_of, split
from saferoom_models.pooled.trees import Boosted
from saferoom_models.refusals import JointTrainingError, Refusal
from saferoom_proto.statements.fit import FEWEST_IN_LEAF, HELD_OUT

_TOO_THIN: Final = frozenset({Refusal.NO_SUPPORT, Refusal.BAD_COLUMNS})
"""What records alone decide: it is told in no other words than that there are too few."""


def fitted(
    store: duckdb.DuckDBPyConnection, job: Fit, file: BinaryIO, given: Given | None = None
) -> Fitted:
    """Fit a model, measure it on rows held out, and write down the rows that it is of.

    Raises:
        SafeRoomError: as `read_rows`.
    """
    # Step 1: of whom any feature tells, and the label is known; of several owners, all hold.
    rows = read_rows(store, job, given)
    events = int(rows.labels.sum())
    rarer = min(events, len(rows.labels) - events)
    numbers = len(rows.labels) * (len(job.names) + 1)
    if len(rows.labels) < job.least_rows or rarer < job.least_events or numbers > job.most_numbers:
        return Fitted(made=None)
    # Step 2: three of four are trained on.
    try:
        model, log_odds, parts = _trained(job, rows)
    except JointTrainingError as error:
        if error.reason in _TOO_THIN:
            return Fitted(made=None)
        raise
    # Step 3: what can be told; and the rows, for whoever keeps trainings apart.
    measured = measure(log_odds, rows.labels, parts)
    bands = None
    if job.epsilon is not None:
        bands = noisy_bands(log_odds, rows.labels, parts, job.epsilon)
    file.write(rows.subjects.tobytes())
    known = np.where(np.isnan(rows.values), 0.0, rows.values)  # a column beside it says so
    file.write(np.column_stack([known, rows.labels]).astype(np.float64).tobytes())
    return Fitted(
        made=Made(
            rows=len(rows.labels),
            model=model,
            auc=measured.auc,
            ks=measured.ks,
            membership=measured.membership,
            by_chance=measured.by_chance,
            bands=bands,
        )
    )


def _trained(job: Fit, rows: Rows) -> tuple[ModelFitted, Floats, Parts]:
    """Fit a model to rows of training; gives all rows' log-odds, too, and which were held out.

    Raises:
        JointTrainingError: as `logistic.fit` and `boosting.fit`.
    """
    whole = rows.whole
    parts = split(rows.labels, bytes.fromhex(job.seed), HELD_OUT)
    # Within ends that many rows are beyond: how far a single one lies out alters no mean, no scale
    # and no weight. Rows are foretold as they are.
    ends = ends_of(whole[parts.train], FEWEST_IN_LEAF)
    means = means_of(np.clip(whole[parts.train], *ends))
    values = np.where(np.isnan(whole), means, whole)
    train = np.clip(values[parts.train], *ends)
    model, log_odds = _fit(job, values, train, rows.labels[parts.train], means)
    return model, log_odds, parts


def _fit(
    job: Fit, values: Floats, train: Floats, known: Integers, means: Floats
) -> tuple[ModelFitted, Floats]:
    """Fit to the rows of training and their labels; gives the model, and all rows' log-odds."""
    if job.inverse_ridge is not None:
        line = logistic.fit(job.names, train, known, job.inverse_ridge)
        return _told(job.names, line), line.log_odds(values)
    trees = boosting.fit(train, known, trees=job.trees, leaves=job.leaves, fewest=FEWEST_IN_LEAF)
    # What stands where a number is unknown is kept alike; weights and scales say nothing.
    nothing = np.zeros(len(job.names))
    line = logistic.Logistic(nothing, means, nothing + np.inf, trees.baseline)
    return _told(job.names, line, trees), trees.log_odds(values)


def _told(
    names: Sequence[str], line: logistic.Logistic, boosted: Boosted | None = None
) -> ModelFitted:
    scales = (scale if np.isfinite(scale) else None for scale in line.scales.tolist())
    return ModelFitted(
        names=tuple(names),
        weights=tuple(line.weights.tolist()),
        means=tuple(line.means.tolist()),
        scales=tuple(scales),
        intercept=line.intercept,
        boosted=None if boosted is None else _trees(boosted),
    )


def _trees(boosted: Boosted) -> BoostedTold:
    return BoostedTold(
        edges=boosted.edges,
        trees=tuple(
            tuple(
                NodeTold(
                    column=node.column,
                    threshold=node.threshold,
                    left=node.left,
                    right=node.right,
                    value=node.value,
                )
                for node in tree
            )
            for tree in boosted.trees
        ),
    )
