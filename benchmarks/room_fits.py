"""What a training in the room takes: `python -m benchmarks.room_fits [--rows 30000]`.

Each line has a process of its own, which does what a child of an enclave does with rows that are
read: it splits them, fits, measures, and writes the model down. Seconds are on the clock and of the
processor; memory is the process's peak, scikit-learn and all. Beside it stands scikit-learn by
itself on the same rows: the regression on columns standardised alike, the trees on columns that it
bins by itself.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

NAMES = ("logistic-1", "boosting-1")
MEBI = 1024
"""Of the kilobytes that the kernel counts in."""


def made_up(rows: int, columns: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Make rows up: odds by a third of the columns, and by one pair of them together."""
    draw = np.random.default_rng(1)
    values = draw.normal(size=(rows, columns))
    weights = np.where(np.arange(columns) % 3 == 0, 0.5, 0.0)
    odds = values @ weights + values[:, 0] * values[:, 1] - 1
    return values, (draw.random(rows) < 1 / (1 + np.exp(-odds))).astype(np.int64)


def run(name: str, rows: int, columns: int) -> str:
    """Fit one model, and say what it took."""
    from sklearn.ensemble import HistGradientBoostingClassifier  # noqa: PLC0415 - counted
    from sklearn.metrics import roc_auc_score  # noqa: PLC0415

    from saferoom_models.pooled import boosting, logistic  # noqa: PLC0415
    from saferoom_models.pooled.measure import measure  # noqa: PLC0415
    from saferoom_models.pooled.rows import split  # noqa: PLC0415

    values, labels = made_up(rows, columns)
    parts = split(labels, bytes(32), 4)
    train, held = parts.train, parts.held
    began, worked = time.perf_counter(), time.process_time()
    foretell: Callable[[NDArray[np.float64]], NDArray[np.float64]]
    if name == NAMES[0]:
        line = logistic.fit([str(at) for at in range(columns)], values[train], labels[train], 1.0)
        foretell = line.log_odds
    else:
        fitted = boosting.fit(values[train], labels[train], trees=100, leaves=8, fewest=50)
        foretell = fitted.log_odds
    measured = measure(foretell(values), labels, parts)
    seconds, processor = time.perf_counter() - began, time.process_time() - worked
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MEBI
    alone = measured.auc
    if name != NAMES[0]:
        model = HistGradientBoostingClassifier(
            learning_rate=boosting.LEARNING_RATE,
            max_iter=100,
            max_leaf_nodes=8,
            min_samples_leaf=50,
            l2_regularization=boosting.SHRINKING,
            early_stopping=False,
            random_state=0,
        ).fit(values[train], labels[train])
        alone = roc_auc_score(labels[held], model.decision_function(values[held]))
    return (
        f"{name:>10}  {rows:>7,} x {columns:<3}  {seconds:>6.2f} s  {processor:>6.2f} s cpu"
        f"  {memory:>5.0f} MiB  AUC {measured.auc:.4f} (scikit-learn {alone:.4f})"
        f"  membership {measured.membership:.4f}, by chance {measured.by_chance:.4f}"
    )


def main() -> None:
    """Print a line for each model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=30_000)
    parser.add_argument("--columns", type=int, default=20)
    given = parser.parse_args()
    os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"  # as in a child
    context = multiprocessing.get_context("spawn")
    for name in NAMES:
        with context.Pool(1) as pool:
            print(pool.apply(run, (name, given.rows, given.columns)))


if __name__ == "__main__":
    main()
