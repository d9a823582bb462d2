"""How appending, proving and auditing grow with the log: the same work at each size.

    PYTHONPATH=tests .venv/bin/python -m benchmarks.growth [--sizes 10000 100000 1000000]

The ledger is the server's, and each entry records what a check does (`benchmarks/ledger.py`). Up to
a size the log is filled in large commits that wait for no disk; what is measured waits. What an
append computes and writes is told beside its time, as other programs do not change it. The audit is
the auditor's, over a log of answers that are signed, charged, under a consent, and in their
enclave's chain; it is made in memory, so no network is in its time.
"""

from __future__ import annotations

import argparse
import os
import resource
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, cast

import uvloop
from rich.console import Console
from rich.table import Table

from benchmarks.ledger import append, open_ledger, prove
from saferoom.ledger.ledger import Ledger
from saferoom.state.database import Database
from saferoom_client.audit.book import Book
from saferoom_client.audit.run import Auditor
from saferoom_client.log import LogTree
from saferoom_client.values import LogEntry
from saferoom_proto import chain
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import sha256_digest
from saferoom_proto.entry import commitment, leaf
from saferoom_proto.statements import ChainLink, Release, load, seal_statement
from saferoom_proto.suite import Suite
from tests.client.story import ONE_CUT, Story

SIZES: Final = (10_000, 100_000)
APPENDED: Final = 4_000
"""Entries by which the rate at a size is measured."""
IN_FLIGHT: Final = 256
FILLED_AT_ONCE: Final = 4096
PROOFS: Final = 1_000


async def measure_ledger(folder: Path, sizes: list[int], table: Table) -> None:
    """Grow one ledger to each size, and measure there."""
    path = folder / "room.db"
    with Database.open(path) as database:
        async with await open_ledger(database) as ledger:
            for size in sizes:
                await fill(database, ledger, size - APPENDED)
                computing, written = time.process_time(), bytes_written()
                rate, latency = await append(ledger, IN_FLIGHT, APPENDED)
                computing = (time.process_time() - computing) / APPENDED
                written = (bytes_written() - written) / APPENDED
                proofs = prove(ledger, list(range(0, size, max(1, size // PROOFS))))
                table.add_row(
                    f"{size:,}",
                    f"{rate:,.0f}",
                    f"{latency.at(0.5):.1f}",
                    f"{computing * 1e6:.0f}",
                    f"{written / (1 << 10):.1f}",
                    f"{proofs.at(0.5):.3f}",
                    f"{proofs.at(0.99):.3f}",
                    f"{path.stat().st_size / (1 << 20):,.0f}",
                )


async def fill(database: Database, ledger: Ledger, size: int) -> None:
    """Bring a ledger to a size, quickly: a power cut would lose it."""
    for pragma in ("synchronous = OFF", "cache_size = -1048576"):
        pragmas(database, pragma)
    while (missing := size - ledger.tip().size) > 0:
        await append(ledger, FILLED_AT_ONCE, min(missing, 10 * FILLED_AT_ONCE))
    for pragma in ("synchronous = FULL", "cache_size = -65536", "shrink_memory"):
        pragmas(database, pragma)


def pragmas(database: Database, pragma: str) -> None:
    """Set one for the writer, as it is not writing."""
    cast("sqlite3.Connection", database.writer.connection.driver_connection).execute(
        f"PRAGMA {pragma}"
    )


def answers(story: Story) -> Iterator[Envelope]:
    """Make answers without end, each to a question of its own, in the order of the chain."""
    first = story.link
    story.release()
    template = load(story.log.pop(), Release)
    charge = template.charges[0]
    charges = (charge.model_copy(update={"cells_before": ONE_CUT}),)
    previous, index = first.previous, first.index
    while True:
        changes = {
            "request": sha256_digest(b"question %d" % index),
            "charges": template.charges if index == first.index else charges,
            "chain": ChainLink(index=index, previous=previous),
        }
        said = seal_statement(template.model_copy(update=changes), story.enclave.identity)
        previous, index = chain.extend(previous, said.digest), index + 1
        yield said


def measure_audit(size: int) -> tuple[float, float, float]:
    """Audit a log of so many entries; gives seconds, the processor's, and the MiB held."""
    story = Story().begin()
    made = answers(story)
    auditor = Auditor(Book(story.world.trust()), (story.world.heads.verify_key,), 0)
    tree, seconds, computing, before = LogTree(Suite.INTERNATIONAL), 0.0, 0.0, resident()
    for index in range(size):
        # Each is made, judged, and forgotten: a log of a million would not fit beside itself.
        statement = story.log[index] if index < len(story.log) else next(made)
        salt = os.urandom(32)
        entry = LogEntry(index, leaf(commitment(salt, statement.digest)), statement, salt)
        began, begun = time.perf_counter(), time.process_time()
        tree.add(entry.leaf)
        auditor.take(entry)
        computing += time.process_time() - begun
        seconds += time.perf_counter() - began
    began, begun = time.perf_counter(), time.process_time()
    auditor.finish()
    computing += time.process_time() - begun
    seconds += time.perf_counter() - began
    if auditor.violations or auditor.judged != size:
        raise SystemExit(f"the log made is not whole: {auditor.violations[:3]}")
    return seconds, computing, resident() - before


def bytes_written() -> int:
    """Give what this process has written, to files most of all (Linux)."""
    counts = dict(
        line.split(": ") for line in Path("/proc/self/io").read_text("ascii").splitlines()
    )
    return int(counts["wchar"])


def resident() -> float:
    """Give this process's memory, in MiB."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * resource.getpagesize() / (1 << 20)


def main() -> None:
    """Read the command line and measure in a folder that is gone afterwards."""
    parser = argparse.ArgumentParser(description="Measure how the log's costs grow.")
    parser.add_argument("--folder", type=Path, default=Path.cwd(), help="a folder on the disk")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--audits", type=int, nargs="*", default=None, help="sizes to audit")
    options = parser.parse_args()
    console = Console()
    ledger = Table(
        *("entries", "appends/s", "p50 ms", "µs computed", "KiB written"),
        *("proof p50 ms", "proof p99 ms", "MiB"),
    )
    if options.sizes != [0]:
        with tempfile.TemporaryDirectory(dir=options.folder, prefix=".growth-") as folder:
            uvloop.run(measure_ledger(Path(folder), sorted(options.sizes), ledger))
        console.print(ledger)
    audit = Table("entries", "audited in s", "of the processor", "µs computed an entry", "MiB held")
    for size in sorted(options.sizes if options.audits is None else options.audits):
        seconds, computing, mebibytes = measure_audit(size)
        audit.add_row(
            f"{size:,}",
            f"{seconds:,.1f}",
            f"{computing:,.1f}",
            f"{computing * 1e6 / size:,.0f}",
            f"{mebibytes:,.0f}",
        )
    console.print(audit)


if __name__ == "__main__":
    main()
