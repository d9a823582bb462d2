"""Folders to work in beside what is secret, removed at the end; those of killed commands later.

Each is locked for as long as its process lives, however that ends: one that nobody holds is a
leftover, and goes when the next command makes its own. Nothing else tells them apart.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

BACKUP: Final = ".backup-"
AUDIT: Final = ".audit-"
OF_ROOM: Final = (BACKUP, AUDIT)
"""In a room's own folder, where nobody else makes any."""
RESTORE: Final = ".saferoom-restore-"
"""Beside the folder that is restored, where others' may lie."""


@contextmanager
def scratch(folder: Path, prefix: str) -> Generator[Path]:
    """Give a new folder that only its user may enter, and remove it.

    Args:
        folder: where; leftovers in it are removed first.
        prefix: of its name.
    """
    for each in OF_ROOM if prefix in OF_ROOM else (prefix,):
        _sweep(folder, each)
    path, held = _made(folder, prefix)
    try:
        yield path
    finally:
        shutil.rmtree(path)
        os.close(held)


def _sweep(folder: Path, prefix: str) -> None:
    """Remove the scratch folders that no living process holds."""
    for path in folder.glob(f"{prefix}*"):
        held = _locked(path)
        if held is not None:
            shutil.rmtree(path, ignore_errors=True)  # what is left, the next command takes
            os.close(held)


def _made(folder: Path, prefix: str) -> tuple[Path, int]:
    """Make a folder and lock it."""
    while True:
        path = Path(tempfile.mkdtemp(prefix=prefix, dir=folder))
        held = _locked(path)
        if held is None:
            continue  # another command swept it before it was locked
        with suppress(FileNotFoundError):
            if os.path.samestat(path.stat(), os.fstat(held)):
                return path, held
        os.close(held)


def _locked(path: Path) -> int | None:
    """Lock a folder of this user's; none if it is another's, held, gone, or no folder."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        held = os.open(path, flags)
    except OSError:
        return None
    try:
        if os.fstat(held).st_uid == os.geteuid():
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return held
    except BlockingIOError:
        pass
    os.close(held)
    return None
