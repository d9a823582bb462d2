"""What the disclosure gate costs of a check's processor time: asked for is under 10 %.

    PYTHONPATH=tests .venv/bin/python -m benchmarks.gate [--checks 2000] [--subjects 200]

The gate decides how much leaves: the leakage ledger (step 6 of a check: account, price, cap, and
what is written of it) and the answer from cells under seal (step 7). The check is all that the
enclave does about one question, from the signed bytes to the sealed and signed answer, with its
commit, and the asker's signing and opening; what the server does comes on top and would make the
share smaller (`benchmarks.checks`). Processor time of one thread, in one process without a sandbox;
half of the questions ask for something new, and half repeat what was asked.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final, ParamSpec, TypeVar
from unittest import mock

from saferoom_enclaves import judge
from saferoom_proto.dsse import Envelope
from saferoom_proto.statements import Outcome, Release, load
from simulator import EnclaveHarness, Firm, sample, tax_csv
from simulator.sample import VAT_GRID, Sample

MOST_SHARE: Final = 0.10
P = ParamSpec("P")
T = TypeVar("T")


class Meter:
    """Adds up the processor time of some functions."""

    def __init__(self) -> None:
        self.seconds: Final[dict[str, float]] = {}

    def over(self, name: str, function: Callable[P, T]) -> Callable[P, T]:
        """Give a function that is metered."""
        self.seconds[name] = 0.0

        def metered(*args: P.args, **kwargs: P.kwargs) -> T:
            began = time.thread_time()
            try:
                return function(*args, **kwargs)
            finally:
                self.seconds[name] += time.thread_time() - began

        return metered


def questions(room: Sample, subjects: int, count: int) -> list[Envelope]:
    """Sign questions about subjects in turn, each threshold twice."""
    return [
        room.question(1 + at % subjects, VAT_GRID[at // (2 * subjects) % 2]) for at in range(count)
    ]


def main() -> None:
    """Measure and print; ends with 1 where the gate costs too much."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--checks", type=int, default=2000)
    parser.add_argument("--subjects", type=int, default=200)
    given = parser.parse_args()
    room = sample("gate")
    firms = {at: Firm(str(1000 * at), arrears=False, rating="A") for at in range(1, 10_001)}
    for serial in range(1, given.subjects + 1):
        room.consent(serial)
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(EnclaveHarness(room.tax, Path(folder))) as enclave,
    ):
        enclave.load({"firms": tax_csv(room.world, firms)})
        enclave.follow()
        began = time.thread_time()
        asked = questions(room, given.subjects, given.checks)
        asker, whole, answered = time.thread_time() - began, 0.0, 0
        meter = Meter()
        with (
            mock.patch.object(judge, "charge", meter.over("charge", judge.charge)),
            mock.patch.object(judge, "execute", meter.over("execute", judge.execute)),
        ):
            for at, question in enumerate(asked):
                if at % 200 == 0:
                    enclave.follow()
                began = time.thread_time()
                judged = enclave.judge(question)
                whole += time.thread_time() - began
                release = load(judged.entry.statement, Release)
                began = time.thread_time()
                answered += release.outcome is Outcome.ANSWERED
                room.bank.open(question, "tax", judged.sealed)
                asker += time.thread_time() - began
    gate = sum(meter.seconds.values())
    check = whole + asker
    rows = {**meter.seconds, "gate": gate, "enclave": whole, "asker": asker, "check": check}
    for name, seconds in rows.items():
        print(f"{name:8} {seconds / given.checks * 1e6:8.1f} us a check")
    print(f"the gate costs {gate / whole:.1%} of the enclave's processor time for a check,")
    print(f"{gate / check:.1%} with the asker's, of {answered:,} answers to {given.checks:,};")
    print(f"asked for is under {MOST_SHARE:.0%} of a check's, the server's included")
    if answered < given.checks or gate / check >= MOST_SHARE:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
