"""How a key gives its place to the next one, a room's or an owner's root: both sign the words."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from pydantic import model_validator

from saferoom_proto.keys import VerifyKey
from saferoom_proto.statements.base import (
    Digest,
    Instant,
    Owner,
    Payload,
    PublicKey,
    Usage,
    Version,
)


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


class RootHandover(Payload):
    """An owner's word that another root signs its charters from now on. Both of them sign it.

    The charter that it names stays in force until the following root signs the next one.
    """

    KIND: ClassVar[str] = "root-handover"
    SIGNED_BY: ClassVar[Usage] = Usage.ROOT

    owner: Owner
    former: PublicKey
    following: PublicKey
    version: Version
    """Of the first charter that the following root signs."""
    previous: Digest
    """The last charter of the former root, which is of the version before it."""
    time: Instant

    @model_validator(mode="after")
    def _two_roots(self) -> RootHandover:
        if self.former == self.following:
            raise ValueError("a root does not follow itself")
        keys = (VerifyKey.from_public(self.former), VerifyKey.from_public(self.following))
        if keys[0].suite is not keys[1].suite:
            raise ValueError("both roots are of one crypto suite")
        if self.version == 1:
            raise ValueError("a root hands over after its first charter")
        return self
