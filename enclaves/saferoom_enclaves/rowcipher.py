"""Sealed rows: what the enclave's own database shows to whoever reads its file.

Contents are encrypted (`aead.py`) under a key derived from the newest root of the enclave's
keyring, bound to their table and row; what rows are found by is an HMAC. So the file tells how many
rows there are, and not about whom.

Source: NIST SP 800-38D; random 96-bit nonces are good for 2^32 rows under one key (section 8.3).
"""

from __future__ import annotations

import os
from typing import Final

from cryptography.exceptions import InvalidTag

from saferoom_enclaves.aead import NONCE_BYTES, aead
from saferoom_enclaves.keyring import Keyring
from saferoom_enclaves.rowform import pack
from saferoom_proto.reasons import Reason, SafeRoomError

_NONCES: Final = 256
"""Nonces drawn at a time."""
_SEAL_PURPOSE: Final = b"saferoom enclave state rows v1"
_FIND_PURPOSE: Final = b"saferoom enclave state lookups v1"
_COUNT_PURPOSE: Final = b"saferoom enclave state tally v1"


class RowCipher:
    """Seals rows and hides what they are found by. Its text form shows no key."""

    __slots__ = ("_aeads", "_count", "_find", "_nonces", "_suite")

    def __init__(self, ring: Keyring) -> None:
        # The newest first: it seals, and most rows are of it.
        self._suite: Final = ring.suite
        keys = [ring.suite.derive(root, _SEAL_PURPOSE) for _, root in reversed(ring.roots)]
        self._aeads: Final = tuple(aead(key, ring.suite) for key in keys)
        self._find: Final = ring.suite.derive(ring.find, _FIND_PURPOSE)
        self._count: Final = ring.suite.derive(ring.tally, _COUNT_PURPOSE)
        self._nonces = b""

    def seal(self, table: str, key: bytes, plaintext: bytes) -> bytes:
        """Seal a row's content to its table and key."""
        nonce = self._nonce()
        return nonce + self._aeads[0].encrypt(nonce, plaintext, pack(table.encode(), key))

    def open(self, table: str, key: bytes, sealed: bytes) -> bytes:
        """Open a row's content.

        Raises:
            SafeRoomError: `STORE_DAMAGED` if it is another row's, altered, or under another key.
        """
        nonce, ciphertext = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
        for each in self._aeads:
            try:
                return each.decrypt(nonce, ciphertext, pack(table.encode(), key))
            except (InvalidTag, ValueError):
                continue  # it may be from before a change of the store's key
        raise SafeRoomError(Reason.STORE_DAMAGED, f"a row of {table} does not open")

    def find(self, table: str, *parts: str) -> bytes:
        """Give what a row is found by: 32 bytes that tell nothing without the key."""
        named = pack(table.encode(), *(part.encode() for part in parts))
        return self._suite.hmac(self._find, named)

    def mark(self, table: str, key: bytes, tag: bytes) -> bytes:
        """Give the keyed hash by which a row counts in the tally: 32 bytes."""
        return self._suite.hmac(self._count, pack(table.encode(), key, tag))

    def _nonce(self) -> bytes:
        if not self._nonces:
            self._nonces = os.urandom(_NONCES * NONCE_BYTES)
        nonce, self._nonces = self._nonces[:NONCE_BYTES], self._nonces[NONCE_BYTES:]
        return nonce
