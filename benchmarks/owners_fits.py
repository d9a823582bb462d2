"""What a training in the room over two owners' columns takes, through a real room.

    PYTHONPATH=tests .venv/bin/python -m benchmarks.owners_fits [--rows 30000] [--rounds 3]

A server, two owners' enclaves and their key agents, each a process; the bank waits in this one. The
tax office hosts, and the court gives one column of firms that all but a hundred are the same.
Seconds are from the question to the verified card. Processor time is that of the server, the
enclaves and their children; memory the most that any one of these has resident. Each round is a
question of its own.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Final

from benchmarks.gauges import Peak, tree_seconds
from tests.flow.live import LiveRoom
from tests.flow.trainings import OF_TWO, fit_of, have_approved, hold

MISSING: Final = 100
"""Firms of the tax office that the court does not hold."""


def make(live: LiveRoom, rows: int) -> None:
    """Load both owners' firms, and have a training approved."""
    live.start()
    live.define()
    hold(live, rows, MISSING)
    have_approved(live, "both", fit_of(OF_TWO))


def ask(live: LiveRoom) -> str:
    """Have the bank ask, and say what it took."""
    server = live.processes.running["server"].pid
    with Peak(server) as peak, live.open("bank-a", "desk") as bank:
        began, used = time.perf_counter(), tree_seconds(server)
        card = bank.train_in_room("both", purpose="product-design").verified.card
        seconds, used = time.perf_counter() - began, tree_seconds(server) - used
    if card is None:
        raise SystemExit("it was withheld")
    return f"{card.rows:,} rows  {seconds:.2f} s  {used:.2f} s cpu  {peak.mib:.0f} MiB"


def main() -> None:
    """Print a line for each question."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=30_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        live = LiveRoom(Path(made))
        try:
            make(live, given.rows)
            for _ in range(given.rounds):
                print(ask(live), f" load {os.getloadavg()[0]:.1f}", flush=True)
        finally:
            live.processes.stop()


if __name__ == "__main__":
    main()
