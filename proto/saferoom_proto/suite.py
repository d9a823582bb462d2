"""Crypto suites: which hash, signature and cipher a room's statements, log and stores use.

A room has one suite, for good, and whatever is signed in it says which one: a statement by its
type, a digest by what stands before it, a key by its form, a log by its key. So nobody has to be
told of a suite, and nothing of the other one passes (docs/adr/0023).

Source: GB/T 32905 (SM3), GB/T 32918 (SM2), GB/T 32907 (SM4); FIPS 180-4 (SHA-256); RFC 2104 (HMAC);
RFC 5869 (HKDF).
"""

from __future__ import annotations

import hashlib
import hmac as standard_hmac
import re
from enum import StrEnum
from typing import Final, Protocol

from cryptography.hazmat.primitives.hashes import SHA256, SM3, Hash, HashAlgorithm
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from saferoom_proto.reasons import Reason, SafeRoomError


class Running(Protocol):
    """A hash that is fed piece by piece."""

    def update(self, data: bytes, /) -> None:
        """Take in more bytes."""
        ...

    def digest(self) -> bytes:
        """Give the hash of all of them; the last thing that is asked of it."""
        ...


class Suite(StrEnum):
    """A room's suite, by the name that charters have for it.

    `INTERNATIONAL` is Ed25519, SHA-256 and AES-256-GCM, `GUOMI` (国密) is SM2, SM3 and SM4-GCM.
    Connections, and what is sealed to one reader, are the same in both (TLS 1.3, HPKE).
    """

    INTERNATIONAL = "international"
    GUOMI = "guomi"

    @property
    def prefix(self) -> str:
        """What stands before a digest: `sha256:` or `sm3:`."""
        return _PREFIXES[self]

    @property
    def hash_algorithm(self) -> HashAlgorithm:
        """The hash, as `cryptography` names it."""
        return SM3() if self is Suite.GUOMI else SHA256()

    def hash(self, data: bytes) -> bytes:
        """Hash bytes: 32 bytes."""
        if self is Suite.GUOMI:
            hashing = Hash(SM3())
            hashing.update(data)
            return hashing.finalize()
        return hashlib.sha256(data).digest()

    def running(self) -> Running:
        """Begin a hash that is fed piece by piece."""
        return _RunningSm3() if self is Suite.GUOMI else hashlib.sha256()

    def digest(self, data: bytes) -> str:
        """Name bytes by their digest: the hash's name, a colon and 64 lower-case hex digits."""
        return self.named(self.hash(data))

    def named(self, hashed: bytes) -> str:
        """Write a hash of this suite as a digest."""
        return self.prefix + hashed.hex()

    def hmac(self, key: bytes, data: bytes) -> bytes:
        """Hash bytes under a key (HMAC): 32 bytes."""
        if self is Suite.GUOMI:
            keyed = HMAC(key, SM3())
            keyed.update(data)
            return keyed.finalize()
        return standard_hmac.digest(key, data, "sha256")

    def derive(self, secret: bytes, purpose: bytes, salt: bytes | None = None) -> bytes:
        """Derive a 32-byte key for one purpose from a secret (HKDF)."""
        derivation = HKDF(algorithm=self.hash_algorithm, length=32, salt=salt, info=purpose)
        return derivation.derive(secret)


_PREFIXES: Final = {Suite.INTERNATIONAL: "sha256:", Suite.GUOMI: "sm3:"}
_SUITES: Final = {prefix: suite for suite, prefix in _PREFIXES.items()}
_DIGEST: Final = re.compile("(sha256:|sm3:)[0-9a-f]{64}")


def suite_of(digest: str) -> Suite:
    """Give the suite of a digest that is written as `Suite.digest` writes it.

    Raises:
        SafeRoomError: `MALFORMED`.
    """
    found = _DIGEST.fullmatch(digest)
    if found is None:
        raise SafeRoomError(Reason.MALFORMED, "not a digest")
    return _SUITES[found[1]]


class _RunningSm3:
    """SM3 under the names that `hashlib` has; the standard library need not know SM3."""

    def __init__(self) -> None:
        self._hash: Final = Hash(SM3())

    def update(self, data: bytes, /) -> None:
        self._hash.update(data)

    def digest(self) -> bytes:
        return self._hash.finalize()
