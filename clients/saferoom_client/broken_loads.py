"""Loads that broke off, remembered in the member's folder until they are taken.

What is remembered, for a day, is the load's key, under a name that follows from every byte of its
files: the same files go on under the same key, and any others begin anew under another. A piece is
sealed only if it is what was read when the load was named: no key and place ever seal two contents.

Source: NIST SP 800-38D, section 8 (a key and nonce seal one plaintext only).
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field

from saferoom_client.files import bad_file, make_folder, read_model, read_private, write_model
from saferoom_proto.encoding import b64, unb64
from saferoom_proto.load import PIECE_BYTES, LoadHeader, make_content_key
from saferoom_proto.reasons import SafeRoomError
from saferoom_proto.statements.base import Base64, Digest, Part

FEWEST_PIECES: Final = 9
"""Of which a load is remembered: what has 2 MiB or less is sent anew in a second."""
MOST_ORDERS: Final = 1000
KEPT_SECONDS: Final = 24 * 3600.0
"""Since its last order. Its enclave keeps what has arrived for no longer, and whoever finds the key
reads what others may have copied on its way."""
_FOLDER: Final = "loads"


class _Remembered(Part):
    """What a file holds. Whoever has it and the sealed pieces can read the load."""

    format: Literal["saferoom-load/v1"] = "saferoom-load/v1"
    key: Base64
    orders: Annotated[tuple[Digest, ...], Field(max_length=MOST_ORDERS)] = ()
    """Those that were signed for it, the newest last: one of them may have been carried out."""


@dataclass(frozen=True, slots=True, repr=False)
class Content:
    """What the files of a load held when it was named, piece by piece, table by table."""

    hashes: tuple[tuple[bytes, ...], ...]

    @classmethod
    def read(cls, header: LoadHeader, files: Sequence[Path | None]) -> Content:
        """Read every piece once.

        Raises:
            SafeRoomError: `BAD_CONFIG` for a file that changes meanwhile.
        """
        return cls(
            tuple(
                tuple(_hashed(path, table.pieces))
                for table, path in zip(header.tables, files, strict=True)
            )
        )

    def require(self, table: int, index: int, data: bytes, path: Path) -> None:
        """Refuse to seal a piece that is not what it was."""
        if hashlib.sha256(data).digest() != self.hashes[table][index]:
            raise bad_file(path, "it changed while it was being sent")

    def name(self, header: LoadHeader) -> str:
        """Give the name that only this header and these bytes have."""
        whole = hashlib.sha256(header.digest.encode())
        for hashes in self.hashes:
            whole.update(len(hashes).to_bytes(4, "big") + b"".join(hashes))
        return whole.hexdigest()[:32]


class BrokenLoad:
    """A load under way, as the member's folder remembers it.

    Args:
        folder: the member's.
        name: of the load.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._path: Final = make_folder(folder / _FOLDER) / f"{name}.json"
        self.others: Final = any(each != self._path for each in self._path.parent.glob("*.json"))
        """Whether another load broke off before: of other files, or of these as they were."""
        known = self._read()
        self.goes_on: Final = known is not None
        self._known = known or _Remembered(key=b64(make_content_key()))

    @property
    def key(self) -> bytes:
        """The load's own key."""
        return unb64(self._known.key)

    @property
    def orders(self) -> tuple[str, ...]:
        """Digests of the orders that were signed for it."""
        return self._known.orders

    def remember(self, order: str) -> None:
        """Write down, before anything is sent, that it was ordered; forget all other loads."""
        orders = (*self._known.orders, order)[-MOST_ORDERS:]
        self._known = self._known.model_copy(update={"orders": orders})
        write_model(self._path, self._known)
        for path in self._path.parent.glob("*.json"):
            if path != self._path:
                path.unlink(missing_ok=True)

    def forget(self) -> None:
        """It was taken, or its rows were refused."""
        self._path.unlink(missing_ok=True)
        with suppress(OSError):
            self._path.parent.rmdir()

    def _read(self) -> _Remembered | None:
        if not self._path.exists():
            return None
        try:
            read_private(self._path)  # others may have read the key
            return read_model(self._path, _Remembered)
        except SafeRoomError:
            return None  # then it begins anew, under another key


def forget_old(folder: Path) -> None:
    """Remove the keys of loads that broke off more than a day ago from a member's folder."""
    for path in (folder / _FOLDER).glob("*.json"):
        with suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > KEPT_SECONDS:
                path.unlink()


def _hashed(path: Path | None, pieces: int) -> Iterator[bytes]:
    if path is None:
        yield from (hashlib.sha256(b"").digest() for _ in range(pieces))
        return
    with path.open("rb") as file:
        for index in range(pieces):
            data = file.read(PIECE_BYTES)
            last = index == pieces - 1
            if (last and file.read(1)) or (not last and len(data) < PIECE_BYTES):
                raise bad_file(path, "it changed while it was being read")
            yield hashlib.sha256(data).digest()
