"""A load on its way: an owner's tables, ordered by an approver and sealed to the owner's enclave.

    header    whose load, under which schema, which tables, of how many pieces each
    key       the load's own AES-256 key and the order, both sealed to the enclave (HPKE)
    pieces    each table's bytes in turn, at most 256 KiB apiece, each sealed and bound to its place

Whoever passes a load on can neither read it nor alter, drop, repeat or reorder a piece. Anybody
can seal to an enclave's public key, so an approver's signed order travels under the seal too:
nobody else loads records in the owner's name.

Source: RFC 9180 (HPKE); NIST SP 800-38D (GCM); STREAM, Hoang, Reyhanitabar, Rogaway and Vizár,
"Online Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance", CRYPTO 2015 (pieces).
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from saferoom_proto import hpke
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import check_digest, dump, sha256_digest
from saferoom_proto.keys import SigningKey
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements.base import (
    Digest,
    Instant,
    Owner,
    Payload,
    Usage,
    load,
    seal_statement,
    whole_milliseconds,
)
from saferoom_proto.verification import PinnedCharter

PIECE_BYTES: Final = 256 * 1024
"""Plaintext of a piece: a quarter of the largest message the room takes."""

KEY_BYTES: Final = 32
MAX_TABLES: Final = 64
MAX_PIECES: Final = (1 << 32) - 1

_TAG_BYTES: Final = 16
_HEADER_LABEL: Final = b"saferoom load v1\n"
_KEY_LABEL: Final = b"saferoom load key v1\n"
_PIECE_LABEL: Final = b"saferoom load piece v1\n"


class LoadOrder(Payload):
    """An approver has these very pieces loaded. It travels under the load's seal, unlogged."""

    KIND: ClassVar[str] = "load-order"
    SIGNED_BY: ClassVar[Usage] = Usage.APPROVER

    owner: Owner
    load: Digest
    """The header's digest."""
    key: Digest
    """SHA-256 of the content key: only who knows it can make the pieces."""
    at: Instant
    """An enclave takes no load that was ordered before one it has taken."""


@dataclass(frozen=True, slots=True)
class LoadTable:
    """A table of a load: its name in the schema, and its number of pieces."""

    name: str
    pieces: int

    def __post_init__(self) -> None:
        if not 1 <= self.pieces <= MAX_PIECES:
            raise SafeRoomError(Reason.MALFORMED, "a table of a load has at least one piece")

    @classmethod
    def of(cls, name: str, size_bytes: int) -> LoadTable:
        """Announce a table of so many bytes; an empty one has one empty piece."""
        return cls(name, max(1, -(-size_bytes // PIECE_BYTES)))


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
    def digest(self) -> str:
        """Name the header."""
        tables = [{"name": table.name, "pieces": table.pieces} for table in self.tables]
        document = {"owner": self.owner, "schema": self.schema, "tables": tables}
        return sha256_digest(_HEADER_LABEL + dump(document))


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


@dataclass(frozen=True, slots=True, repr=False)
class OpenedOrder:
    """The load's key, and when it was ordered. It shows no text form."""

    content_key: bytes
    at: datetime


class LoadOpener:
    """Opens a load's pieces, in their order and no other. Its text form shows no key.

    Args:
        header: what the load announced.
        content_key: from `open_order`.
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


def seal_order(
    header: LoadHeader,
    room: str,
    content_key: bytes,
    approver: SigningKey,
    sealing: bytes,
    *,
    at: datetime | None = None,
) -> bytes:
    """Order a load, and seal the order with the load's key to the enclave.

    Args:
        header: what the load brings.
        room: the room's origin.
        content_key: the load's key.
        approver: a key that the owner's charter names as an approver's.
        sealing: the enclave's HPKE public key, from its endorsement.
        at: when it is ordered; now, if nothing else is said.

    Returns:
        `LoadHeader.sealed_key` of the message on the wire.
    """
    order = LoadOrder(
        room=room,
        owner=header.owner,
        load=header.digest,
        key=sha256_digest(content_key),
        at=whole_milliseconds(datetime.now(UTC) if at is None else at),
    )
    plaintext = content_key + seal_statement(order, approver).to_json()
    return hpke.seal(sealing, plaintext, info=_KEY_LABEL + header.digest.encode())


def open_order(
    sealed_key: bytes, header: LoadHeader, sealing: hpke.SealingKey, charter: PinnedCharter
) -> OpenedOrder:
    """Open a load's key, having checked that an approver of the owner ordered this very load.

    Raises:
        SafeRoomError: `BAD_SEAL` if it was sealed to another key or for another header,
            `BAD_SIGNATURE` without an approver's order, `MALFORMED`.
    """
    plaintext = sealing.open(sealed_key, info=_KEY_LABEL + header.digest.encode())
    content_key, signed = plaintext[:KEY_BYTES], Envelope.from_json(plaintext[KEY_BYTES:])
    order = load(signed, LoadOrder)
    signed.verify(charter.approver_keys)
    ordered = (order.room, order.owner, order.load)
    if ordered != (charter.charter.room, charter.charter.owner, header.digest):
        raise SafeRoomError(Reason.BAD_SIGNATURE, "the order is for another load")
    if header.owner != order.owner:
        raise SafeRoomError(Reason.BAD_SIGNATURE, "the order is another owner's")
    if not hmac.compare_digest(order.key, sha256_digest(content_key)):
        raise SafeRoomError(Reason.BAD_SIGNATURE, "the order is for another key")
    return OpenedOrder(content_key, order.at)


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
