"""Whether anybody else wrote to the files of a database while this process had it open.

SQLite's lock keeps out whoever asks for it. Whoever may write to an enclave's folder needs not ask,
and a row that is gone from the disk reads as one that never was. The kernel notes every write:
ctime cannot be set by hand (POSIX, `<sys/stat.h>`). Two writes within one tick of its clock, some
milliseconds, look like one; so does a write while this process writes.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from saferoom_proto.reasons import Reason, SafeRoomError

Seen = tuple[tuple[int, ...] | None, ...]


class Untouched:
    """The database's file and its write-ahead log, as this process left them.

    Args:
        path: the database's.
    """

    def __init__(self, path: Path) -> None:
        self._files: Final = (os.fspath(path), f"{os.fspath(path)}-wal")
        self._left: Seen = ()

    def look(self) -> Seen | None:
        """Look at the files; gives how they are if it is not how they were left."""
        now = self._now()
        return None if now == self._left else now

    def require(self) -> None:
        """Refuse to go by what was read since the files were left, if they are otherwise by now.

        Raises:
            SafeRoomError: `UNAVAILABLE`.
        """
        if self.look() is not None:
            raise SafeRoomError(Reason.UNAVAILABLE, "somebody else wrote to the state meanwhile")

    def leave(self, seen: Seen | None = None) -> None:
        """Note how the files are left: as they are now, or as they were seen."""
        self._left = self._now() if seen is None else seen

    def _now(self) -> Seen:
        return tuple(map(_look, self._files))


def _look(file: str) -> tuple[int, ...] | None:
    try:
        found = os.stat(file)  # noqa: PTH116 - twice for every question
    except FileNotFoundError:
        return None
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
