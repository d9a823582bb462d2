"""How fast a store is sealed to disk, and opened from it into a sealed memfd.

`python -m benchmarks.vault [MEGABYTES] [--folder FOLDER]`. The file is read from the page cache, as
right after a load; a cold start adds what the disk takes. Reference, as a load's ceiling: SHA-256
alone, over the same bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from saferoom_enclaves.vault import open_snapshot, seal_snapshot

RUNS = 5


def median_seconds(step: Callable[[], object]) -> float:
    """Time a step a few times, and give the median."""
    taken: list[float] = []
    for _ in range(RUNS):
        start = time.perf_counter()
        step()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def main() -> None:
    """Measure, and print a line a step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("megabytes", type=int, nargs="?", default=256)
    parser.add_argument("--folder", type=Path, default=None, help="where to seal to")
    arguments = parser.parse_args()
    plaintext = os.urandom(arguments.megabytes * 1_000_000)
    kek = os.urandom(32)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        sealed = seal_snapshot(folder, kek, "owner", 1, plaintext)
        steps: dict[str, Callable[[], object]] = {
            "SHA-256 alone": lambda: hashlib.sha256(plaintext).digest(),
            "seal, synced to disk": lambda: seal_snapshot(folder, kek, "owner", 2, plaintext),
            "unseal to a memfd": lambda: os.close(open_snapshot(folder, kek, "owner", sealed)),
        }
        for what, step in steps.items():
            seconds = median_seconds(step)
            rate = arguments.megabytes / seconds
            print(f"{what:22} {arguments.megabytes} MB in {seconds:.3f} s: {rate:,.0f} MB/s")


if __name__ == "__main__":
    main()
