"""What calls take, and what processes and the disk use: read alike by every benchmark."""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Final, Self

SYNC_TRIES: Final = 200
_LOOK_SECONDS: Final = 0.2
_OWN: Final = slice(11, 13)
"""A process's times, in what proc(5) tells after its name."""
_WITH_ENDED: Final = slice(11, 15)
"""Its own and those of its children that it has waited for."""

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


def children(pid: int) -> list[int]:
    """List the processes that a process started."""
    return _started_by().get(pid, [])


def _started_by() -> dict[int, list[int]]:
    """Look once at all processes: which did each start?"""
    started: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended
            started.setdefault(parent(int(path.name)), []).append(int(path.name))
    return started


def resident_mib(pid: int) -> float:
    """Read a process's resident memory."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def processor_seconds(pid: int) -> float:
    """Read how much processor time a process has used."""
    return _seconds(_stat(pid)[_OWN])


def below(pid: int) -> Iterator[int]:
    """List a process and all that came of it."""
    started, tree = _started_by(), [pid]
    while tree:
        yield (each := tree.pop())
        tree += started.get(each, ())


def tree_seconds(pid: int) -> float:
    """Read what a process, all that came of it, and what of that has ended, used."""
    return sum(_seconds(_stat(each)[_WITH_ENDED]) for each in below(pid))


class Peak:
    """The most memory that one process of a tree has resident, from the beginning to the end.

        with Peak(pid) as peak:
            ...
        peak.mib

    Args:
        pid: the tree's first process.
    """

    def __init__(self, pid: int) -> None:
        self.mib = 0.0
        self._pid: Final = pid
        self._over: Final = Event()
        self._looking: Final = Thread(target=self._look)

    def __enter__(self) -> Self:
        self._looking.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._looking.join()

    def _look(self) -> None:
        while not self._over.wait(_LOOK_SECONDS):
            for each in below(self._pid):
                with suppress(OSError):  # it has ended
                    self.mib = max(self.mib, resident_mib(each))


def _seconds(ticks: Sequence[str]) -> float:
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


def _stat(pid: int) -> list[str]:
    """Give what proc(5) tells of a process after its name, which may hold anything."""
    return Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
