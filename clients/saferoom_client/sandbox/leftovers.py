"""One sandbox at a time in a folder; what a killed one left running is ended before the next."""

from __future__ import annotations

import fcntl
import os
import signal
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError

LOCK: Final = "sandbox.lock"
_PROGRAM: Final = b"saferoom_client"
_STAYING: Final = ((b"room", b"serve"), (b"agent", b"run"))
_END_SECONDS: Final = 10.0
_POLL_SECONDS: Final = 0.05


@contextmanager
def alone_in(folder: Path) -> Generator[None]:
    """Hold a sandbox's folder for this process, until it ends, however it ends.

    Raises:
        SafeRoomError: `CONFLICT` if another process holds it.
    """
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            rule = "is open already, in another window"
            fault = FieldFault(str(folder), rule)
            raise SafeRoomError(Reason.CONFLICT, f"{folder} {rule}", [fault]) from None
        end_leftovers(folder)
        yield
    finally:
        os.close(descriptor)


def end_leftovers(folder: Path) -> None:
    """End the room's programs that a killed sandbox left running in its folder."""
    left = running_in(folder)
    for pid in left:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    end = time.monotonic() + _END_SECONDS
    while time.monotonic() < end and running_in(folder):
        time.sleep(_POLL_SECONDS)


def running_in(folder: Path) -> list[int]:
    """Find the room's programs that run in a folder."""
    pids = [int(each.name) for each in Path("/proc").iterdir() if each.name.isdecimal()]
    return [pid for pid in pids if _runs_in(pid, folder)]


def _runs_in(pid: int, folder: Path) -> bool:
    """Tell whether a process is a room's program of this very folder."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False  # it ended meanwhile, or is somebody else's
    if _PROGRAM not in words:
        return False
    called = tuple(words[words.index(_PROGRAM) + 1 :])
    within = os.fsencode(folder) + b"/"
    return called[:2] in _STAYING and any(each.startswith(within) for each in called[2:])
