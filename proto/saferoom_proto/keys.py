"""Signing keys of the suite `international`: Ed25519, named by a hash of the public half.

Source: RFC 8032 (Ed25519), RFC 8410 (its PKCS #8 form).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Final, Self

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from saferoom_proto.encoding import b64, unb64
from saferoom_proto.reasons import Reason, SafeRoomError

SUITE: Final = "international"
"""The crypto suite these keys belong to; statements name it, they never assume it."""

PUBLIC_BYTES: Final = 32
SEED_BYTES: Final = 32

_KEYID_HEX: Final = 32
"""128 bits: nobody makes a second key with a given key's id."""

_PRIME: Final = (1 << 255) - 19
_ORDER_8_Y: Final = 0x5FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
_WEAK_Y: Final = frozenset({0, 1, _PRIME - 1, _ORDER_8_Y, _PRIME - _ORDER_8_Y})
"""The y coordinates of the eight points of order 1, 2, 4 and 8. Under such a key one signature fits
many messages, so that its holder could deny every one of them. RFC 8032 leaves them in."""


@dataclass(frozen=True, slots=True)
class VerifyKey:
    """The public half of a signing key; equal to any other with the same 32 bytes.

    Raises:
        SafeRoomError: `MALFORMED` for another length, or a point that is no honest key.
    """

    raw: bytes
    public: str = field(init=False, compare=False)
    keyid: str = field(init=False, compare=False)
    _key: Ed25519PublicKey = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        if len(self.raw) != PUBLIC_BYTES:
            raise SafeRoomError(Reason.MALFORMED, f"a public key has {PUBLIC_BYTES} bytes")
        # The top bit is the sign of x; a y beyond the prime is none (RFC 8032 section 5.1.3).
        y = int.from_bytes(self.raw, "little") & ~(1 << 255)
        if y >= _PRIME or y in _WEAK_Y:
            raise SafeRoomError(Reason.MALFORMED, "not a public key that anyone would make")
        object.__setattr__(self, "public", b64(self.raw))
        digest = hashlib.sha256(self.raw).hexdigest()
        object.__setattr__(self, "keyid", f"ed25519:{digest[:_KEYID_HEX]}")
        object.__setattr__(self, "_key", Ed25519PublicKey.from_public_bytes(self.raw))

    @classmethod
    def from_public(cls, text: str) -> Self:
        """Read the base64 form that statements carry.

        Raises:
            SafeRoomError: `MALFORMED`.
        """
        return cls(unb64(text))

    def verify(self, sig: bytes, data: bytes) -> None:
        """Check that this key signed these bytes.

        Raises:
            SafeRoomError: `BAD_SIGNATURE`.
        """
        try:
            self._key.verify(sig, data)
        except InvalidSignature as error:
            detail = f"the signature is not by {self.keyid}"
            raise SafeRoomError(Reason.BAD_SIGNATURE, detail) from error


@dataclass(frozen=True, slots=True, eq=False)
class SigningKey:
    """A private signing key. Its text form shows the key id only."""

    _private: Ed25519PrivateKey = field(repr=False)
    verify_key: VerifyKey = field(init=False)

    def __post_init__(self) -> None:
        public = self._private.public_key().public_bytes_raw()
        object.__setattr__(self, "verify_key", VerifyKey(public))

    @classmethod
    def generate(cls) -> Self:
        """Make a key from the operating system's randomness."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def from_seed(cls, seed: bytes) -> Self:
        """Make the one key that belongs to a 32-byte seed.

        Raises:
            SafeRoomError: `BAD_CONFIG` for a seed of another length.
        """
        if len(seed) != SEED_BYTES:
            raise SafeRoomError(Reason.BAD_CONFIG, f"a seed has {SEED_BYTES} bytes")
        return cls(Ed25519PrivateKey.from_private_bytes(seed))

    @classmethod
    def from_pem(cls, pem: bytes) -> Self:
        """Read an unencrypted PKCS #8 key.

        Raises:
            SafeRoomError: `BAD_CONFIG` for anything but one Ed25519 private key.
        """
        try:
            private = load_pem_private_key(pem, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise SafeRoomError(Reason.BAD_CONFIG, "not an unencrypted PEM private key") from error
        if not isinstance(private, Ed25519PrivateKey):
            raise SafeRoomError(Reason.BAD_CONFIG, "the PEM holds another kind of key than Ed25519")
        return cls(private)

    def to_pem(self) -> bytes:
        """Write the unencrypted PKCS #8 form; whoever stores it guards it (mode 0600)."""
        return self._private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def sign(self, data: bytes) -> bytes:
        """Sign bytes; 64 bytes, the same ones each time."""
        return self._private.sign(data)
