"""Where a key agent's keys lie: each has a slot, in files of its folder or on a token.

store         seals the enclave's own keys
store-before  the store key before it, until the enclave has gone over
agent         signs endorsements; the charter names its public half
pairing       X25519; the charter names its public half
agent-next, pairing-next    those that the next charter is to name
"""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Final, Protocol

from saferoom_client.files import bad_file, read_private, write_file
from saferoom_proto.keys import SigningKey
from saferoom_proto.suite import Suite

KEY_BYTES: Final = 32


class Slot(StrEnum):
    """A key of the agent's."""

    STORE = "store"
    STORE_BEFORE = "store-before"
    AGENT = "agent"
    AGENT_NEXT = "agent-next"
    PAIRING = "pairing"
    PAIRING_NEXT = "pairing-next"


SIGNING: Final = frozenset({Slot.AGENT, Slot.AGENT_NEXT})


class KeySource(Protocol):
    """Makes and keeps keys by slot. Every change is durable when its method returns."""

    def has(self, slot: Slot) -> bool:
        """Tell whether there is a key in a slot."""
        ...

    def secret(self, slot: Slot) -> bytes:
        """Give the 32 bytes of a key that is released to the enclave."""
        ...

    def signing(self, slot: Slot) -> SigningKey:
        """Give a key that signs."""
        ...

    def make(self, slot: Slot) -> None:
        """Make a fresh key in a slot; what stood there is gone."""
        ...

    def copy(self, source: Slot, target: Slot) -> None:
        """Have a slot hold another's key too."""
        ...

    def move(self, source: Slot, target: Slot) -> None:
        """Have a slot hold another's key, and the other none."""
        ...

    def drop(self, slot: Slot) -> None:
        """Forget a slot's key."""
        ...


class FileKeys:
    """Keys in files of the agent's folder, readable by their owner only.

    Args:
        folder: the agent's.
        suite: of the keys that sign.
    """

    def __init__(self, folder: Path, suite: Suite) -> None:
        self._folder: Final = folder
        self._suite: Final = suite

    def path(self, slot: Slot) -> Path:
        """Name a slot's file."""
        return self._folder / f"{slot}.key"

    def has(self, slot: Slot) -> bool:
        """Tell whether there is a key in a slot."""
        return self.path(slot).exists()

    def secret(self, slot: Slot) -> bytes:
        """Read a key that is released.

        Raises:
            SafeRoomError: `BAD_CONFIG` naming the file.
        """
        key = read_private(self.path(slot))
        if len(key) != KEY_BYTES:
            raise bad_file(self.path(slot), f"a key has {KEY_BYTES} bytes")
        return key

    def signing(self, slot: Slot) -> SigningKey:
        """Read a key that signs; `BAD_CONFIG` naming the file."""
        return SigningKey.from_pem(read_private(self.path(slot)))

    def make(self, slot: Slot) -> None:
        """Make a key from the operating system's randomness."""
        signs = slot in SIGNING
        made = SigningKey.generate(self._suite).to_pem() if signs else os.urandom(KEY_BYTES)
        write_file(self.path(slot), made)

    def copy(self, source: Slot, target: Slot) -> None:
        """Copy a file."""
        write_file(self.path(target), read_private(self.path(source)))

    def move(self, source: Slot, target: Slot) -> None:
        """Move a file; a crash leaves it in both places or in one."""
        self.copy(source, target)
        self.drop(source)

    def drop(self, slot: Slot) -> None:
        """Remove a file."""
        self.path(slot).unlink(missing_ok=True)
