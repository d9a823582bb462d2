"""Histogram gradient boosting of binned columns; what comes of it is data: edges and trees.

scikit-learn bins by itself, into bins as small as a row. So it gets numbers of bins that were made
here, each of which holds as many rows as a leaf does.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

from saferoom_models.arrays import Floats, Integers
from saferoom_models.pooled.trees import Boosted, Node, binned
from saferoom_models.refusals import JointTrainingError, Refusal

LEARNING_RATE: Final = 0.1
SHRINKING: Final = 1.0
"""Of leaves' values (XGBoost's default lambda): a leaf of one label stays finite."""
MOST_BINS: Final = 32


def fit(values: Floats, labels: Integers, *, trees: int, leaves: int, fewest: int) -> Boosted:
    """Fit a model to rows.

    Args:
        values: shape (rows, columns), finite.
        labels: shape (rows,), 0 and 1.
        trees: how many.
        leaves: the most of each.
        fewest: rows in a bin and in a leaf.

    Raises:
        JointTrainingError: `NO_SUPPORT` where no column has two bins; `NOT_EXACT` if the trees read
            out here are not those that were fitted.
    """
    edges = tuple(_edges(column, fewest) for column in values.T)
    if not any(edges):
        raise JointTrainingError(Refusal.NO_SUPPORT, "no column is left to train on")
    bins = binned(values, edges).astype(np.float64)
    model = HistGradientBoostingClassifier(
        learning_rate=LEARNING_RATE,
        max_iter=trees,
        max_leaf_nodes=leaves,
        min_samples_leaf=fewest,
        l2_regularization=SHRINKING,
        early_stopping=False,
        random_state=0,
    ).fit(bins, labels)
    made = Boosted(edges, _trees(model), float(model._baseline_prediction[0, 0]))  # noqa: SLF001 - scikit-learn tells its trees nowhere else; held to it below
    if not np.array_equal(made.log_odds(values), model.decision_function(bins)):
        raise JointTrainingError(Refusal.NOT_EXACT, "scikit-learn keeps its trees otherwise")
    return made


def _edges(column: Floats, fewest: int) -> tuple[float, ...]:
    """Cut a column into bins that each hold so many rows, and of which there are few."""
    least = max(fewest, math.ceil(len(column) / MOST_BINS))
    found, counts = np.unique(column, return_counts=True)
    edges: list[float] = []
    held, left = 0, len(column)
    for value, count in zip(found.tolist(), counts.tolist(), strict=True):
        if held >= least and left >= least:
            edges.append(value)
            held = 0
        held += count
        left -= count
    return tuple(edges)


def _trees(model: HistGradientBoostingClassifier) -> tuple[tuple[Node, ...], ...]:
    return tuple(
        tuple(
            Node(0, 0, 0, 0, float(node["value"]))
            if node["is_leaf"]
            else Node(
                int(node["feature_idx"]),
                math.floor(float(node["num_threshold"])),
                int(node["left"]),
                int(node["right"]),
                0.0,
            )
            for node in predictor.nodes
        )
        for (predictor,) in model._predictors  # noqa: SLF001 - see above
    )
