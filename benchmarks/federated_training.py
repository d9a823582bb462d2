"""What a federated training takes, by banks, and its model beside the pooled fit.

`python -m benchmarks.federated_training [--banks BANKS ...] [--rows ROWS] [--columns COLUMNS]`. All
sides run in one process, one after the other; seconds are of the processor, so that neighbours of
the machine do not count. Rows are made up (logits from a third of the columns, neighbours
correlated) and dealt out evenly; the AUC is of as many others.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from saferoom_models.horizontal.aggregator import Aggregator
from saferoom_models.horizontal.model import Model
from saferoom_models.horizontal.participant import Own, Participant
from saferoom_models.horizontal.terms import Column, Member, Terms

BANKS = (3, 10, 50)
ROWS, COLUMNS = 30_000, 23
MEGA = 1e6
HEAD = "banks  rounds  cpu s a bank  cpu s aggregator  MB up a bank  MB down  AUC federated/pooled"
Result = TypeVar("Result")
Rows = tuple[NDArray[np.float64], NDArray[np.int64]]


@dataclass(slots=True)
class Spent:
    """What was used: processor seconds and bytes, of all banks and of the aggregator."""

    banks: float = 0.0
    aggregator: float = 0.0
    up: int = 0
    down: int = 0


def made_up(rows: int, columns: int, seed: int) -> Rows:
    """Make rows up; the same weights for every seed."""
    weights = np.random.default_rng(1).normal(0, 0.4, columns)
    draw = np.random.default_rng(seed)
    values = draw.normal(size=(rows, columns))
    values[:, 1:] += 0.5 * values[:, :-1]
    logits = values @ np.where(np.arange(columns) % 3 == 0, weights, 0) - 1.5
    return values, (draw.random(rows) < 1 / (1 + np.exp(-logits))).astype(np.int64)


def _timed(act: Callable[[], Result]) -> tuple[Result, float]:
    start = time.process_time()
    result = act()
    return result, time.process_time() - start


def train(banks: int, rows: Rows) -> tuple[Model, Spent]:
    """Train over so many banks that share the rows evenly."""
    names = [f"bank-{place:02}" for place in range(banks)]
    keys = {name: Ed25519PrivateKey.generate() for name in names}
    terms = Terms(
        "5a" * 32,
        tuple(Member(name, keys[name].public_key().public_bytes_raw().hex()) for name in names),
        tuple(Column(f"c{place}", -8, 8) for place in range(rows[0].shape[1])),
    )
    parts = zip(names, np.array_split(rows[0], banks), np.array_split(rows[1], banks), strict=True)
    own = [Own(name, keys[name], values, labels) for name, values, labels in parts]
    spent = Spent()
    sides: dict[str, Participant] = {}
    for each in own:
        sides[each.name], seconds = _timed(lambda each=each: Participant(terms, each))
        spent.banks += seconds
    aggregator = Aggregator(terms)
    for side in sides.values():
        side.begin()
    while not aggregator.over:
        for side in sides.values():
            spent.aggregator += _timed(lambda side=side: aggregator.take(side.waiting))[1]
            spent.up += len(side.waiting)
        spent.aggregator += _timed(aggregator.close)[1]
        for name, side in sides.items():
            answer = aggregator.answer(name)
            spent.banks += _timed(lambda side=side, answer=answer: side.answer(answer))[1]
            spent.down += len(answer)
    return sides[names[0]].model(), spent


def pooled_scores(rows: Rows, held: NDArray[np.float64]) -> NDArray[np.float64]:
    """Score by scikit-learn's fit of all rows, standardised alike."""
    means, scales = rows[0].mean(axis=0), rows[0].std(axis=0)
    fit = LogisticRegression(C=1.0, tol=1e-8, max_iter=1000).fit(
        (rows[0] - means) / scales, rows[1]
    )
    return fit.decision_function((held - means) / scales)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--banks", type=int, nargs="+", default=BANKS)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--columns", type=int, default=COLUMNS)
    given = parser.parse_args()
    rows, held = (made_up(given.rows, given.columns, seed) for seed in (2, 3))
    pooled = roc_auc_score(held[1], pooled_scores(rows, held[0]))
    print(HEAD)
    for banks in given.banks:
        model, spent = train(banks, rows)
        auc = roc_auc_score(held[1], model.points(held[0]))
        print(
            f"{banks:>5}  {model.rounds:>6}  {spent.banks / banks:>12.2f}  "
            f"{spent.aggregator:>16.2f}  {spent.up / banks / MEGA:>12.3f}  "
            f"{spent.down / banks / MEGA:>7.3f}  {auc:.6f}/{pooled:.6f}"
        )


if __name__ == "__main__":
    main()
