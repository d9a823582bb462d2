"""The signed requests about one subject: a question, and what they have in common."""

from __future__ import annotations

import operator
from datetime import datetime, timedelta
from typing import Annotated, ClassVar, Final

from pydantic import AfterValidator, Field, model_validator

from saferoom_proto.blind import CIPHERTEXT_BYTES
from saferoom_proto.encoding import unb64
from saferoom_proto.hpke import PUBLIC_BYTES
from saferoom_proto.statements.base import (
    Base64,
    Digest,
    Instant,
    Name,
    Nonce,
    Owner,
    Part,
    Payload,
    Purpose,
    Usage,
    Uscc,
)

LONGEST_WINDOW = timedelta(minutes=10)
"""How long one question may travel; batches are a kind of their own, with 24 hours."""


def _reply_key(value: str) -> str:
    # Whether it is a key at all shows when it is sealed to: that costs as much as sealing.
    if len(unb64(value)) != PUBLIC_BYTES:
        raise ValueError(f"an HPKE public key has {PUBLIC_BYTES} bytes")
    return value


ReplyKey = Annotated[Base64, AfterValidator(_reply_key)]
"""HPKE public key (ML-KEM-768 and X25519, 1,216 bytes) that what comes back is sealed to."""
_MOST_CHARACTERS: Final = 64


def _short(value: str | bool) -> str | bool:
    # Checked here and not by a constraint: a union names its members in what it refuses.
    if isinstance(value, str) and not 1 <= len(value) <= _MOST_CHARACTERS:
        raise ValueError(f"1 to {_MOST_CHARACTERS} characters")
    return value


ParameterValue = Annotated[str | bool, AfterValidator(_short)]


def require_window(not_before: datetime, not_after: datetime, longest: timedelta) -> None:
    """Refuse a window that is empty, or longer than this; for validators."""
    if not timedelta() < not_after - not_before <= longest:
        minutes = longest // timedelta(minutes=1)
        raise ValueError(f"not_before is before not_after, by at most {minutes} minutes")


class SubjectRequest(Payload):
    """What a member of an institution asks about one subject, by a template.

    Its request id is the digest of its envelope's signed bytes: nonces, repeats and shares go by
    it. Parameters are decimal numbers or class names as text, or booleans.
    """

    institution: Name
    template: Digest
    certificate: Digest
    """The digest of the release certificate, not of anybody's X.509 certificate."""
    subject: Uscc
    params: Annotated[dict[Owner, ParameterValue], Field(max_length=32)]
    purpose: Purpose
    nonce: Nonce
    """16 random bytes: they also hide the subject in the request id."""
    not_before: Instant
    not_after: Instant

    @model_validator(mode="after")
    def _in_order(self) -> SubjectRequest:
        require_window(self.not_before, self.not_after, LONGEST_WINDOW)
        return self


def _ciphertext(value: str) -> str:
    if len(unb64(value)) != CIPHERTEXT_BYTES:
        raise ValueError(f"a ciphertext of a blind match has {CIPHERTEXT_BYTES} bytes")
    return value


class BlindMatch(Part):
    """What makes a question the second message of a blind match (`saferoom_proto.blind`)."""

    offer: Digest
    """The request id of the first message."""
    ciphertext: Annotated[Base64, AfterValidator(_ciphertext)]


class CheckRequest(SubjectRequest):
    """A check about one subject, signed by an institution's key that the agreement names."""

    KIND: ClassVar[str] = "check-request"
    SIGNED_BY: ClassVar[Usage] = Usage.INSTITUTION

    reply_key: ReplyKey
    """Made for this request: the answer is sealed to it."""
    match: Annotated[BlindMatch | None, Field(exclude_if=operator.not_)] = None
    """Questions had no such field at first: one that matches nothing is written without."""
