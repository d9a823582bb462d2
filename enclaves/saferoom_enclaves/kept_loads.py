"""What has arrived of a load that broke off: kept as it came, so that it goes on from there.

The pieces lie on the disk under the seal that the owner's client gave them, whose key is not here:
it comes again with the order of whoever goes on. Nothing is opened to be kept. One load is kept at
a time, for a day; another load, or the end of this one, takes its place.

Nothing is made durable: whoever loses power sends more of the load again, and what was torn does
not open.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final, Literal

from saferoom_enclaves.logs import Log
from saferoom_proto.encoding import sha256_digest
from saferoom_proto.load import PIECE_BYTES
from saferoom_proto.load_order import LoadOrder
from saferoom_proto.reasons import Reason, SafeRoomError

KEPT_SECONDS: Final = 24 * 3600.0
"""Since its last piece, by the host's clock: a night and the morning after it."""
SPARE_BYTES: Final = 256 * 1024 * 1024
"""What the enclave's disk must have left beside the load itself: its chain goes on meanwhile."""
_LENGTH_BYTES: Final = 4
_MOST_SEALED: Final = PIECE_BYTES + 64
_NAMES: Final = "load-*.sealed"


def open_file(file: int, mode: Literal["r+b"]) -> BinaryIO:
    """Open a file's descriptor."""
    return os.fdopen(file, mode)


class KeptLoad:
    """One load's pieces, in their order. Closed whatever becomes of the load.

    Args:
        path: where they lie.
        pieces: how many of those that are there count; what follows them is cut off.
        log: the operator's.

    Raises:
        SafeRoomError: `BAD_SEAL` if fewer are there.
    """

    def __init__(self, path: Path, pieces: int, log: Log) -> None:
        self._path: Final = path
        self._pieces: Final = pieces
        self._log: Final = log
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._file: BinaryIO | None = open_file(os.open(path, flags, 0o600), "r+b")
        ends = list(_ends(self._file))
        if len(ends) < pieces:
            self.close()
            raise SafeRoomError(Reason.BAD_SEAL, "less is kept of the load than it goes on from")
        end = ends[pieces - 1] if pieces else 0
        self._file.truncate(end)
        self._file.seek(end)

    def pieces(self) -> Iterator[bytes]:
        """Give the pieces, as they came."""
        if self._file is None:
            return
        self._file.seek(0)
        for _ in range(self._pieces):
            length = int.from_bytes(self._file.read(_LENGTH_BYTES), "big")
            yield self._file.read(length)

    def add(self, sealed: bytes, announced: int) -> None:
        """Keep the next piece; where there is no room for it the load goes on without.

        Args:
            sealed: the piece.
            announced: how many bytes the whole load has at most: its store needs room as well.
        """
        if self._file is None:
            return
        try:
            disk = os.fstatvfs(self._file.fileno())
            if disk.f_bavail * disk.f_frsize < announced + SPARE_BYTES:
                self._log.warning("load not kept", errno=errno.ENOSPC)
                self.drop()
                return
            self._file.write(len(sealed).to_bytes(_LENGTH_BYTES, "big") + sealed)
            self._file.flush()
        except OSError as error:
            self._log.warning("load not kept", errno=error.errno)
            self.drop()

    def drop(self) -> None:
        """Keep nothing of it any more."""
        self.close()
        self._path.unlink(missing_ok=True)

    def close(self) -> None:
        """Let the file go; what is kept stays."""
        file, self._file = self._file, None
        if file is not None:
            with suppress(OSError):  # what could not be written is not kept
                file.close()


class KeptLoads:
    """The one load that is kept.

    Args:
        folder: the enclave's.
        log: the operator's.
    """

    def __init__(self, folder: Path, log: Log) -> None:
        self._folder: Final = folder
        self._log: Final = log

    def count(self, order: LoadOrder) -> int:
        """Tell how many pieces are kept of an ordered load: the next one is due."""
        self.expire()
        try:
            with self._path(order).open("rb") as file:
                return sum(1 for _ in _ends(file))
        except FileNotFoundError:
            return 0

    def take_up(self, order: LoadOrder, pieces: int) -> KeptLoad:
        """Go on with a load from so many pieces on, and keep no other.

        Raises:
            SafeRoomError: `BAD_SEAL` if fewer are kept.
        """
        self.expire()
        own = self._path(order)
        for path in self._folder.glob(_NAMES):
            if path != own:
                path.unlink(missing_ok=True)
        return KeptLoad(own, pieces, self._log)

    def expire(self) -> None:
        """Remove what has waited for too long."""
        for path in self._folder.glob(_NAMES):
            with suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > KEPT_SECONDS:
                    path.unlink()

    def _path(self, order: LoadOrder) -> Path:
        # The content key is one load's own: under another key, or header, lies another load.
        name = sha256_digest(f"{order.load}\n{order.key}".encode()).partition(":")[2]
        return self._folder / f"load-{name[:32]}.sealed"


def _ends(file: BinaryIO) -> Iterator[int]:
    """Give where each whole piece ends."""
    size, end = os.fstat(file.fileno()).st_size, 0
    while end + _LENGTH_BYTES <= size:
        file.seek(end)
        length = int.from_bytes(file.read(_LENGTH_BYTES), "big")
        end += _LENGTH_BYTES + length
        if length > _MOST_SEALED or end > size:
            return
        yield end
