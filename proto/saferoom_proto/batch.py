"""A batch's rows and what became of them: how both are written, hashed, salted and sealed.

Rows travel packed, 20 bytes each. The asker signs one Merkle root over them and each enclave one
root over the outcomes. Every leaf is salted, so that the hashes beside one row's path tell nothing
of its neighbours, and one row's salts open that row alone. All of a batch's salts are a key stream:
whoever holds the key has every salt, whoever is given one salt has that one.

    row       subject (18), number of its parameters (2)
    asked     leaf over: blind (16), row (20)
    outcome   leaf over: salt (32), request (32), index (4), row (20), time and sequence (8 each),
              record
    record    code (1), consent (32, zeros for none), and for each charged feature, in the order of
              their names, cells before (2) and after (2); in a private conjunction a share (16);
              of a score with reasons these (8)

Numbers are big-endian. Source: NIST SP 800-38A section 6.5 (counter mode), SP 800-38D (GCM),
RFC 5869 (HKDF).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CTR
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from saferoom_proto.answer import MOST_BANDS, REASONS_BYTES, Band, Told, Truth
from saferoom_proto.encoding import digest_bytes
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.shares import SHARE_BYTES, Share
from saferoom_proto.suite import Suite, suite_of
from saferoom_proto.uscc import SUBJECT_BYTES

ROW_BYTES: Final = 20
SECRET_BYTES: Final = 32
BLIND_BYTES: Final = 16
SALT_BYTES: Final = 32
CONSENT_BYTES: Final = 32
CHARGE_BYTES: Final = 4
_CODE_AND_CONSENT: Final = 1 + CONSENT_BYTES
_WHEN: Final = struct.Struct(">QQ")
WHEN_BYTES: Final = _WHEN.size
_BLOCK_BYTES: Final = 16  # of AES

CHUNK_ROWS: Final = 1 << 12
"""Rows that an enclave judges under one commit: some 40 ms, in which single checks wait. A power of
two, so that a chunk is a subtree and its root has a path of its own."""
MOST_ROWS: Final = 1_000_000
"""In one batch: 20 MB of rows."""
MOST_PARAMETERS: Final = 256
"""Sets of parameters in one batch; a grid has at most seven values."""

_SEAL: Final = b"saferoom batch secret v1\n"
_SALTS: Final = b"saferoom batch salts v1"
_CHUNKS: Final = b"saferoom batch chunks v1"
_LEAF: Final = b"\x00"  # RFC 9162 section 2.1.1

_TRUTHS: Final = {Truth.NO: 0, Truth.YES: 1, Truth.NOT_FOUND: 2}
_REFUSALS: Final = {
    Reason.NO_CONSENT: 64,
    Reason.CONSENT_USED_UP: 65,
    Reason.OVER_BUDGET: 66,
    Reason.ROW_REPEATED: 67,
    Reason.WITHHELD: 68,
    Reason.PAUSED: 69,
    Reason.EXPIRED: 70,
    Reason.NOT_APPROVED: 71,
    Reason.CERTIFICATE_MISMATCH: 72,
    Reason.NO_AGREEMENT: 73,
    Reason.WRONG_PURPOSE: 74,
    Reason.OFF_GRID: 75,
    Reason.OFF_DOMAIN: 76,
}
"""Why a row may be refused. The numbers are part of the contract: never changed, never reused."""
CODES: Final[dict[Truth | Reason, int]] = {**_TRUTHS, **_REFUSALS}
SHARED: Final = 16
"""The code of a row that a share answers: the last 16 bytes of its record."""
BANDED: Final = {Band(number): SHARED + number for number in range(1, MOST_BANDS + 1)}
"""The codes of rows that the band of a score answers: 17 for the lowest, 24 for the eighth."""
REASONED: Final = {number: 2 * SHARED + number for number in range(1, MOST_BANDS + 1)}
"""The codes of rows that a band with its reasons answers: the last 8 bytes of its record."""
_REASONED: Final = {code: number for number, code in REASONED.items()}
OUTCOMES: Final[dict[int, Truth | Band | Reason]] = {
    **{code: outcome for outcome, code in CODES.items()},
    **{code: band for band, code in BANDED.items()},
}
"""What each code says; that of a share, or of a band with reasons, says nothing by itself."""
ANSWERED: Final = bytes([*_TRUTHS.values(), SHARED, *BANDED.values(), *REASONED.values()])
"""The codes of rows that were answered."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row: about whom, and with which of the batch's sets of parameters."""

    subject: str
    parameters: int = 0

    def to_bytes(self) -> bytes:
        """Write the 20 bytes."""
        return self.subject.encode("ascii") + self.parameters.to_bytes(2, "big")

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read the 20 bytes; `MALFORMED` for others."""
        if len(data) != ROW_BYTES or not data[:SUBJECT_BYTES].isascii():
            raise SafeRoomError(Reason.MALFORMED, f"a row has {ROW_BYTES} bytes")
        return cls(data[:SUBJECT_BYTES].decode(), int.from_bytes(data[SUBJECT_BYTES:], "big"))


@dataclass(frozen=True, slots=True)
class Record:
    """What became of one row at one owner.

    Attributes:
        outcome: the answer, a share of it, the band of a score, or why it was refused.
        consent: digest of the consent it was answered under; none where none was needed.
        charges: for each charged feature the cells before and after.
    """

    outcome: Told | Reason
    consent: str | None
    charges: tuple[tuple[int, int], ...]

    @property
    def answered(self) -> bool:
        """Whether the row was answered: by an answer, a share of one, or a band."""
        return not isinstance(self.outcome, Reason)

    @classmethod
    def from_bytes(cls, data: bytes, suite: Suite = Suite.INTERNATIONAL) -> Self:
        """Read a record of a batch whose request is of a suite.

        Raises:
            SafeRoomError: `MALFORMED` for another length or an unknown code.
        """
        outcome, rest = outcome_of(data), data[_CODE_AND_CONSENT:]
        if isinstance(outcome, Share):
            rest = rest[:-SHARE_BYTES]
        elif isinstance(outcome, Band) and outcome.lost is not None:
            rest = rest[:-REASONS_BYTES]
        if len(rest) % CHARGE_BYTES:
            raise SafeRoomError(Reason.MALFORMED, "not a row's record")
        consent = data[1:_CODE_AND_CONSENT]
        cells = struct.unpack(f">{len(rest) // 2}H", rest)
        pairs = zip(cells[::2], cells[1::2], strict=True)
        # What was charged has a cell before. Zeros are what was not, and the place of the share
        # or the reasons that a row does not give.
        return cls(
            outcome,
            suite.named(consent) if any(consent) else None,
            tuple(pair for pair in pairs if any(pair)),
        )


@dataclass(frozen=True, slots=True)
class When:
    """When rows were judged: the instant in milliseconds, and the last statement followed."""

    milliseconds: int
    sequence: int

    def to_bytes(self) -> bytes:
        """Write the 16 bytes."""
        return _WHEN.pack(self.milliseconds, self.sequence)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read the 16 bytes; `MALFORMED` for others."""
        if len(data) != _WHEN.size:
            raise SafeRoomError(Reason.MALFORMED, "not a chunk's time")
        return cls(*_WHEN.unpack(data))


