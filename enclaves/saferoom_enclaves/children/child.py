"""The life of a child: it closes everything around itself, does one job, and ends.

1  only its channel stays open, and it ends with the fork server
2  its bounds: address space, processor time, files
3  Landlock, laid over the fork server's: the interpreter to read; for a build, scratch to write
4  the heavy imports
5  seccomp, laid over the fork server's: no process, no socket, no file in memory
6  its job arrives, is done and answered
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from saferoom_enclaves.children.bounds import Bounds
from saferoom_enclaves.sandbox import landlock, seccomp
from saferoom_enclaves.sandbox.limits import die_with_parent, limit_resources
from saferoom_enclaves.sandbox.plan import Part
from saferoom_enclaves.sandbox.policy import CHILD

OPEN_FILES: Final = 128
"""For a table each, the store, what the interpreter opens while it imports."""
_STANDARD: Final = 3  # input, output and error come before it


@dataclass(frozen=True, slots=True)
class Walls:
    """What every child of a fork server is closed in by.

    Attributes:
        holds: the parts of the sandbox that the host granted the fork server.
        read_only: what a child may read.
        scratch: the folder that a build may write to.
    """

    holds: frozenset[Part]
    read_only: tuple[Path, ...]
    scratch: Path


class Work(Protocol):
    """A module of jobs."""

    @staticmethod
    def perform(channel: socket.socket) -> None:
        """Receive one job over a channel, do it and answer."""
        ...


def the_work() -> Work:
    """Import the jobs that an enclave has."""
    # A thread for each processor of the host would be started with numpy, and as many with scipy,
    # to wait in loops: on a host that is busy they held tables up for minutes.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    os.environ["OMP_NUM_THREADS"] = "1"  # likewise with scikit-learn
    # In a child only: DuckDB comes with it.
    from saferoom_enclaves.children import work  # noqa: PLC0415

    return work


def live(channel: int, bounds: Bounds, walls: Walls, load: Callable[[], Work]) -> None:
    """Do one job, in a process that was just forked; the caller then ends it.

    Args:
        channel: the child's end of its socket.
        bounds: what it may use.
        walls: what it is closed in by.
        load: imports the module whose `perform` does the job.
    """
    # Step 1.
    die_with_parent()
    os.closerange(_STANDARD, channel)
    os.closerange(channel + 1, os.sysconf("SC_OPEN_MAX"))
    # Step 2.
    limit_resources(bounds.address_space_bytes, OPEN_FILES, bounds.cpu_seconds, bounds.output_bytes)
    # Step 3. The name /proc/self is this process's own: not the fork server's, nor the enclave's.
    if Part.LANDLOCK_FILES in walls.holds:
        writable = (walls.scratch,) if bounds.scratch else ()
        landlock.restrict_files(walls.read_only, writable, ())
    # Step 4.
    jobs = load()
    # Step 5.
    if Part.SYSTEM_CALLS in walls.holds:
        seccomp.close(CHILD)
    # Step 6.
    with socket.socket(fileno=channel) as own:
        jobs.perform(own)
