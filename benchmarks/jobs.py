"""What a job of joint training takes through a real room, from the request to the report.

    PYTHONPATH=tests .venv/bin/python -m benchmarks.jobs [--rows 30000 300000] [--rounds 2]

A server, the tax office's enclave and its key agent, each a process; the bank takes part in this
one, with a worker for each processor to blind its subjects, as `saferoom job submit` has. The rows
are made up: 10 columns and the label of the bank, 13 of the tax office, all subjects common.
Seconds are those on the clock in each stage, as the bank is told of it; the report ends in the
bank's verified model. Memory is the most that one process of the room has resident. Each job has a
room of its own, so that none is aligned with what an earlier one had in common.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass, field
from decimal import Decimal
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import numpy as np
from rich.console import Console
from rich.table import Table as Grid

from benchmarks.gauges import Peak, tree_seconds
from benchmarks.joint_training import made_up
from saferoom_client.jobs import JobRows
from saferoom_client.training.progress import JobProgress, Stage
from saferoom_models.arrays import Floats
from saferoom_proto.statements import (
    Absent,
    ColumnType,
    Feature,
    FeatureKind,
    Schema,
    Table,
)
from saferoom_proto.uscc import make_uscc
from tests.flow.live import LiveRoom
from tests.flow.offers import ORIGIN, column, feature, title
from tests.flow.trainings import have_approved, joint

BANK: Final = 10
COLUMNS: Final = tuple(f"c{at}" for at in range(13))
"""The tax office's."""
MEGA: Final = 1e6


@dataclass(slots=True)
class Course:
    """The seconds that a job spent in each stage, and how far it came."""

    stage: Stage = Stage.ASKING
    began: float = field(default_factory=time.perf_counter)
    seconds: dict[Stage, float] = field(default_factory=dict[Stage, float])
    bytes: tuple[int, int] = (0, 0)

    def told(self, progress: JobProgress) -> None:
        """Note what the label side is told."""
        self.bytes = (max(self.bytes[0], progress.sent), max(self.bytes[1], progress.received))
        if progress.stage is not self.stage:
            self.turn(progress.stage)

    def turn(self, stage: Stage) -> None:
        """End a stage and begin another."""
        now = time.perf_counter()
        self.seconds[self.stage] = self.seconds.get(self.stage, 0.0) + now - self.began
        self.stage, self.began = stage, now


def write(path: Path, names: Sequence[str], codes: Sequence[str], values: Floats) -> None:
    """Write rows as CSV, six digits a number."""
    with path.open("w", encoding="utf-8") as file:
        file.write(",".join(["uscc", *names]) + "\n")
        for code, row in zip(codes, values.tolist(), strict=True):
            file.write(",".join([code, *(f"{each:.6g}" for each in row)]) + "\n")


def prepare(live: LiveRoom, folder: Path, rows: int) -> JobRows:
    """Load the tax office's rows, have a training approved, and write the bank's rows."""
    made = made_up(rows, BANK, len(COLUMNS)).rows(np.arange(rows))
    codes = [make_uscc(serial) for serial in range(rows)]
    write(held := folder / "held.csv", COLUMNS, codes, made.room)
    own = np.column_stack([made.labels.astype(np.float64), made.bank.values])
    write(rows_file := folder / "own.csv", ["defaulted", *made.bank.names], codes, own)
    live.start()
    columns = [column("uscc", ColumnType.TEXT, 4)]
    columns += [column(name, ColumnType.DOUBLE, 3) for name in COLUMNS]
    table = Table(name="held", title=title("held"), key="uscc", columns=tuple(columns))
    schema = Schema(room=ORIGIN, owner="tax", version=1, tables=(table,))
    with live.open("tax", "li") as office:
        digest = office.put_schema(schema).statement.digest
        for name in COLUMNS:
            office.put_feature(number(name))
        office.load_data(digest, {"held": held})
    live.agree("tax", "bank-a")
    have_approved(live, "joint", TRAINING)
    return JobRows(rows_file, "defaulted")


def number(name: str) -> Feature:
    """Define a column as a feature."""
    return feature(
        {
            "owner": "tax",
            "name": name,
            "title": title(name),
            "level": 3,
            "family": name,
            "sql": f"SELECT uscc AS subject, {name} AS value FROM held",
            "kind": FeatureKind.ORDERED,
            "grid": (Decimal(0),),
            "absent": Absent.UNKNOWN,
            "budget_bits": Decimal(2),
        }
    )


TRAINING: Final = joint(tuple(f"tax.{name}" for name in COLUMNS), BANK)


def measure(live: LiveRoom, own: JobRows, workers: Executor) -> list[str]:
    """Ask for a job, go through it, and give its row of the table."""
    server, course = live.processes.running["server"].pid, Course()
    with Peak(server) as peak, live.open("bank-a", "desk") as bank:
        room_used, bank_used = tree_seconds(server), tree_seconds(os.getpid())
        folder = bank.submit_job("joint", own, purpose="product-design", executor=workers)
        end = bank.take_part(folder.job, told=course.told, executor=workers)
        course.turn(Stage.REPORTING)
        room_used, bank_used = (
            tree_seconds(server) - room_used,
            tree_seconds(os.getpid()) - bank_used,
        )
    if end.report is None:
        raise SystemExit(f"the job ended without a model: {end.release.outcome}")
    seconds = course.seconds
    return [
        f"{end.release.rows:,}",
        str(end.release.rounds),
        *(f"{seconds.get(stage, 0.0):.1f}" for stage in SHOWN),
        f"{sum(seconds.values()):.1f}",
        f"{room_used:.1f}, {bank_used:.1f}",
        ", ".join(f"{each / MEGA:.1f}" for each in course.bytes),
        f"{peak.mib:.0f}",
        f"{os.getloadavg()[0]:.1f}",
    ]


SHOWN: Final = (Stage.ASKING, Stage.ALIGNING, Stage.TRAINING, Stage.REPORTING)


def main() -> None:
    """Print a row for each job."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[30_000, 300_000])
    parser.add_argument("--rounds", type=int, default=2)
    given = parser.parse_args()
    table = Grid(
        "rows",
        "rounds",
        *map(str, SHOWN),
        "all, s",
        "processor: room, bank",
        "MB to the room, and back",
        "MiB",
        "load",
        title="A job of joint training through a room; seconds on the clock in each stage",
    )
    for rows in given.rows:
        for _ in range(given.rounds):
            with tempfile.TemporaryDirectory() as made:
                live = LiveRoom(Path(made), owners=("tax",))
                try:
                    own = prepare(live, Path(made), rows)
                    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn")) as workers:
                        table.add_row(*measure(live, own, workers))
                finally:
                    live.processes.stop()
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
