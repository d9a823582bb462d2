"""The messages of a federated training: their one encoding, and strict reading.

A message is a head, a body and, from a bank, a signature by the key that the terms name. The head
(big-endian): magic, version, kind, round, sender's place, the course's digest, the body's length.
The course's digest covers the terms and every sum so far, with the banks behind it: whoever was
told another sum, or other terms, is refused by everyone else.

Sets of banks are written as 64 bits, bit i for the i-th member.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from saferoom_models.horizontal.masks import KEY_BYTES, TAG_BYTES
from saferoom_models.horizontal.shamir import SHARE_BYTES
from saferoom_models.horizontal.terms import Terms
from saferoom_models.refusals import JointTrainingError, Refusal

VERSION: Final = 1
_HEAD: Final = struct.Struct(">4sHHIH32sI")
_MAGIC: Final = b"SRFT"
_SIGNATURE_BYTES: Final = 64
AGGREGATOR: Final = 0xFFFF
SET_BYTES: Final = 8
_WORD: Final = 8
KEYS_BYTES: Final = 3 * KEY_BYTES
SEALED_BYTES: Final = 2 * SHARE_BYTES + TAG_BYTES
MARKS_BYTES: Final = 2 * KEY_BYTES
"""Commitments to both shares of one holder."""
CONFIRMED_BYTES: Final = 2 * SET_BYTES + KEY_BYTES


class Kind(IntEnum):
    """What a message is; odd ones are the aggregator's, each the answer to the kind before it."""

    KEYS = 0
    PEERS = 1
    SHARES = 2
    DEALT = 3
    MASKED = 4
    SURVIVORS = 5
    CONFIRMED = 6
    CONFIRMATIONS = 7
    OPENED = 8
    SUM = 9


_OF_BANKS: Final = frozenset({Kind.KEYS, Kind.SHARES, Kind.MASKED, Kind.CONFIRMED, Kind.OPENED})


@dataclass(frozen=True, slots=True)
class Due:
    """Which message is due: of this round of this course, and nothing else is read.

    Attributes:
        terms: of the training.
        round: 0 for the first.
        course: the digest of all that was summed before.
    """

    terms: Terms
    round: int
    course: bytes

    @property
    def context(self) -> bytes:
        """What keys and masks of this round are bound to."""
        return struct.pack(">I", self.round) + self.course


@dataclass(frozen=True, slots=True)
class Message:
    """A message that was read.

    Attributes:
        kind, sender: of its head.
        body: without head and signature.
        data: as it came.
    """

    kind: Kind
    sender: int
    body: bytes
    data: bytes


def members_of(banks: int) -> Iterator[int]:
    """Give the places in a set of banks, in ascending order."""
    return (place for place in range(banks.bit_length()) if banks >> place & 1)


def set_of(places: Iterable[int]) -> int:
    """Make a set of banks."""
    banks = 0
    for place in places:
        banks |= 1 << place
    return banks


def write_set(banks: int) -> bytes:
    """Write a set of banks."""
    return banks.to_bytes(SET_BYTES)


def body_length(terms: Terms, kind: Kind, round_number: int, banks: int) -> int:
    """Say how long a bank's body is.

    Args:
        terms: of the training.
        kind: of the message.
        round_number: of it.
        banks: how many the step before left.
    """
    return {
        Kind.KEYS: KEYS_BYTES,
        Kind.SHARES: SET_BYTES + (banks - 1) * SEALED_BYTES + banks * MARKS_BYTES,
        Kind.MASKED: _WORD * terms.size(round_number),
        Kind.CONFIRMED: CONFIRMED_BYTES,
        Kind.OPENED: banks * SHARE_BYTES,
    }[kind]


def whole_length(body: int) -> int:
    """Say how long a bank's message with such a body is."""
    return _HEAD.size + body + _SIGNATURE_BYTES


def largest_message(terms: Terms) -> int:
    """Say how long a message can be under these terms: a longer one need not be read."""
    banks = len(terms.members)
    masked = whole_length(_WORD * max(terms.newton_size, terms.moments_size))
    dealt = banks * (SEALED_BYTES + MARKS_BYTES)
    return _HEAD.size + _SIGNATURE_BYTES + 2 * SET_BYTES + dealt + banks * (masked + KEY_BYTES)


def write(due: Due, kind: Kind, sender: int, body: bytes, key: Ed25519PrivateKey | None) -> bytes:
    """Write a message; a bank's is signed."""
    head = _HEAD.pack(_MAGIC, VERSION, kind, due.round, sender, due.course, len(body))
    return head + body + (key.sign(head + body) if key else b"")


