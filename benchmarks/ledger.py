"""Appends to a ledger as checks do, beside a bare write that waits for the same disk.

    .venv/bin/python -m benchmarks.ledger [--folder FOLDER] [--entries 100000] [--seconds 3]

Each append carries what one check records: the request, the release statement, a sealed answer, and
whom it concerns.
It counts once entry, tree, rows and a signed checkpoint are durable and its proof is written out.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import uvloop
from rich.console import Console
from rich.table import Table

from saferoom.ledger.entries import NewEntry
from saferoom.ledger.ledger import Ledger
from saferoom.ledger.mark import drop_mark
from saferoom.state.database import Database
from saferoom.state.rows import AnswerRow, AskedRow, RequestRow, StatementRow, UseRow
from saferoom_proto.dsse import Envelope, Signature
from saferoom_proto.keys import SigningKey

IN_FLIGHT: Final = (1, 16, 64, 256)
STATEMENT_BYTES: Final = 700
SEALED_BYTES: Final = 1300
"""HPKE with ML-KEM-768 + X25519 adds 1136 bytes to an answer of a few words."""

KEY: Final = SigningKey.generate()


@dataclass(frozen=True, slots=True)
class Latency:
    """Durations of one kind, in seconds."""

    sorted_seconds: tuple[float, ...]

    def at(self, share: float) -> float:
        """Give a percentile, in milliseconds."""
        return self.sorted_seconds[int(share * (len(self.sorted_seconds) - 1))] * 1e3


def bare_wait(folder: Path, times: int = 300) -> Latency:
    """Measure a write of one page and the wait until the disk has it."""
    seconds: list[float] = []
    descriptor = os.open(folder / "bare", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    try:
        for _ in range(times):
            start = time.perf_counter()
            os.write(descriptor, bytes(4096))
            os.fdatasync(descriptor)
            seconds.append(time.perf_counter() - start)
    finally:
        os.close(descriptor)
    return Latency(tuple(sorted(seconds)))


def checks() -> Iterator[NewEntry]:
    """Make what checks record, without end; the signatures are only as long as real ones."""
    signatures = (Signature(KEY.verify_key.keyid, bytes(64)),)
    while True:
        request, release = (
            Envelope(
                f"application/vnd.saferoom.{kind}.v1+json",
                os.urandom(STATEMENT_BYTES // 2).hex().encode(),
                signatures,
            )
            for kind in ("request", "release")
        )
        rows = (
            StatementRow("release", release),
            RequestRow("bank", request),
            AnswerRow(request.digest, "tax", "bank", release.digest, os.urandom(SEALED_BYTES)),
            AskedRow(request.digest),
            UseRow("tax"),
            UseRow(os.urandom(9).hex().upper()),
        )
        yield NewEntry("release", release.digest, os.urandom(32), rows)


async def append(ledger: Ledger, in_flight: int, count: int) -> tuple[float, Latency]:
    """Append a number of entries from so many tasks; gives appends per second and latencies."""
    made = [entry for entry, _ in zip(checks(), range(count), strict=False)]
    waiting = iter(made)
    gc.freeze()  # what was made in advance is the benchmark's, and not for the ledger to walk over
    seconds: list[float] = []

    async def work() -> None:
        for entry in waiting:
            start = time.perf_counter()
            position = await ledger.append(entry)
            ledger.tlog_proof(position)
            seconds.append(time.perf_counter() - start)

    start = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(in_flight)))
    return count / (time.perf_counter() - start), Latency(tuple(sorted(seconds)))


def prove(ledger: Ledger, indexes: list[int]) -> Latency:
    """Measure inclusion proofs under the newest checkpoint."""
    size = ledger.tip().size
    seconds: list[float] = []
    for index in indexes:
        start = time.perf_counter()
        ledger.proof(index, size)
        seconds.append(time.perf_counter() - start)
    return Latency(tuple(sorted(seconds)))


async def open_ledger(database: Database) -> Ledger:
    """Open the benchmark's ledger."""
    return await Ledger.open(
        database, origin="benchmark.example/log", key=KEY, clock=lambda: datetime.now(UTC)
    )


async def measure_appends(ledger: Ledger, folder: Path, seconds: float) -> Table:
    """Measure appends at each number in flight, each beside the bare disk at that moment."""
    table = Table("in flight", "appends/s", "p50 ms", "p99 ms", "bare wait p50 ms", "bare p99 ms")
    for in_flight in IN_FLIGHT:
        bare = bare_wait(folder)
        rate, _ = await append(ledger, in_flight, 20 * in_flight)
        rate, latency = await append(ledger, in_flight, max(200, int(rate * seconds)))
        figures = (latency.at(0.5), latency.at(0.99), bare.at(0.5), bare.at(0.99))
        table.add_row(str(in_flight), f"{rate:,.0f}", *(f"{figure:.2f}" for figure in figures))
    return table


def measure_proofs(ledger: Ledger) -> Table:
    """Measure proofs of the newest entries and of any, first from the disk, then from memory."""
    size = ledger.tip().size
    anywhere = random.sample(range(size), 1000)
    table = Table("proofs of", "p50 ms", "p99 ms")
    for name, indexes in (
        ("any entries, after opening", anywhere),
        ("the same again", anywhere),
        ("the newest 1,000 entries, again", [*range(size - 1000, size)] * 2),
    ):
        latency = prove(ledger, indexes)
        table.add_row(name, f"{latency.at(0.5):.3f}", f"{latency.at(0.99):.3f}")
    return table


async def measure(folder: Path, entries: int, seconds: float) -> None:
    """Run everything and print the tables."""
    console = Console()
    path = folder / "room.db"
    with Database.open(path) as database:
        async with await open_ledger(database) as ledger:
            console.print(await measure_appends(ledger, folder, seconds))
            while (missing := entries - ledger.tip().size) > 0:
                await append(ledger, 256, min(missing, 5000))
            size = ledger.tip().size
    marked = statistics.median([await opened_after(path) for _ in range(3)])
    whole = statistics.median([await opened_after(path, marked=False) for _ in range(3)])
    mebibytes = path.stat().st_size / (1 << 20)
    console.print(f"{size:,} entries, {mebibytes:,.0f} MiB: recomputed and open in {whole:.2f} s,")
    console.print(f"open from the mark, the rest recomputed beside: in {marked:.2f} s")
    with Database.open(path) as database:
        async with await open_ledger(database) as ledger:
            console.print(measure_proofs(ledger))


async def opened_after(path: Path, *, marked: bool = True) -> float:
    """Measure how long a server's start waits for its ledger."""
    if not marked:
        drop_mark(path)
    start = time.perf_counter()
    with Database.open(path) as database:
        async with await open_ledger(database):
            opened = time.perf_counter() - start
    return opened


def main() -> None:
    """Read the command line and measure in a folder that is gone afterwards."""
    parser = argparse.ArgumentParser(description="Measure the ledger beside its bare disk.")
    parser.add_argument("--folder", type=Path, default=Path.cwd(), help="a folder on the disk")
    parser.add_argument("--entries", type=int, default=100_000, help="size for the proofs")
    parser.add_argument("--seconds", type=float, default=3.0, help="for each number in flight")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder, prefix=".ledger-") as folder:
        uvloop.run(measure(Path(folder), arguments.entries, arguments.seconds))


if __name__ == "__main__":
    main()
