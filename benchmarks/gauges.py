"""What calls take, and what processes and the disk use: read alike by every benchmark."""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SYNC_TRIES: Final = 200

Call = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Row:
    """Latencies of one run, in milliseconds, and calls a second."""

    what: str
    per_second: float
    p50: float
    p99: float


async def measure(what: str, calls: Sequence[Call], in_flight: int) -> Row:
    """Make all calls, so many at a time."""
    took: list[float] = []
    waiting = iter(calls)

    async def worker() -> None:
        for call in waiting:
            began = time.perf_counter()
            await call()
            took.append(time.perf_counter() - began)

    began = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(in_flight)))
    seconds = time.perf_counter() - began
    cuts = statistics.quantiles(took, n=100)
    return Row(what, len(took) / seconds, cuts[49] * 1000, cuts[98] * 1000)


def sync_milliseconds(folder: Path) -> float:
    """Time the disk: the median of writing 4 KiB and waiting until it is durable."""
    took: list[float] = []
    with (folder / "sync").open("wb") as file:
        for _ in range(SYNC_TRIES):
            file.write(bytes(4096))
            file.flush()
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            took.append(time.perf_counter() - began)
    return statistics.median(took) * 1000


def parent(pid: int) -> int:
    """Read which process started a process."""
    return int(_stat(pid)[1])


def children(pid: int) -> Iterator[int]:
    """List the processes that a process started."""
    for path in Path("/proc").glob("[0-9]*"):
        try:
            started = parent(int(path.name)) == pid
        except OSError:
            continue
        if started:
            yield int(path.name)


def resident_mib(pid: int) -> float:
    """Read a process's resident memory."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def processor_seconds(pid: int) -> float:
    """Read how much processor time a process has used."""
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _stat(pid: int) -> list[str]:
    """Give what proc(5) tells of a process after its name, which may hold anything."""
    return Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
