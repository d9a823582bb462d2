"""How soon a revocation counts: on the next call, and in a batch that is running.

    PYTHONPATH=tests .venv/bin/python -m benchmarks.revocation [--rounds 40]

A real room with two owners. In each round a subject takes a consent back while a bank asks about it
without a pause. Then again while a batch runs, in which the subject stands in the first, the middle
and the last chunk, each time with another threshold. Times are wall times on one machine.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import threading
import time
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from saferoom_client.batch_answer import BatchAnswer
from saferoom_proto.batch import CHUNK_ROWS
from saferoom_proto.batch_receipt import verify_row_receipt
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.uscc import make_uscc
from tests.flow.live import LiveRoom
from tests.flow.offers import FICKLE

CHUNKS: Final = 16
FIRST: Final = {"least": "5000"}
LEAST: Final = ("1000", "5000", "50000")
"""The feature's thresholds: with each the subject can stand in a batch once."""


@dataclass(slots=True)
class Measured:
    """Times in milliseconds."""

    acknowledged: list[float] = field(default_factory=list[float])
    refused: list[float] = field(default_factory=list[float])
    waited: list[float] = field(default_factory=list[float])
    batches: int = 0
    late: int = 0
    """Answers or rows given after the acknowledgement: there must be none."""


def single(live: LiveRoom, found: Measured) -> None:
    """Take a consent back while checks about its subject run."""
    consent = live.consent(FICKLE, "bank-a")
    answered: list[datetime] = []
    refused: list[float] = []
    asking = threading.Thread(target=_ask, args=(live, answered, refused), daemon=True)
    with live.open(FICKLE, "self") as subject:
        asking.start()
        while not answered:
            if not asking.is_alive():
                raise SystemExit("the bank was refused")
            time.sleep(0.001)
        began = time.perf_counter()
        told = subject.revoke_consent(consent)
        found.acknowledged.append((time.perf_counter() - began) * 1e3)
    asking.join()
    found.refused.append((refused[0] - began) * 1e3)
    word = told.acknowledgements["tax"]
    found.late += sum(each > word.time for each in answered)


def _ask(live: LiveRoom, answered: list[datetime], refused: list[float]) -> None:
    with live.open("bank-a", "desk") as room:
        while not refused:
            try:
                answer = room.check("paid-enough", subject=FICKLE, purpose="pre-loan", params=FIRST)
                answered.append(answer.time)
            except SafeRoomError as error:
                if error.reason is not Reason.NO_CONSENT:
                    raise
                if answered:  # before, the consent is on its way to the enclave
                    refused.append(time.perf_counter())


def batch(live: LiveRoom, found: Measured) -> None:
    """Take a consent back while a batch runs with its subject in three of its chunks."""
    consent = live.consent(FICKLE, "bank-a")
    _until_heard(live)
    begun = threading.Event()
    answers: list[BatchAnswer] = []
    asking = threading.Thread(target=_ask_many, args=(live, begun, answers), daemon=True)
    with live.open(FICKLE, "self") as subject:
        asking.start()
        if not begun.wait(300):
            raise SystemExit("the batch does not begin")
        told = subject.revoke_consent(consent)
    asking.join()
    rows = [row for row in answers[0] if row.subject == FICKLE]
    found.batches += [row.reason for row in rows][-1] is Reason.NO_CONSENT
    with live.open("bank-a", "desk") as room:
        for row in rows:
            receipt = room.row_receipt(answers[0].receipt, row.index)
            judged = verify_row_receipt(receipt, room.profile.trust).parts["tax"].judged_at
            word = told.acknowledgements["tax"]
            found.late += row.reason is None and judged > word.time
            if row.reason is not None:
                found.waited.append((judged - word.time).total_seconds() * 1e3)


def _until_heard(live: LiveRoom) -> None:
    """Wait until the enclave has heard of the consent."""
    with live.open("bank-a", "desk") as room:
        for _ in range(600):
            try:
                room.check("paid-enough", subject=FICKLE, purpose="pre-loan", params=FIRST)
            except SafeRoomError as error:
                if error.reason is not Reason.NO_CONSENT:
                    raise
                time.sleep(0.05)
            else:
                return
    raise SystemExit("the enclave does not hear of a consent")


def _ask_many(live: LiveRoom, begun: threading.Event, answers: list[BatchAnswer]) -> None:
    others = [make_uscc(43_000_000 + at) for at in range(CHUNKS * CHUNK_ROWS)]
    rows: list[tuple[str, dict[str, str]]] = [(each, {"least": "5000"}) for each in others]
    for place, least in enumerate(LEAST):
        rows[place * (len(rows) - 1) // (len(LEAST) - 1)] = (FICKLE, {"least": least})
    with live.open("bank-a", "desk") as room:
        asked = room.prepare_many("paid-enough", rows, purpose="pre-loan")
        answers.append(room.ask_many(asked, progress=lambda _done, _whole: begun.set()))


def main() -> None:
    """Read the command line, open a room, and measure."""
    parser = argparse.ArgumentParser(description="Measure how soon a revocation counts.")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--batches", type=int, default=5)
    options = parser.parse_args()
    found = Measured()
    with tempfile.TemporaryDirectory(prefix="revocation-") as folder:
        live = LiveRoom(Path(folder))
        try:
            live.start()
            live.equip()
            with live.open(FICKLE, "self") as room:
                room.revoke_consent(live.consents[FICKLE, "bank-a"])  # each round gives its own
            for _ in range(options.rounds):
                single(live, found)
            for _ in range(options.batches):
                batch(live, found)
        finally:
            live.processes.stop()
    table = Table("what", "p50 ms", "most ms")
    for what, times in (
        ("a revocation, sent to acknowledged by both enclaves", found.acknowledged),
        ("the same, sent to the first refusal of a bank that asks all the time", found.refused),
        ("in a batch: acknowledged to the first chunk with the subject in it", found.waited),
    ):
        table.add_row(what, f"{statistics.median(times):,.0f}", f"{max(times):,.0f}")
    console = Console()
    console.print(table)
    console.print(f"{found.batches} of {options.batches} batches were caught while they ran")
    console.print(f"{found.late} answers or rows were given after the acknowledgement")


if __name__ == "__main__":
    main()
