"""What ten million subjects and ten features take: to open the sealed store, to answer from it.

    PYTHONPATH=tests .venv/bin/python -m benchmarks.wide [SUBJECTS] [--features 10]
        [--memory-mib 16384]

The store is made by DuckDB itself, beside the load's own path, whose rows go through Python
(`benchmarks.enclave` measures that). Then it goes the enclave's way: sealed to a file, unsealed
into a memfd, the features computed by a bounded, sandboxed child, the index held and looked up.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np

from benchmarks.features import FEATURES, SCHEMA
from saferoom_enclaves.features.computed import FeatureDefinition
from saferoom_enclaves.storework import Allowance, StoreWork
from saferoom_enclaves.vault import open_snapshot, seal_snapshot
from saferoom_proto.formula import FeatureRef
from saferoom_proto.uscc import make_uscc
from simulator.children import start

MB = 1_000_000
ROWS_AT_ONCE = 500_000
LOOKUPS = 20_000
MEMORY = Path("/dev/shm")
ROW = (
    "SELECT code, CAST(serial % 99991 AS DECIMAL(18,4)), DATE '2026-01-01' + CAST(serial % 270 AS"
    " INTEGER), serial % 2 = 1 FROM made"
)


@contextmanager
def step(what: str) -> Generator[None]:
    """Tell how long a step takes."""
    began = time.perf_counter()
    yield
    print(f"{what:52} {time.perf_counter() - began:8.1f} s", flush=True)


def build(path: Path, subjects: int) -> None:
    """Make the store: one row a subject."""
    with duckdb.connect(str(path), config={"threads": 2}) as store:
        columns = ", ".join(f'"{column.name}" {column.type}' for column in SCHEMA.columns)
        store.execute(f"CREATE TABLE vat ({columns})")
        for first in range(0, subjects, ROWS_AT_ONCE):
            serials = range(first, min(first + ROWS_AT_ONCE, subjects))
            codes = np.array([make_uscc(serial) for serial in serials], dtype=object)
            store.register("made", {"code": codes, "serial": np.array(serials, dtype=np.int64)})
            store.execute(f"INSERT INTO vat {ROW}")
            store.unregister("made")


def definitions(count: int) -> list[FeatureDefinition]:
    """Give so many features: those there are, over and over."""
    made: list[FeatureDefinition] = []
    for at in range(count):
        each = FEATURES[at % len(FEATURES)]
        ref = FeatureRef("tax", f"{each.shape.ref.name}{at}")
        made.append(replace(each, shape=replace(each.shape, ref=ref)))
    return made


def open_and_answer(folder: Path, sealed: object, key: bytes, asked: argparse.Namespace) -> None:
    """Open the sealed store as an enclave does, and look subjects up."""
    memory = asked.memory_mib << 20
    server, workshop = start(folder, sandbox=True, memory_bytes=memory)
    allowance = Allowance(memory_bytes=memory, index_bytes=memory // 4, feature_seconds=3600.0)
    work = StoreWork(workshop, folder, allowance)
    features = definitions(asked.features)
    with step("unseal into a memfd"):
        memfd = open_snapshot(folder, key, "tax", sealed)  # pyright: ignore[reportArgumentType]
    with step(f"compute {len(features)} features in a child, and take the index"):
        found = work.compute(memfd, [SCHEMA], features)
    assert not found.refused, found.refused
    assert found.index.subjects == asked.subjects
    names = [feature.shape.ref for feature in features]
    codes = [
        make_uscc(serial) for serial in random.Random(1).sample(range(asked.subjects), LOOKUPS)
    ]
    began = time.perf_counter()
    for code in codes:
        found.index.cells(code, names)
    microseconds = (time.perf_counter() - began) / LOOKUPS * 1e6
    print(f"{f'look up {len(names)} cells of one subject':52} {microseconds:8.1f} us")
    index = found.index.subjects * (18 + len(names)) / MB
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MB
    print(f"{'the index':52} {index:8.0f} MB; this process at most {peak:,.0f} MB")
    os.close(memfd)
    work.close()
    server.wait(30)


def main() -> None:
    """Measure, and print a line a step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("subjects", type=int, nargs="?", default=10_000_000)
    parser.add_argument("--features", type=int, default=10)
    parser.add_argument("--memory-mib", type=int, default=16384)
    asked = parser.parse_args()
    key = os.urandom(32)
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        folder = Path(name)
        with step(f"make a store of {asked.subjects:,} subjects, by DuckDB"):
            build(folder / "store", asked.subjects)
        size = (folder / "store").stat().st_size / MB
        with step(f"seal {size:,.0f} MB"), (folder / "store").open("rb") as plaintext:
            sealed = seal_snapshot(folder, key, "tax", 1, plaintext)
        (folder / "store").unlink()
        open_and_answer(folder, sealed, key, asked)


if __name__ == "__main__":
    main()
