"""What a made-up city takes, and how well its owners' records predict who fails.

PYTHONPATH=tests .venv/bin/python -m benchmarks.city --firms 200000 --predict 24000
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import numpy as np

from saferoom_city.making import MANIFEST
from tests.client.made_city import city_rows
from tests.enclaves.city_store import city
from tests.enclaves.default import auc, loans, matrices


def made(firms: int) -> str:
    """Make a city by the command, and tell time, rows, bytes and memory."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "city"
        words = ["--firms", str(firms), "--seed", "7", "--out", str(out)]
        command = [sys.executable, "-m", "saferoom_client", "city", *words]
        begun, largest = time.monotonic(), 0
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        while process.poll() is None:
            largest = max(largest, *map(_peak_kib, (process.pid, *_children(process.pid))))
            time.sleep(0.2)
        took = time.monotonic() - begun
        files = json.loads((out / MANIFEST).read_bytes())["files"]
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    rows, size = (sum(each[name] for each in files) for name in ("rows", "bytes"))
    return (
        f"{firms:,} firms in {took:.0f} s ({used.ru_utime + used.ru_stime:.0f} s of processors,"
        f" {os.cpu_count()} of them, load {os.getloadavg()[0]:.0f}): {rows:,} rows, {size:,} bytes,"
        f" largest process {largest / 1024:.0f} MiB"
    )


def _children(pid: int) -> list[int]:
    """Find the processes that a process started (proc(5))."""
    found: list[int] = []
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    return found


def _peak_kib(pid: int) -> int:
    """Tell the most memory that a process had; of one that started another, its own since."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    return 0


def predicted(firms: int) -> list[str]:
    """Tell the AUC of each category's features alone, and of all together."""
    whole = city(firms)
    codes, failed = loans(city_rows(firms)["loans"][0])
    by_owner = matrices(whole, np.searchsorted(whole.told.subjects, codes))
    lines = [f"{len(failed):,} loans, {failed.mean():.1%} default"]
    lines += [f"{owner:20} {auc(columns, failed):.3f}" for owner, columns in by_owner.items()]
    joined = np.hstack(list(by_owner.values()))
    return [*lines, f"{'joined':20} {auc(joined, failed):.3f}"]


def main() -> None:
    """Measure both."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--firms", type=int, default=200_000, help="of the city that is timed")
    parser.add_argument("--predict", type=int, default=24_000, help="of the one that is judged")
    arguments = parser.parse_args()
    print(made(arguments.firms))
    print("\n".join(predicted(arguments.predict)))


if __name__ == "__main__":
    main()
