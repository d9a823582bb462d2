"""What the room itself signs: stream heads, and refusals that came before any enclave."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field, StringConstraints

from saferoom_proto.reasons import Reason
from saferoom_proto.statements.base import (
    Base64,
    Digest,
    Instant,
    Name,
    Owner,
    Payload,
    Usage,
)


class Head(Payload):
    """Sequence number and running hash of one enclave's stream, fresh for the enclave's nonce."""

    KIND: ClassVar[str] = "head"
    SIGNED_BY: ClassVar[Usage] = Usage.ROOM

    owner: Owner
    sequence: Annotated[int, Field(ge=0)]
    running: Digest
    checkpoint: Annotated[str, StringConstraints(max_length=131_072)]
    """The ledger checkpoint this head stands on: a C2SP signed note."""
    nonce: Base64
    time: Instant


class Refusal(Payload):
    """The room's signed word that it passed a known caller's question to nobody, or in vain."""

    KIND: ClassVar[str] = "refusal"
    SIGNED_BY: ClassVar[Usage] = Usage.ROOM

    request: Digest
    institution: Name
    owner: Owner | None
    """The owner whose enclave refused it without a verdict; none if the room did."""
    reason: Reason
    time: Instant
