"""The messages of a joint training: their one encoding, and strict reading.

A message is a head and parts. The head (big-endian): magic, version, kind, the exchange's number,
the terms' digest, and how many parts follow. Each part has its length before it. How many parts of
which size a message has follows from its kind and the terms, so all of it is checked before any
part is used.

Exchange 0 opens; exchange 3t + 1, 3t + 2 and 3t + 3 are round t's. The label side sends, the room
answers. Where the model is measured, an exchange after the last that rounds can have does it.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np

from saferoom_models.arrays import Floats, Integers
from saferoom_models.refusals import JointTrainingError, Refusal
from saferoom_models.vertical import foreign
from saferoom_models.vertical.scheme import MODULUS
from saferoom_models.vertical.sigmoid import mark_count
from saferoom_models.vertical.terms import MEASURED_CELLS, MOST_ROUNDS, SCALARS, Terms

VERSION: Final = 1
_HEAD: Final = struct.Struct(">4sHHI32sI")
_MAGIC: Final = b"SRJT"
_LENGTH: Final = struct.Struct(">I")
_WORD: Final = 8
MEASURING: Final = 3 * MOST_ROUNDS + 1
"""The number of the exchange that measures, however many rounds there were."""
LARGEST_SCALAR: Final = 1e15
"""Far above any dot product of gradients over 300,000 rows; keeps sums finite."""


class MessageKind(IntEnum):
    """What a message is; odd ones are the room's."""

    OPENING = 0
    READY = 1
    LOGITS = 2
    SHARES = 3
    RESIDUALS = 4
    PRODUCTS = 5
    MASKED = 6
    SCALARS = 7
    MEASURE = 8
    MEASURED = 9


@dataclass(frozen=True, slots=True)
class Part:
    """One part's name and bounds, in bytes."""

    name: str
    least: int
    most: int


def _sealed(kind: foreign.Kind, count: int) -> list[Part]:
    return [Part(kind.name, kind.least_bytes, kind.most_bytes)] * count


def _words(name: str, count: int) -> Part:
    return Part(name, _WORD * count, _WORD * count)


def layout(kind: MessageKind, terms: Terms) -> list[Part]:
    """Name the parts of a message under these terms, in order."""
    label, room = terms.label_packing, terms.room_packing
    columns = _sealed(foreign.SEALED, label.groups * label.chunks)
    scalars = _words("dot products", SCALARS)
    return {
        MessageKind.OPENING: [
            _words("log-odds and marks", 1 + mark_count(terms.rank)),
            *_sealed(foreign.PUBLIC_KEY, 1),
            *columns,
        ],
        MessageKind.READY: [],
        MessageKind.LOGITS: _sealed(foreign.SEALED, terms.rank * terms.slot_chunks),
        MessageKind.SHARES: _sealed(foreign.REPLY, terms.slot_chunks),
        MessageKind.RESIDUALS: _sealed(foreign.SEALED, room.chunks),
        MessageKind.PRODUCTS: _sealed(foreign.REPLY, room.groups + label.groups),
        MessageKind.MASKED: [_words("masked numbers", terms.room_columns), scalars],
        MessageKind.SCALARS: [scalars],
        MessageKind.MEASURE: [
            _words("log-odds", 1),
            *_sealed(foreign.PUBLIC_KEY, 1),
            *_sealed(foreign.SEALED, MEASURED_CELLS * terms.measured_packing.chunks),
        ],
        MessageKind.MEASURED: _sealed(foreign.REPLY, MEASURED_CELLS),
    }[kind]


def largest_message(terms: Terms) -> int:
    """Say how long a message can be under these terms: a longer one need not be read."""
    return max(
        _HEAD.size + sum(_LENGTH.size + part.most for part in layout(kind, terms))
        for kind in MessageKind
    )


def kind_of(exchange: int, *, of_room: bool) -> MessageKind:
    """Say which kind an exchange has in each direction."""
    if exchange == MEASURING:
        return MessageKind.MEASURED if of_room else MessageKind.MEASURE
    step = 0 if exchange == 0 else 1 + (exchange - 1) % 3
    return MessageKind(2 * step + of_room)


def write(terms: Terms, exchange: int, kind: MessageKind, parts: Sequence[bytes]) -> bytes:
    """Write a message."""
    head = _HEAD.pack(_MAGIC, VERSION, kind, exchange, terms.digest, len(parts))
    pieces = [head]
    for part in parts:
        pieces += [_LENGTH.pack(len(part)), part]
    return b"".join(pieces)


