"""What it takes to measure a joint model on rows held out, and how near that comes.

`python -m benchmarks.measured_rows [--rows ROWS ...]`. Both sides run in this process; training is
not in the seconds. Rows are the card clients', where they are at hand, and made up ones of
`benchmarks.joint_training`. The deviation of the AUC by the noise is of 200 draws of it.
"""

from __future__ import annotations

import argparse
import math
import os
import time
from collections.abc import Sequence

import numpy as np

from benchmarks.credit_sets import CreditSet, card_clients, find_data
from benchmarks.joint_runs import JOB, joint_scores, pooled_scores, quality, train_jointly
from benchmarks.joint_training import MEGA, made_up
from saferoom_models.appraisal import Ranked, rank
from saferoom_models.vertical.measuring import LabelMeasuring, Measured, measure, split_rows
from saferoom_models.vertical.terms import Terms, propose_ridge, rows_held_out

ROWS = (65_536,)
"""Of so many 16,384 are held out, which is the most."""
EPSILONS = (1.0, 2.0, 4.0)
DRAWS = 200
HEAD = (
    "rows     held    seal s  count s  MB up  MB down  AUC by bands/by rows/pooled      "
    "KS by bands/pooled  " + "  ".join(f"e={epsilon:g}" for epsilon in EPSILONS)
)


def as_they_are(counts: Sequence[int]) -> Sequence[int]:
    """Add no noise."""
    return counts


def line(name: str, rows: CreditSet) -> str:
    """Train, measure, and give a line."""
    count = len(rows.labels)
    train, apart = split_rows(JOB, count, rows_held_out(count))
    trained, held = rows.rows(train), rows.rows(apart)
    columns = trained.bank.values.shape[1], trained.room.shape[1]
    ridge = propose_ridge(int(trained.labels.sum()), sum(columns))
    terms = Terms(JOB, len(train), *columns, ridge, measured=len(apart))
    run = train_jointly(trained, terms)
    base = float(trained.labels.mean())
    own, theirs = run.label.points(held.bank.values), run.room.points(held.room)
    began = time.perf_counter()
    side = LabelMeasuring(terms, own, held.labels, math.log(base / (1 - base)))
    asked = side.begin()
    sealed = time.perf_counter()
    told = measure(terms, theirs, asked, os.urandom, as_they_are)
    counted = time.perf_counter()
    found = side.answer(told)
    exact = _ranked(found, 0.0)
    by_rows = quality(held.labels, joint_scores(run, held))
    pooled = quality(held.labels, pooled_scores(trained, held, ridge))
    spread = "  ".join(f"{_deviation(found, epsilon):.4f}" for epsilon in EPSILONS)
    return (
        f"{name:>5} {count:>6} {len(apart):>6} {sealed - began:>7.2f} {counted - sealed:>8.2f} "
        f"{len(asked) / MEGA:>6.1f} {len(told) / MEGA:>8.1f}  "
        f"{exact.auc:.5f}/{by_rows.auc:.5f}/{pooled.auc:.5f}  {exact.ks:.4f}/{pooled.ks:.4f}  "
        f"{spread}"
    )


def _deviation(counts: Measured, epsilon: float) -> float:
    """Say how far noise moves the AUC: the standard deviation of that by noisy counts."""
    draw, chance = np.random.default_rng(1), 1 - math.exp(-epsilon / 2)

    def noisy(exact: tuple[int, ...]) -> tuple[int, ...]:
        noise = draw.geometric(chance, len(exact)) - draw.geometric(chance, len(exact))
        return tuple((np.array(exact) + noise).tolist())

    drawn = [
        Measured(counts.middles, noisy(counts.events), noisy(counts.others)) for _ in range(DRAWS)
    ]
    return float(np.std([_ranked(each, 2 / epsilon).auc for each in drawn]))


def _ranked(counts: Measured, scale: float) -> Ranked:
    found = rank(counts, scale)
    if found is None:
        raise SystemExit("noise hides how the model ranks these rows")
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="*", default=list(ROWS))
    asked = parser.parse_args()
    print(HEAD)
    if card := find_data("uci_credit_card_default.parquet"):
        print(line("card", card_clients(card)), flush=True)
    for rows in asked.rows:
        print(line("made", made_up(round(rows * 0.7), 10, 13)), flush=True)


if __name__ == "__main__":
    main()
