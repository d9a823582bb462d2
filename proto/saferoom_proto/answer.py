"""The answer as it is sealed: always 50 bytes, so that its length tells nothing.

Byte 0 is the format, byte 1 the kind, bytes 2 to 17 the value, bytes 18 to 49 a salt. The release
statement carries a hash of the whole; the salt keeps that commitment from being guessed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.suite import Suite

ANSWER_BYTES: Final = 50
SALT_BYTES: Final = 32
_FORMAT: Final = 1
_KIND_TRUTH: Final = 1
"""Kind 2 is kept for additive shares modulo a 128-bit prime (PROTOCOLS section 6)."""
_VALUE_BYTES: Final = 16


class Truth(StrEnum):
    """The three answers of a check. "Not found" is not "no"."""

    YES = "yes"
    NO = "no"
    NOT_FOUND = "not_found"


_CODES: Final = {Truth.NO: 0, Truth.YES: 1, Truth.NOT_FOUND: 2}
_TRUTHS: Final = {code: truth for truth, code in _CODES.items()}


def truth_of(value: bool | None) -> Truth:
    """Name the outcome of a formula; none is SQL's unknown."""
    if value is None:
        return Truth.NOT_FOUND
    return Truth.YES if value else Truth.NO


@dataclass(frozen=True, slots=True)
class Answer:
    """An opened answer and the salt that opens its commitment."""

    truth: Truth
    salt: bytes

    def __post_init__(self) -> None:
        if len(self.salt) != SALT_BYTES:
            raise SafeRoomError(Reason.MALFORMED, "an answer's salt has 32 bytes")

    def to_bytes(self) -> bytes:
        """Give the 50 bytes that are sealed to the asker."""
        value = _CODES[self.truth].to_bytes(_VALUE_BYTES, "big")
        return bytes([_FORMAT, _KIND_TRUTH]) + value + self.salt

    @classmethod
    def from_bytes(cls, data: bytes) -> Answer:
        """Read the 50 bytes.

        Raises:
            SafeRoomError: `MALFORMED` for another length, format, kind or value.
        """
        if len(data) != ANSWER_BYTES or data[0] != _FORMAT or data[1] != _KIND_TRUTH:
            raise SafeRoomError(Reason.MALFORMED, "not an answer of a known format and kind")
        truth = _TRUTHS.get(int.from_bytes(data[2 : 2 + _VALUE_BYTES], "big"))
        if truth is None:
            raise SafeRoomError(Reason.MALFORMED, "not one of the three answers")
        return cls(truth, data[2 + _VALUE_BYTES :])


def commitment(answer: bytes, suite: Suite = Suite.INTERNATIONAL) -> str:
    """Commit to an answer's 50 bytes, as a release statement of a suite does."""
    return suite.digest(answer)


def combine(parts: list[Truth]) -> Truth:
    """Fold the parts of a conjunction: SQL's AND over yes, no and not found."""
    if not parts:
        raise SafeRoomError(Reason.MALFORMED, "a check has at least one part")
    if Truth.NO in parts:
        return Truth.NO
    return Truth.NOT_FOUND if Truth.NOT_FOUND in parts else Truth.YES


SEAL_INFO: Final = b"saferoom answer v1\n"
"""HPKE info is this, the request id, a line feed, and the owner: a seal fits one place only."""


def seal_info(request_id: str, owner: str) -> bytes:
    """Give the HPKE info under which an owner's answer to one request is sealed."""
    return SEAL_INFO + request_id.encode() + b"\n" + owner.encode()
