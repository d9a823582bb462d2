"""What a joint training takes, by rows and columns, and its model beside the pooled fit.

`python -m benchmarks.joint_training [--rows ROWS ...] [--real]`. Both sides run in one process, one
after the other, and each line has a process of its own: seconds are both sides' together, and so is
memory, at its peak above what the process had before. Rows are made up (logits from a third of the
columns, neighbours correlated); `--real` takes the two real sets of `benchmarks.credit_sets`, where
they are at hand. Three rows in ten are held out, of the Spanish companies one in four; AUC and KS
are of those.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from benchmarks.credit_sets import (
    CreditSet,
    card_clients,
    find_data,
    hold_out,
    spanish_companies,
)
from benchmarks.joint_runs import (
    JOB,
    alone_scores,
    joint_scores,
    pooled_scores,
    quality,
    train_jointly,
)
from saferoom_models.vertical.owners import OwnerColumns
from saferoom_models.vertical.terms import Terms, propose_ridge

ROWS = (3_000, 30_000, 100_000)
COLUMNS = ((10, 13), (20, 40))
MEGA = 1e6
HEAD = (
    "rows  columns      rounds  seconds  cpu s  MB up  MB down  peak MiB  "
    "AUC joint/pooled/best alone  KS joint/pooled"
)


@dataclass(frozen=True, slots=True)
class Case:
    """One line of the table: its rows, and how they are split."""

    name: str
    rows: CreditSet
    held_share: float = 0.3
    rounds: int = 25


def made_up(rows: int, bank: int, room: int, seed: int = 1) -> CreditSet:
    """Make rows up, so many that as many are trained on."""
    draw = np.random.default_rng(seed)
    count = round(rows / 0.7)
    values = draw.normal(size=(count, bank + room))
    values[:, 1:] += 0.5 * values[:, :-1]
    weights = np.where(np.arange(bank + room) % 3 == 0, draw.normal(0, 0.4, bank + room), 0)
    labels = (draw.random(count) < 1 / (1 + np.exp(1.5 - values @ weights))).astype(np.int64)
    parts = [
        OwnerColumns(owner, tuple(f"c{at}" for at in range(part.shape[1])), part)
        for owner, part in (("bank", values[:, :bank]), ("owner", values[:, bank:]))
    ]
    return CreditSet(parts[0], (parts[1],), labels)


def peak_mebibytes() -> float:
    """Give this process's largest resident size so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(case: Case) -> str:
    """Run one case and give its line."""
    train, held = (case.rows.rows(part) for part in hold_out(case.rows.labels, case.held_share, 7))
    columns = train.bank.values.shape[1], train.room.shape[1]
    ridge = propose_ridge(int(train.labels.sum()), sum(columns))
    terms = Terms(JOB, len(train.labels), *columns, ridge, rounds=case.rounds)
    before = peak_mebibytes()
    run = train_jointly(train, terms)
    memory = peak_mebibytes() - before
    joint = quality(held.labels, joint_scores(run, held))
    pooled = quality(held.labels, pooled_scores(train, held, ridge))
    alone = max(
        quality(held.labels, alone_scores(own.values, train.labels, other.values, ridge)).auc
        for own, other in zip((train.bank, *train.owners), (held.bank, *held.owners), strict=True)
    )
    return (
        f"{case.name:>6} {terms.rows:>7} {columns[0]:>3}+{columns[1]:<3} {run.room.rounds:>6} "
        f"{run.seconds:>9.1f} {run.cpu_seconds:>6.1f} {run.up_bytes / MEGA:>6.1f} "
        f"{run.down_bytes / MEGA:>8.1f} {memory:>9.0f}  "
        f"{joint.auc:.5f}/{pooled.auc:.5f}/{alone:.5f}  {joint.ks:.4f}/{pooled.ks:.4f}"
    )


def real_cases() -> list[Callable[[], Case]]:
    """Give the real sets that are at hand."""
    found: list[Callable[[], Case]] = []
    if card := find_data("uci_credit_card_default.parquet"):
        found.append(lambda: Case("card", card_clients(card)))
    if spain := find_data("spain_companies_bankruptcy_1998_2003.csv"):
        found.append(lambda: Case("spain", spanish_companies(spain), 0.25, 20))
    if not found:
        print("no real rows at hand; SAFEROOM_DATA names their folder")
    return found


def line(make: Callable[[], Case]) -> None:
    """Print one case's line."""
    print(measure(make()), flush=True)


def main() -> None:
    """Print the table, a process for each line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="*", default=list(ROWS))
    parser.add_argument("--real", action="store_true", help="the two real data sets too")
    asked = parser.parse_args()
    cases: list[Callable[[], Case]] = [
        lambda rows=rows, bank=bank, room=room: Case("made", made_up(rows, bank, room))
        for rows in asked.rows
        for bank, room in COLUMNS
        # Fewer rows would tell too much of each (`terms.Terms`).
        if room * 25 * 3 <= rows
    ]
    if asked.real:
        cases += real_cases()
    print(HEAD)
    fork = multiprocessing.get_context("fork")
    for case in cases:
        process = fork.Process(target=line, args=(case,))
        process.start()
        process.join()
        if process.exitcode:
            raise SystemExit(process.exitcode)


if __name__ == "__main__":
    main()
