"""The answer as it is sealed: always 50 bytes, so that its length tells nothing.

Byte 0 is the format, byte 1 the kind, bytes 2 to 17 the value, bytes 18 to 49 a salt. The release
statement carries a hash of the whole; the salt keeps that commitment from being guessed. Kind 1 is
an owner's own answer, kind 2 its share of a private conjunction (`saferoom_proto.shares`), kind 3
the band of a score: 0 is "not found", and each other value the number of a band. Kind 4 is no
answer but the first message of a blind match, and longer (`saferoom_proto.blind`). Kind 5 is a band
with its reasons: the set of features in the first 8 bytes of the value, bit 0 for the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.shares import SHARE_BYTES, Share, all_hold
from saferoom_proto.suite import Suite

ANSWER_BYTES: Final = 50
SALT_BYTES: Final = 32
_FORMAT: Final = 1
_KIND_TRUTH: Final = 1
_KIND_SHARE: Final = 2
_KIND_BAND: Final = 3
_KIND_REASONED: Final = 5
REASONS_BYTES: Final = 8
"""A bit for each of a score's features, of which there are 64 at most."""
_VALUE_BYTES: Final = SHARE_BYTES
MOST_BANDS: Final = 8
"""Of a score: as many as a grid of seven thresholds has cells (DESIGN section 8)."""


class Truth(StrEnum):
    """The three answers of a check. "Not found" is not "no"."""

    YES = "yes"
    NO = "no"
    NOT_FOUND = "not_found"


_CODES: Final = {Truth.NO: 0, Truth.YES: 1, Truth.NOT_FOUND: 2}
_TRUTHS: Final = {code: truth for truth, code in _CODES.items()}


@dataclass(frozen=True, slots=True, order=True)
class Band:
    """The band of a score, and the reasons where the score tells them.

    Attributes:
        number: from 1 for the lowest on.
        lost: the set of features that raise the odds of the event the most, a bit for each in the
            score's order; none where a score tells no reasons.
    """

    number: int
    lost: int | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.number <= MOST_BANDS:
            raise SafeRoomError(Reason.MALFORMED, f"a score has bands 1 to {MOST_BANDS} at most")
        if self.lost is not None and not 0 <= self.lost < 1 << 8 * REASONS_BYTES:
            raise SafeRoomError(Reason.MALFORMED, "reasons of features that no score has")

    def __str__(self) -> str:
        return f"band {self.number}"


Told = Truth | Share | Band
"""What an answer tells. Of a score it is a band, or "not found"."""


def truth_of(value: bool | None) -> Truth:
    """Name the outcome of a formula; none is SQL's unknown."""
    if value is None:
        return Truth.NOT_FOUND
    return Truth.YES if value else Truth.NO


