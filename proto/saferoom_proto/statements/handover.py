"""How a room's own key gives its place to the next one: both sign the same words."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from pydantic import model_validator

from saferoom_proto.statements.base import Instant, Payload, PublicKey, Usage


class KeyUse(StrEnum):
    """What a room's key signs."""

    LEDGER = "ledger"
    """Checkpoints."""
    HEADS = "heads"
    """Stream heads, the room's refusals, its certificate for enclaves, its backups."""


class KeyHandover(Payload):
    """A room's word that one of its keys follows another. Both of them sign it.

    From the entry on that holds it, both sign all that the room says, until the former ends.
    """

    KIND: ClassVar[str] = "key-handover"
    SIGNED_BY: ClassVar[Usage] = Usage.ROOM

    use: KeyUse
    former: PublicKey
    following: PublicKey
    time: Instant

    @model_validator(mode="after")
    def _two_keys(self) -> KeyHandover:
        if self.former == self.following:
            raise ValueError("a key does not follow itself")
        return self