def read(data: bytes, terms: Terms, exchange: int, *, of_room: bool) -> list[bytes]:
    """Read the message that is due, and nothing else.

    Args:
        data: as it came.
        terms: of the job.
        exchange: the number that is due.
        of_room: whether the room is its sender.

    Returns:
        Its parts, of the number and lengths that `layout` says.

    Raises:
        JointTrainingError: `MALFORMED`, `OTHER_VERSION`, `OTHER_TERMS`, `REPLAYED`, `OUT_OF_ORDER`,
            `WRONG_SHAPE`, `WRONG_SIZE`.
    """
    if len(data) > largest_message(terms):
        raise JointTrainingError(
            Refusal.WRONG_SIZE,
            f"a message of {len(data)} bytes; the largest has {largest_message(terms)}",
        )
    if len(data) < _HEAD.size:
        raise JointTrainingError(Refusal.MALFORMED, "a message shorter than its head")
    magic, version, kind, number, digest, count = _HEAD.unpack_from(data)
    if magic != _MAGIC:
        raise JointTrainingError(Refusal.MALFORMED, "not a message of joint training")
    if version != VERSION:
        raise JointTrainingError(Refusal.OTHER_VERSION, f"version {version}; this is {VERSION}")
    if digest != terms.digest:
        raise JointTrainingError(
            Refusal.OTHER_TERMS, "the other side holds another job, other terms or parameters"
        )
    if number < exchange:
        raise JointTrainingError(Refusal.REPLAYED, f"exchange {number} is over; {exchange} is due")
    due = kind_of(exchange, of_room=of_room)
    if number > exchange or kind != due:
        raise JointTrainingError(
            Refusal.OUT_OF_ORDER,
            f"kind {kind} of exchange {number}; {due.name} of exchange {exchange} is due",
        )
    return _read_parts(data, layout(due, terms), count)


def _read_parts(data: bytes, expected: list[Part], count: int) -> list[bytes]:
    if count != len(expected):
        raise JointTrainingError(Refusal.WRONG_SHAPE, f"{count} parts; {len(expected)} are due")
    parts: list[bytes] = []
    at = _HEAD.size
    for place, part in enumerate(expected):
        if at + _LENGTH.size > len(data):
            raise JointTrainingError(Refusal.MALFORMED, f"cut off before part {place}")
        (length,) = _LENGTH.unpack_from(data, at)
        at += _LENGTH.size
        if not part.least <= length <= part.most:
            raise JointTrainingError(
                Refusal.WRONG_SIZE,
                f"part {place}, {part.name}: {length} bytes; {part.least} to {part.most} are right",
            )
        if at + length > len(data):
            raise JointTrainingError(Refusal.MALFORMED, f"cut off within part {place}")
        parts.append(data[at : at + length])
        at += length
    if at != len(data):
        raise JointTrainingError(Refusal.MALFORMED, f"{len(data) - at} bytes after the last part")
    return parts


def write_scalars(values: Floats) -> bytes:
    """Write real numbers."""
    return values.astype(">f8").tobytes()


def read_scalars(part: bytes) -> Floats:
    """Read real numbers: finite ones, of a sensible size.

    Raises:
        JointTrainingError: `OUT_OF_RANGE`.
    """
    values = np.frombuffer(part, ">f8").astype(np.float64)
    if not bool(np.all(np.abs(values) <= LARGEST_SCALAR)):  # false for what is no number
        raise JointTrainingError(Refusal.OUT_OF_RANGE, "a number that no training comes to")
    return values


def write_residues(values: list[int]) -> bytes:
    """Write numbers modulo T."""
    return np.array(values, dtype=">u8").tobytes()


def read_residues(part: bytes) -> Integers:
    """Read numbers modulo T.

    Raises:
        JointTrainingError: `OUT_OF_RANGE`.
    """
    values = np.frombuffer(part, ">u8")
    if bool(np.any(values >= MODULUS)):
        raise JointTrainingError(Refusal.OUT_OF_RANGE, "a number not below the plaintext modulus")
    return values.astype(np.int64)


def fingerprint(message: bytes) -> bytes:
    """Tell a message that comes again from another."""
    return hashlib.sha256(message).digest()
