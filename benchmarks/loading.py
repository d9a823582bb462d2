"""How fast an owner's file is held to the catalogue, and built into a store.

`python -m benchmarks.loading [ROWS]`: the housing fund's payment record, five columns, twelve rows
a subject. Three steps of a load, each by itself: the owner's client reads the file and holds it to
the catalogue; its pieces are sealed and opened; the enclave's child holds the rows to the schema
and builds the store. Each is a process of its own in a real load, so they are not added up. Memory
is the most that the step's process has had; the plan asks for 200,000 rows a second.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet

from saferoom_client.records.annex import catalogue
from saferoom_client.records.drafting import draft_tables
from saferoom_client.records.faults import Fault
from saferoom_client.records.holding import hold
from saferoom_enclaves.rows import TableLoad
from saferoom_enclaves.store import build_database
from saferoom_proto.load import (
    PIECE_BYTES,
    LoadHeader,
    LoadOpener,
    LoadSealer,
    LoadTable,
    make_content_key,
)
from saferoom_proto.statements.feature import Table
from saferoom_proto.uscc import make_uscc

GOAL = 200_000
MONTHS = 12
MEMORY = Path("/dev/shm")  # a store is never built on a disk


def made(rows: int) -> dict[str, list[str]]:
    """Make up the columns of a payment record."""
    codes = [make_uscc(serial) for serial in range(-(-rows // MONTHS))]
    return {
        "uscc": [codes[row // MONTHS] for row in range(rows)],
        "pay_month": [f"2025-{row % MONTHS + 1:02d}" for row in range(rows)],
        "depositors": [str(row * 7919 % 300) for row in range(rows)],
        "amount": [f"{row * 7919 % 1_000_000}.{row % 100:02d}" for row in range(rows)],
        "pay_date": [f"2025-{row % MONTHS + 1:02d}-{row % 28 + 1:02d}" for row in range(rows)],
    }


def ignore_reject(fault: Fault, row: Sequence[str]) -> None:
    """Take no bad row back: there is none."""
    del fault, row


def seal_and_open(path: Path) -> None:
    """Send a file through a load's seal, piece by piece."""
    table = LoadTable.of("t", path.stat().st_size)
    header, key = LoadHeader("tax", "sha256:" + "0" * 64, (table,)), make_content_key()
    sealer, opener = LoadSealer(header.digest, key), LoadOpener(header, key)
    with path.open("rb") as file:
        for index in range(table.pieces):
            data = file.read(PIECE_BYTES)
            opener.open(sealer.piece(0, index, data, last=index == table.pieces - 1))
    opener.finish()


def build(table: Table, path: Path) -> None:
    """Build a store as an enclave's child does."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as scratch, path.open("rb") as rows:
        built = build_database([TableLoad(table, rows)], Path(scratch))
        if built.plaintext is None:
            raise SystemExit(f"{built.bad_row_count} rows are bad")
        built.plaintext.close()


def write_files(rows: int, csv: Path, parquet: Path) -> None:
    """Write the files to load."""
    columns = made(rows)
    with csv.open("w") as file:
        print(*columns, sep=",", file=file)
        file.writelines(f"{','.join(row)}\n" for row in zip(*columns.values(), strict=True))
    pyarrow.parquet.write_table(pa.table(dict(columns)), str(parquet))


def holding(table: Table, path: Path, clean: Path) -> None:
    """Hold a file to the catalogue, as the owner's client does."""
    with clean.open("wb") as out:
        held = hold(table, path, out, ignore_reject)
    if held.bad:
        raise SystemExit(f"{held.bad} rows are bad: {held.told[:3]}")


def measure(what: str, rows: int, step: Callable[[], None]) -> None:
    """Time a step, and print its line."""
    wall, cpu = time.perf_counter(), time.process_time()
    step()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    told = f"{rows / wall:>12,.0f}{rows / cpu:>12,.0f}{rows / cpu / GOAL:>12.2f}{most:>8,.0f}"
    print(f"{what:32}{told}")


def apart(step: Callable[[], None]) -> None:
    """Run something in a process of its own, whose memory is its own."""
    process = multiprocessing.get_context("fork").Process(target=step)
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(process.exitcode)


def main() -> None:
    """Measure, and print a line a step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", type=int, nargs="?", default=1_000_000)
    rows: int = parser.parse_args().rows
    (table,) = draft_tables([catalogue().tables["hf_deposit_hf_payment_record"]], (), ())
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        csv, parquet, clean = (Path(name) / each for each in ("a.csv", "a.parquet", "clean.csv"))
        apart(partial(write_files, rows, csv, parquet))
        print(f"{rows:,} rows, {csv.stat().st_size / 1e6:,.0f} MB of CSV")
        print(f"{'step':32}{'rows/s':>12}{'rows/CPU s':>12}{'of 200,000':>12}{'MB':>8}", flush=True)
        steps: dict[str, Callable[[], None]] = {
            "held to the catalogue, CSV": partial(holding, table, csv, clean),
            "held to the catalogue, Parquet": partial(holding, table, parquet, clean),
            "sealed and opened": partial(seal_and_open, clean),
            "built into a store": partial(build, table, clean),
        }
        for what, step in steps.items():
            apart(partial(measure, what, rows, step))


if __name__ == "__main__":
    main()