def read_place(data: bytes) -> tuple[int, Kind]:
    """Say for which step a bank's message is: its round and kind, as its head says.

    Raises:
        JointTrainingError: `MALFORMED`.
    """
    if len(data) < _HEAD.size:
        raise JointTrainingError(Refusal.MALFORMED, "a message shorter than its head")
    magic, _, kind, number, _, _, _ = _HEAD.unpack_from(data)
    if magic != _MAGIC or kind not in _OF_BANKS:
        raise JointTrainingError(Refusal.MALFORMED, "not a bank's message of federated training")
    return number, Kind(kind)


def read(data: bytes, due: Due, kind: Kind) -> Message:
    """Read the message that is due, and nothing else; a bank's only if its signature holds.

    Raises:
        JointTrainingError: `MALFORMED`, `OTHER_VERSION`, `REPLAYED`, `OUT_OF_ORDER`, `OTHER_TERMS`,
            `WRONG_SIZE`, `NOT_SIGNED`.
    """
    if len(data) > largest_message(due.terms):
        raise JointTrainingError(Refusal.WRONG_SIZE, f"a message of {len(data)} bytes is too long")
    if len(data) < _HEAD.size:
        raise JointTrainingError(Refusal.MALFORMED, "a message shorter than its head")
    magic, version, found, number, sender, course, length = _HEAD.unpack_from(data)
    if magic != _MAGIC:
        raise JointTrainingError(Refusal.MALFORMED, "not a message of federated training")
    if version != VERSION:
        raise JointTrainingError(Refusal.OTHER_VERSION, f"version {version}; this is {VERSION}")
    _check_due(due, kind, number, found, course)
    signed = _SIGNATURE_BYTES if kind % 2 == 0 else 0
    if len(data) != _HEAD.size + length + signed:
        raise JointTrainingError(
            Refusal.WRONG_SIZE, f"{len(data)} bytes; the head says {length} and the rest"
        )
    if signed:
        _check_signature(data, due, sender)
    elif sender != AGGREGATOR:
        raise JointTrainingError(Refusal.MALFORMED, "an answer that names a bank as its sender")
    return Message(kind, sender, data[_HEAD.size : _HEAD.size + length], data)


def _check_due(due: Due, kind: Kind, number: int, found: int, course: bytes) -> None:
    if number < due.round or (number == due.round and found < kind):
        raise JointTrainingError(
            Refusal.REPLAYED, f"kind {found} of round {number} is over; {kind.name} is due"
        )
    if number > due.round or found != kind:
        raise JointTrainingError(
            Refusal.OUT_OF_ORDER,
            f"kind {found} of round {number}; {kind.name} of round {due.round} is due",
        )
    if course != due.course:
        raise JointTrainingError(
            Refusal.OTHER_TERMS, "the sender holds other terms, or was told another sum"
        )


def _check_signature(data: bytes, due: Due, sender: int) -> None:
    if sender >= len(due.terms.members):
        raise JointTrainingError(Refusal.NOT_SIGNED, f"place {sender} is no member's")
    member = due.terms.members[sender]
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(member.key)).verify(
            data[-_SIGNATURE_BYTES:], data[:-_SIGNATURE_BYTES]
        )
    except (InvalidSignature, ValueError) as error:
        raise JointTrainingError(
            Refusal.NOT_SIGNED, f"a message that {member.name}'s key did not sign"
        ) from error


class Pieces:
    """A body, taken apart from its front; nothing may be left."""

    def __init__(self, body: bytes) -> None:
        self._body, self._at = body, 0

    def take(self, length: int) -> bytes:
        """Give the next bytes.

        Raises:
            JointTrainingError: `WRONG_SHAPE`.
        """
        if self._at + length > len(self._body):
            raise JointTrainingError(Refusal.WRONG_SHAPE, "a body that is cut off")
        self._at += length
        return self._body[self._at - length : self._at]

    def banks(self, terms: Terms) -> int:
        """Give a set of banks, all of them members.

        Raises:
            JointTrainingError: `WRONG_SHAPE`, `OUT_OF_RANGE`.
        """
        banks = int.from_bytes(self.take(SET_BYTES))
        if banks >> len(terms.members):
            raise JointTrainingError(Refusal.OUT_OF_RANGE, "a set with banks that are no members")
        return banks

    def end(self) -> None:
        """Check that nothing is left.

        Raises:
            JointTrainingError: `WRONG_SHAPE`.
        """
        if self._at != len(self._body):
            raise JointTrainingError(Refusal.WRONG_SHAPE, "bytes after the last part of a body")


def read_from_each(
    pieces: Pieces, due: Due, kind: Kind, banks: int, body: int
) -> dict[int, Message]:
    """Read one message of a kind from each bank of a set, as an answer repeats them.

    Raises:
        JointTrainingError: as `read`; `NOT_SIGNED` when one is another bank's.
    """
    found: dict[int, Message] = {}
    for place in members_of(banks):
        message = read(pieces.take(whole_length(body)), due, kind)
        if message.sender != place:
            raise JointTrainingError(
                Refusal.NOT_SIGNED, f"a message of place {message.sender} under place {place}"
            )
        found[place] = message
    return found
