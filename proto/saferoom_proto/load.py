"""A load on its way: an owner's tables, ordered by an approver and sealed to the owner's enclave.

    header    whose load, under which schema, which tables, of how many pieces each
    key       the load's own AES-256 key and the order (`load_order.py`), sealed to the enclave
    pieces    each table's bytes in turn, at most 256 KiB apiece, each sealed and bound to its place
    faults    the rows that break the schema, sealed to who ordered the load (`load_faults.py`)

Whoever passes a load on can neither read it nor alter, drop, repeat or reorder a piece, nor learn
what was wrong with it.

Source: NIST SP 800-38D (GCM); STREAM, Hoang, Reyhanitabar, Rogaway and Vizár,
"Online Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance", CRYPTO 2015 (pieces).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from saferoom_proto.encoding import check_digest, dump
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.suite import suite_of

PIECE_BYTES: Final = 256 * 1024
"""Plaintext of a piece: a quarter of the largest message the room takes."""

KEY_BYTES: Final = 32
MAX_TABLES: Final = 64
MAX_PIECES: Final = (1 << 32) - 1

_TAG_BYTES: Final = 16
_HEADER_LABEL: Final = b"saferoom load v1\n"
_PIECE_LABEL: Final = b"saferoom load piece v1\n"


class Change(StrEnum):
    """What the rows of a load do to the table's rows in the snapshot that the load follows."""

    WHOLE = "whole"
    """They are all of the table's rows."""
    REPLACE = "replace"
    """They take the place of all rows about the subjects that they name."""
    DELETE = "delete"
    """All rows about the subjects that they name go. They are held to the table's form as any
    rows are; of what they say only the key counts."""
    KEEP = "keep"
    """There are none: the table stays as it is."""


@dataclass(frozen=True, slots=True)
class LoadTable:
    """A table of a load: its name in the schema, its number of pieces, what they do.

    Attributes:
        leaves: rows that link to nobody, or to two, are left out; without it none may.
    """

    name: str
    pieces: int
    change: Change = Change.WHOLE
    leaves: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.pieces <= MAX_PIECES:
            raise SafeRoomError(Reason.MALFORMED, "a table of a load has at least one piece")

    @classmethod
    def of(
        cls, name: str, size_bytes: int, change: Change = Change.WHOLE, *, leaves: bool = False
    ) -> LoadTable:
        """Announce a table of so many bytes; an empty one has one empty piece."""
        return cls(name, max(1, -(-size_bytes // PIECE_BYTES)), change, leaves)


@dataclass(frozen=True, slots=True)
class LoadHeader:
    """What a load brings. Its digest stands in the order and under every piece's seal."""

    owner: str
    schema: str
    tables: tuple[LoadTable, ...]

    def __post_init__(self) -> None:
        check_digest(self.schema)
        names = {table.name for table in self.tables}
        if not 1 <= len(self.tables) <= MAX_TABLES or len(names) != len(self.tables):
            raise SafeRoomError(Reason.MALFORMED, f"a load has 1 to {MAX_TABLES} tables, each once")

    @property
    def is_change(self) -> bool:
        """Whether it needs the snapshot that it follows."""
        return any(table.change is not Change.WHOLE for table in self.tables)

    @property
    def digest(self) -> str:
        """Name the header, by the hash of its schema's suite."""
        # A load of whole tables is named as it was before there were changes and links.
        tables = [
            {"name": table.name, "pieces": table.pieces}
            | ({} if table.change is Change.WHOLE else {"change": str(table.change)})
            | ({"leaves": True} if table.leaves else {})
            for table in self.tables
        ]
        document = {"owner": self.owner, "schema": self.schema, "tables": tables}
        return suite_of(self.schema).digest(_HEADER_LABEL + dump(document))


class LoadSealer:
    """Seals a load's pieces. Its text form shows no key.

    Args:
        header: the header's digest.
        content_key: 32 random bytes, made for this load and used for no other.
    """

    __slots__ = ("_aead", "_digest")

    def __init__(self, header: str, content_key: bytes) -> None:
        self._aead: Final = _aead(content_key)
        self._digest: Final = check_digest(header)

    def piece(self, table: int, index: int, data: bytes, *, last: bool) -> bytes:
        """Seal one piece: of which table, which one of it, and whether it is the table's last."""
        if len(data) > PIECE_BYTES:
            raise SafeRoomError(Reason.TOO_LARGE, f"a piece has at most {PIECE_BYTES} bytes")
        bound = _bound(self._digest, table, index, last=last)
        return self._aead.encrypt(_nonce(table, index), data, bound)

    def table(self, table: int, data: bytes) -> Iterator[bytes]:
        """Seal all of one table's bytes, piece by piece."""
        pieces = LoadTable.of("", len(data)).pieces
        for index in range(pieces):
            part = data[index * PIECE_BYTES : (index + 1) * PIECE_BYTES]
            yield self.piece(table, index, part, last=index == pieces - 1)


@dataclass(frozen=True, slots=True, repr=False)
class OpenedPiece:
    """A piece's bytes and its table. It shows no text form: these are records."""

    table: str
    data: bytes


class LoadOpener:
    """Opens a load's pieces, in their order and no other. Its text form shows no key.

    Args:
        header: what the load announced.
        content_key: from `load_order.open_order`.
    """

    __slots__ = ("_aead", "_digest", "_index", "_table", "_tables")

    def __init__(self, header: LoadHeader, content_key: bytes) -> None:
        self._aead: Final = _aead(content_key)
        self._digest: Final = header.digest
        self._tables: Final = header.tables
        self._table = 0
        self._index = 0

    def open(self, sealed: bytes) -> OpenedPiece:
        """Open the next piece.

        Raises:
            SafeRoomError: `BAD_SEAL` if it is not the next piece of this load, `TOO_LARGE`.
        """
        if self._table == len(self._tables):
            raise SafeRoomError(Reason.BAD_SEAL, "a piece after the load's last")
        if len(sealed) > PIECE_BYTES + _TAG_BYTES:
            raise SafeRoomError(Reason.TOO_LARGE, f"a piece has at most {PIECE_BYTES} bytes")
        table = self._tables[self._table]
        last = self._index == table.pieces - 1
        bound = _bound(self._digest, self._table, self._index, last=last)
        try:
            data = self._aead.decrypt(_nonce(self._table, self._index), sealed, bound)
        except InvalidTag as error:
            raise SafeRoomError(Reason.BAD_SEAL, "not the next piece of this load") from error
        self._table, self._index = (self._table + 1, 0) if last else (self._table, self._index + 1)
        return OpenedPiece(table.name, data)

    def finish(self) -> None:
        """Refuse with `BAD_SEAL` a load that ended before its last piece."""
        if self._table != len(self._tables):
            raise SafeRoomError(Reason.BAD_SEAL, "the load ended before its last piece")


def make_content_key() -> bytes:
    """Make the key of one load from the operating system's randomness."""
    return os.urandom(KEY_BYTES)


def _aead(content_key: bytes) -> AESGCM:
    if len(content_key) != KEY_BYTES:
        raise SafeRoomError(Reason.BAD_SEAL, f"a content key has {KEY_BYTES} bytes")
    return AESGCM(content_key)


def _nonce(table: int, index: int) -> bytes:
    # A counter: the key is the load's own, so no nonce comes twice (SP 800-38D section 8.2.1).
    return table.to_bytes(4, "big") + index.to_bytes(8, "big")


def _bound(digest: str, table: int, index: int, *, last: bool) -> bytes:
    place = f"{digest}\n{table}\n{index}\n{'last' if last else 'more'}\n"
    return _PIECE_LABEL + place.encode("ascii")