@dataclass(frozen=True, slots=True)
class Answer:
    """An opened answer and the salt that opens its commitment."""

    value: Told
    salt: bytes
    scored: bool = False
    """Whether it answers a score."""
    reasoned: bool = False
    """Whether it answers one that tells reasons."""

    def __post_init__(self) -> None:
        lost = self.value.lost if isinstance(self.value, Band) else None
        if isinstance(self.value, Band) and self.reasoned != (lost is not None):
            raise SafeRoomError(Reason.MALFORMED, "reasons where there are none, or the reverse")
        if self.scored != isinstance(self.value, Band) and self.value is not Truth.NOT_FOUND:
            raise SafeRoomError(Reason.MALFORMED, "a score is a band, and a check is none")
        if len(self.salt) != SALT_BYTES:
            raise SafeRoomError(Reason.MALFORMED, "an answer's salt has 32 bytes")

    @property
    def truth(self) -> Truth:
        """The owner's own answer to a check; `MALFORMED` for a share or a band, which is none."""
        if not isinstance(self.value, Truth):
            raise SafeRoomError(Reason.MALFORMED, "no answer of its own to a check")
        return self.value

    def to_bytes(self) -> bytes:
        """Give the 50 bytes that are sealed to the asker."""
        if isinstance(self.value, Share):
            return bytes([_FORMAT, _KIND_SHARE]) + self.value.to_bytes() + self.salt
        if self.scored:
            kind = _KIND_REASONED if self.reasoned else _KIND_BAND
            band = self.value if isinstance(self.value, Band) else None
            code = 0 if band is None else band.number | (band.lost or 0) << 8 * REASONS_BYTES
        else:
            kind, code = _KIND_TRUTH, _CODES[self.truth]
        return bytes([_FORMAT, kind]) + code.to_bytes(_VALUE_BYTES, "big") + self.salt

    @classmethod
    def from_bytes(cls, data: bytes) -> Answer:
        """Read the 50 bytes.

        Raises:
            SafeRoomError: `MALFORMED` for another length, format, kind or value.
        """
        if len(data) != ANSWER_BYTES or data[0] != _FORMAT:
            raise SafeRoomError(Reason.MALFORMED, "not an answer of a known format")
        value, salt = data[2 : 2 + _VALUE_BYTES], data[2 + _VALUE_BYTES :]
        if data[1] == _KIND_SHARE:
            return cls(Share.from_bytes(value), salt)
        code = int.from_bytes(value, "big")
        if data[1] == _KIND_BAND:
            return cls(Band(code) if code else Truth.NOT_FOUND, salt, scored=True)
        if data[1] == _KIND_REASONED:
            lost, number = divmod(code, 1 << 8 * REASONS_BYTES)
            if lost and not number:
                raise SafeRoomError(Reason.MALFORMED, "reasons of nobody's band")
            told = Band(number, lost) if number else Truth.NOT_FOUND
            return cls(told, salt, scored=True, reasoned=True)
        truth = _TRUTHS.get(code)
        if data[1] != _KIND_TRUTH or truth is None:
            raise SafeRoomError(Reason.MALFORMED, "no known answer, nor a share or a band")
        return cls(truth, salt)


def commitment(answer: bytes, suite: Suite = Suite.INTERNATIONAL) -> str:
    """Commit to an answer's 50 bytes, as a release statement of a suite does."""
    return suite.digest(answer)


def combine(parts: Sequence[Truth | Share]) -> Truth:
    """Fold the parts of a conjunction: SQL's AND over yes, no and not found; shares by adding.

    Raises:
        SafeRoomError: `MALFORMED` for no part, or for shares beside answers.
    """
    truths = [part for part in parts if isinstance(part, Truth)]
    shares = [part for part in parts if isinstance(part, Share)]
    if not parts:
        raise SafeRoomError(Reason.MALFORMED, "a check has at least one part")
    if truths and shares:
        raise SafeRoomError(Reason.MALFORMED, "shares beside answers")
    if shares:
        return Truth.YES if all_hold(shares) else Truth.NO
    if Truth.NO in truths:
        return Truth.NO
    return Truth.NOT_FOUND if Truth.NOT_FOUND in truths else Truth.YES


def fold(parts: Sequence[Told]) -> Truth | Band:
    """Fold what the parts of an answer tell; a score has one part, and is what it tells."""
    if len(parts) == 1 and isinstance(parts[0], Band):
        return parts[0]
    return combine([checked(part) for part in parts])


def checked(told: Told) -> Truth | Share:
    """Give what answered a check, or refuse the band of a score with `MALFORMED`."""
    if isinstance(told, Band):
        raise SafeRoomError(Reason.MALFORMED, "a band answers no check")
    return told


SEAL_INFO: Final = b"saferoom answer v1\n"
"""HPKE info is this, the request id, a line feed, and the owner: a seal fits one place only."""


def seal_info(request_id: str, owner: str) -> bytes:
    """Give the HPKE info under which an owner's answer to one request is sealed."""
    return SEAL_INFO + request_id.encode() + b"\n" + owner.encode()