def record_bytes(charged: int, *, shared: bool = False, reasoned: bool = False) -> int:
    """Give the length of a record with so many charged features, and a share or reasons."""
    behind = SHARE_BYTES * shared + REASONS_BYTES * reasoned
    return _CODE_AND_CONSENT + CHARGE_BYTES * charged + behind


def outcome_of(record: bytes) -> Told | Reason:
    """Read what became of a row from its record; `MALFORMED` for an unknown code."""
    if len(record) < _CODE_AND_CONSENT:
        raise SafeRoomError(Reason.MALFORMED, "not a row's record")
    if record[0] == SHARED and len(record) >= record_bytes(0, shared=True):
        return Share.from_bytes(record[-SHARE_BYTES:])
    if record[0] in _REASONED and len(record) >= record_bytes(0, reasoned=True):
        return Band(_REASONED[record[0]], int.from_bytes(record[-REASONS_BYTES:], "big"))
    if record[0] not in OUTCOMES:
        raise SafeRoomError(Reason.MALFORMED, "not a row's record")
    return OUTCOMES[record[0]]


def chunks_of(rows: int) -> int:
    """Give how many chunks so many rows make."""
    return -(-rows // CHUNK_ROWS)


def split(data: bytes, width: int) -> Iterator[tuple[bytes]]:
    """Take fixed-width pieces apart; `MALFORMED` if a piece is not whole."""
    if len(data) % width:
        raise SafeRoomError(Reason.MALFORMED, f"pieces of {width} bytes do not come out even")
    return struct.iter_unpack(f"{width}s", data)


def blinds(seed: bytes, first: int, count: int) -> bytes:
    """Give the blinds of some rows, 16 bytes each."""
    return _stream(seed, first * BLIND_BYTES // _BLOCK_BYTES, count * BLIND_BYTES)


def asked_leaf(blind: bytes, row: bytes, suite: Suite = Suite.INTERNATIONAL) -> bytes:
    """Hash one row as it is asked."""
    return suite.hash(_LEAF + blind + row)


def asked_leaves(seed: bytes, rows: bytes, suite: Suite = Suite.INTERNATIONAL) -> list[bytes]:
    """Hash all rows of a batch as they are asked."""
    hashed = suite.hash
    hidden = split(blinds(seed, 0, len(rows) // ROW_BYTES), BLIND_BYTES)
    return [
        hashed(_LEAF + blind + row)
        for (blind,), (row,) in zip(hidden, split(rows, ROW_BYTES), strict=True)
    ]


class BatchKeys:
    """What one batch's secret opens: its salts and its sealed chunks. It shows no text form.

    Args:
        secret: 32 random bytes that an enclave makes for the batch.
        request_id: the batch's.
        owner: whose enclave it is.
    """

    __slots__ = ("_aead", "_context", "_salts")

    def __init__(self, secret: bytes, request_id: str, owner: str) -> None:
        if len(secret) != SECRET_BYTES:
            raise SafeRoomError(Reason.BAD_SEAL, f"a batch's secret has {SECRET_BYTES} bytes")
        self._context: Final = request_id.encode() + b"\n" + owner.encode()
        self._salts: Final = self._derive(secret, _SALTS)
        self._aead: Final = AESGCM(self._derive(secret, _CHUNKS))

    def _derive(self, secret: bytes, what: bytes) -> bytes:
        info = what + b"\n" + self._context
        return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(secret)

    def salts(self, first: int, count: int) -> bytes:
        """Give the salts of some rows, 32 bytes each."""
        blocks = SALT_BYTES // _BLOCK_BYTES
        return _stream(self._salts, first * blocks, count * SALT_BYTES)

    def seal(self, number: int, chunk: bytes) -> bytes:
        """Seal a chunk to its place. Sealed once under its number, or again with the same bytes."""
        return self._aead.encrypt(_nonce(number), chunk, self._context)

    def open(self, number: int, sealed: bytes) -> bytes:
        """Open a chunk; `BAD_SEAL` if it is another's, or was altered."""
        try:
            return self._aead.decrypt(_nonce(number), sealed, self._context)
        except (InvalidTag, ValueError) as error:
            raise SafeRoomError(Reason.BAD_SEAL, "a chunk does not open") from error


def secret_info(request_id: str, owner: str) -> bytes:
    """Give the HPKE info under which a batch's secret is sealed to its asker."""
    return _SEAL + request_id.encode() + b"\n" + owner.encode()


@dataclass(frozen=True, slots=True)
class JudgedRows:
    """The rows of a chunk and what became of them, packed.

    Attributes:
        first: index of its first row.
        rows: packed rows.
        when: 16 bytes, the same for all.
        records: packed records.
    """

    first: int
    rows: bytes
    when: bytes
    records: bytes

    @property
    def count(self) -> int:
        """How many rows."""
        return len(self.rows) // ROW_BYTES

    def leaves(self, salts: bytes, request_id: str) -> list[bytes]:
        """Hash what became of each row; `MALFORMED` if there is not one record for each.

        The hash is that of the request's suite.

        Args:
            salts: of these rows, packed.
            request_id: the batch's.
        """
        count = self.count
        if not count or len(self.records) < count * _CODE_AND_CONSENT or len(self.records) % count:
            raise SafeRoomError(Reason.MALFORMED, "not one record for each row")
        hashed, when = suite_of(request_id).hash, self.when
        head = digest_bytes(request_id)
        indexes = struct.pack(f">{count}I", *range(self.first, self.first + count))
        pieces = zip(
            split(salts, SALT_BYTES),
            split(indexes, 4),
            split(self.rows, ROW_BYTES),
            split(self.records, len(self.records) // count),
            strict=True,
        )
        return [
            hashed(_LEAF + salt + head + index + row + when + record)
            for (salt,), (index,), (row,), (record,) in pieces
        ]


def _stream(key: bytes, block: int, length: int) -> bytes:
    counter = block.to_bytes(_BLOCK_BYTES, "big")
    return Cipher(AES256(key), CTR(counter)).encryptor().update(bytes(length))


def _nonce(number: int) -> bytes:
    return number.to_bytes(12, "big")
