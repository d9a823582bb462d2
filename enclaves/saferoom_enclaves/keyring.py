"""The keys under which an enclave seals: made by itself, kept sealed under its owner's store key.

The store key that the key agent releases seals one small row, this ring. A new store key seals the
ring anew, so a change of it rewrites no record. With every change the ring also gets a new root:
rows and snapshots from then on are sealed under it. So the former store key, with whatever copy of
the folder was made while it counted, opens nothing that was written after the change.

What rows are found by, and their tally, go by keys that stay: a row is looked up by an HMAC of whom
it is about, which nobody could make anew without knowing it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Final

from cryptography.exceptions import InvalidTag
from pydantic import Field, ValidationError

from saferoom_enclaves.aead import NONCE_BYTES, Aead, aead
from saferoom_enclaves.keys import KEY_BYTES
from saferoom_proto.encoding import b64, unb64
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements.base import Base64, Part
from saferoom_proto.suite import Suite

_RING_PURPOSE: Final = b"saferoom enclave keyring v1"


class _Root(Part):
    from_epoch: Annotated[int, Field(ge=0)]
    key: Base64


class _Ring(Part):
    roots: Annotated[tuple[_Root, ...], Field(min_length=1)]
    find: Base64
    tally: Base64


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Keyring:
    """An enclave's own keys. It has no text form.

    Attributes:
        roots: with the first epoch whose snapshot each seals, the newest last.
        find: keys the hashes that rows are found by.
        tally: keys the hashes by which rows are counted.
        suite: of all of it, and of what is sealed under these keys.
    """

    roots: tuple[tuple[int, bytes], ...]
    find: bytes
    tally: bytes
    suite: Suite

    @classmethod
    def fresh(cls, suite: Suite, randomness: Callable[[int], bytes] = os.urandom) -> Keyring:
        """Make a ring for an enclave that begins."""
        root, find, tally = (randomness(KEY_BYTES) for _ in range(3))
        return cls(((0, root),), find, tally, suite)

    def grown(self, from_epoch: int, randomness: Callable[[int], bytes] = os.urandom) -> Keyring:
        """Give the ring with a new root, for snapshots from an epoch on and for all rows."""
        roots = (*self.roots, (from_epoch, randomness(KEY_BYTES)))
        return Keyring(roots, self.find, self.tally, self.suite)

    def of_snapshot(self, epoch: int) -> bytes:
        """Give the key that the snapshot of an epoch is sealed under."""
        return next(key for first, key in reversed(self.roots) if first <= epoch)

    def sealed(self, store_key: bytes) -> bytes:
        """Seal the ring under a store key."""
        roots = tuple(_Root(from_epoch=first, key=b64(key)) for first, key in self.roots)
        ring = _Ring(roots=roots, find=b64(self.find), tally=b64(self.tally))
        nonce = os.urandom(NONCE_BYTES)
        document = ring.model_dump_json().encode()
        return nonce + _cipher(store_key, self.suite).encrypt(nonce, document, _RING_PURPOSE)

    @classmethod
    def open(cls, store_key: bytes, sealed: bytes, suite: Suite) -> Keyring:
        """Open a sealed ring.

        Raises:
            SafeRoomError: `STORE_DAMAGED` under another key, or if it was altered.
        """
        nonce, ciphertext = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
        try:
            document = _cipher(store_key, suite).decrypt(nonce, ciphertext, _RING_PURPOSE)
            ring = _Ring.model_validate_json(document)
        except (InvalidTag, ValidationError, ValueError):
            # Without the cause: a validation's words would quote a key.
            raise SafeRoomError(Reason.STORE_DAMAGED, "the keys do not open") from None
        roots = tuple((each.from_epoch, unb64(each.key)) for each in ring.roots)
        return cls(roots, unb64(ring.find), unb64(ring.tally), suite)


def _cipher(store_key: bytes, suite: Suite) -> Aead:
    return aead(suite.derive(store_key, _RING_PURPOSE), suite)
