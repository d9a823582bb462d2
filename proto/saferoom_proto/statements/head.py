"""The stream head: the room's signed word on how far an enclave's statement stream has come."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field, StringConstraints

from saferoom_proto.statements.base import Base64, Digest, Instant, Owner, Payload, Usage


class Head(Payload):
    """Sequence number and running hash of one enclave's stream, fresh for the enclave's nonce."""

    KIND: ClassVar[str] = "head"
    SIGNED_BY: ClassVar[Usage] = Usage.ROOM

    owner: Owner
    sequence: Annotated[int, Field(ge=0)]
    running: Digest
    checkpoint: Annotated[str, StringConstraints(max_length=8000)]
    """The ledger checkpoint this head stands on: a C2SP signed note."""
    nonce: Base64
    time: Instant
