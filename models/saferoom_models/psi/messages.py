"""The messages of an alignment: their one encoding, and strict reading.

A message is a head and items of one length. The head (big-endian): magic, version, kind, the job,
and how many items follow. Points ascend where their sender may choose the order: that shuffles
them, for whoever lacks the sender's secret, and none can come twice.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from enum import IntEnum
from itertools import pairwise
from typing import Final

from saferoom_models.psi.points import POINT_BYTES, check_points, split
from saferoom_models.psi.terms import AlignmentTerms
from saferoom_models.refusals import JointTrainingError, Refusal

VERSION: Final = 1
_HEAD: Final = struct.Struct(">4sHH32sI")
_MAGIC: Final = b"SRPS"
_PLACE: Final = struct.Struct(">I")


class AlignmentKind(IntEnum):
    """What a message is; odd ones are the room's."""

    BLINDED = 0
    CANDIDATES = 1
    DOUBLED = 2
    PLACES = 3


def write(terms: AlignmentTerms, kind: AlignmentKind, items: Sequence[bytes]) -> bytes:
    """Write a message."""
    head = _HEAD.pack(_MAGIC, VERSION, kind, bytes.fromhex(terms.job), len(items))
    return head + b"".join(items)


def kind_of(message: bytes) -> AlignmentKind:
    """Say which kind an own message is."""
    return AlignmentKind(_HEAD.unpack_from(message)[2])


def commitment(blinded: bytes) -> str:
    """Give the digest by which the label side commits to its set, before it sees any point.

    It says nothing of the set to whoever lacks the secret; with the secret, the set can be shown
    later to be the one.
    """
    return hashlib.sha256(blinded).hexdigest()


def read_points(data: bytes, terms: AlignmentTerms, kind: AlignmentKind) -> list[bytes]:
    """Read a message of points: as many as the terms allow, on the curve, all different.

    Raises:
        JointTrainingError: `MALFORMED`, `OTHER_VERSION`, `OTHER_TERMS`, `OUT_OF_ORDER`,
            `WRONG_SIZE`, `BAD_POINT`, `REPEATED_POINT`.
    """
    points = split(_read(data, terms, kind, POINT_BYTES))
    if kind is AlignmentKind.DOUBLED:
        if len(set(points)) != len(points):
            raise JointTrainingError(Refusal.REPEATED_POINT, "a point that comes twice")
    elif not all(one < other for one, other in pairwise(points)):
        raise JointTrainingError(Refusal.REPEATED_POINT, "points twice, or not in ascending order")
    check_points(points)
    return points


def write_places(terms: AlignmentTerms, places: Sequence[int]) -> bytes:
    """Write places in the label side's blinded points, in the order of the rows to be."""
    return write(terms, AlignmentKind.PLACES, [_PLACE.pack(place) for place in places])


def read_places(data: bytes, terms: AlignmentTerms) -> list[int]:
    """Read places: each one of the label side's points, none twice.

    Raises:
        JointTrainingError: as `read_points`, and `OUT_OF_RANGE`.
    """
    body = _read(data, terms, AlignmentKind.PLACES, _PLACE.size)
    places = [place for (place,) in _PLACE.iter_unpack(body)]
    if len(set(places)) != len(places) or max(places) >= terms.label_items:
        raise JointTrainingError(Refusal.OUT_OF_RANGE, "a place twice, or of no point")
    return places


def _read(data: bytes, terms: AlignmentTerms, due: AlignmentKind, item_bytes: int) -> bytes:
    if len(data) < _HEAD.size:
        raise JointTrainingError(Refusal.MALFORMED, "a message shorter than its head")
    magic, version, kind, job, count = _HEAD.unpack_from(data)
    if magic != _MAGIC:
        raise JointTrainingError(Refusal.MALFORMED, "not a message of an alignment")
    if version != VERSION:
        raise JointTrainingError(Refusal.OTHER_VERSION, f"version {version}; this is {VERSION}")
    if job.hex() != terms.job:
        raise JointTrainingError(Refusal.OTHER_TERMS, "the other side aligns for another job")
    if kind != due:
        raise JointTrainingError(Refusal.OUT_OF_ORDER, f"kind {kind}; {due.name} is due")
    least, most = _counts(terms, due)
    if not least <= count <= most:
        raise JointTrainingError(
            Refusal.WRONG_SIZE, f"{due.name} of {count} items; {least} to {most} are right"
        )
    if len(data) != _HEAD.size + count * item_bytes:
        raise JointTrainingError(
            Refusal.MALFORMED, f"{due.name} is cut off, or longer than it says"
        )
    return data[_HEAD.size :]


def _counts(terms: AlignmentTerms, kind: AlignmentKind) -> tuple[int, int]:
    match kind:
        case AlignmentKind.BLINDED:
            return terms.label_items, terms.label_items
        case AlignmentKind.PLACES:
            return 1, min(terms.label_items, terms.room_most)
        case _:
            return 1, terms.room_most


def largest_message(terms: AlignmentTerms) -> int:
    """Say how long a message can be under these terms: a longer one need not be read."""
    return _HEAD.size + POINT_BYTES * max(terms.label_items, terms.room_most)
