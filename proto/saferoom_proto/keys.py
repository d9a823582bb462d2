"""Signing keys, each of one suite, named by a hash of the public half.

Ed25519 is the suite `international`'s, SM2 with SM3 the suite `guomi`'s; a key says by its form
which one it is of.

Source: RFC 8032 (Ed25519), RFC 8410 (its PKCS #8 form); for SM2 see `sm2.py`.
"""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, Protocol, Self

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from saferoom_proto import sm2
from saferoom_proto.encoding import b64, unb64
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.suite import Suite

PUBLIC_BYTES: Final = 32
"""Of Ed25519; an SM2 key has `sm2.PUBLIC_BYTES`."""
SEED_BYTES: Final = 32
"""Of Ed25519 (RFC 8032 section 5.1.5); an SM2 key is made of none."""

_KEYID_HEX: Final = 32
"""128 bits: nobody makes a second key with a given key's id."""

_PRIME: Final = (1 << 255) - 19
_ORDER_8_Y: Final = 0x5FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
_WEAK_Y: Final = frozenset({0, 1, _PRIME - 1, _ORDER_8_Y, _PRIME - _ORDER_8_Y})
"""The y coordinates of the eight points of order 1, 2, 4 and 8. Under such a key one signature fits
many messages, so that its holder could deny every one of them. RFC 8032 leaves them in."""

_SCHEMES: Final = {Suite.INTERNATIONAL: "ed25519", Suite.GUOMI: "sm2"}
_KEYS_KEPT: Final = 1024
"""About 1 MB: every key of a room. An audit reads the same few for each entry, three times over."""
_PEM_LINE: Final = 64  # RFC 7468 section 2
_PEM: Final = re.compile(
    rb"\s*-----BEGIN PRIVATE KEY-----\s+([A-Za-z0-9+/=\s]+)-----END PRIVATE KEY-----\s*"
)


class _Checks(Protocol):
    """What a suite brings to check a signature: it raises unless the key signed."""

    def verify(self, signature: bytes, data: bytes, /) -> None: ...


@dataclass(frozen=True, slots=True)
class VerifyKey:
    """The public half of a signing key; equal to any other with the same bytes.

    Of Ed25519 it has 32 bytes, of SM2 65, the first of them 4: so no key is of both suites.

    Raises:
        SafeRoomError: `MALFORMED` for another length, or a point that is no honest key.
    """

    raw: bytes
    suite: Suite = field(init=False, compare=False)
    public: str = field(init=False, compare=False)
    keyid: str = field(init=False, compare=False)
    _key: _Checks = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        of_sm2 = len(self.raw) == sm2.PUBLIC_BYTES
        suite = Suite.GUOMI if of_sm2 else Suite.INTERNATIONAL
        object.__setattr__(self, "_key", _Sm2Public(self.raw) if of_sm2 else _ed25519(self.raw))
        object.__setattr__(self, "suite", suite)
        object.__setattr__(self, "public", b64(self.raw))
        digest = suite.hash(self.raw).hex()
        object.__setattr__(self, "keyid", f"{_SCHEMES[suite]}:{digest[:_KEYID_HEX]}")

    @staticmethod
    def from_public(text: str) -> VerifyKey:
        """Read the base64 form that statements carry.

        Raises:
            SafeRoomError: `MALFORMED`.
        """
        return _read(text)

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

    _private: Ed25519PrivateKey | Sm2Private = field(repr=False)
    verify_key: VerifyKey = field(init=False)

    def __post_init__(self) -> None:
        private = self._private
        public = (
            private.public
            if isinstance(private, Sm2Private)
            else private.public_key().public_bytes_raw()
        )
        object.__setattr__(self, "verify_key", VerifyKey(public))

    @property
    def suite(self) -> Suite:
        """The suite that the key is of."""
        return self.verify_key.suite

    @classmethod
    def generate(cls, suite: Suite = Suite.INTERNATIONAL) -> Self:
        """Make a key from the operating system's randomness.

        Raises:
            SafeRoomError: `NOT_INSTALLED` if the suite needs an extra that is not here.
        """
        if suite is Suite.GUOMI:
            return cls(Sm2Private(*sm2.generate()))
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def from_seed(cls, seed: bytes) -> Self:
        """Make the one Ed25519 key that belongs to a 32-byte seed.

        Raises:
            SafeRoomError: `BAD_CONFIG` for a seed of another length.
        """
        if len(seed) != SEED_BYTES:
            raise SafeRoomError(Reason.BAD_CONFIG, f"a seed has {SEED_BYTES} bytes")
        return cls(Ed25519PrivateKey.from_private_bytes(seed))

    @classmethod
    def from_pem(cls, pem: bytes) -> Self:
        """Read an unencrypted PKCS #8 key of either suite.

        Raises:
            SafeRoomError: `BAD_CONFIG` for anything but one Ed25519 or SM2 private key;
                `NOT_INSTALLED` if the suite needs an extra that is not here.
        """
        if (halves := sm2.from_pkcs8(_der(pem))) is not None:
            return cls(Sm2Private(*halves))
        try:
            private = load_pem_private_key(pem, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise SafeRoomError(Reason.BAD_CONFIG, "not an unencrypted PEM private key") from error
        if not isinstance(private, Ed25519PrivateKey):
            detail = "the PEM holds another kind of key than Ed25519 or SM2"
            raise SafeRoomError(Reason.BAD_CONFIG, detail)
        return cls(private)

    def to_pem(self) -> bytes:
        """Write the unencrypted PKCS #8 form; whoever stores it guards it (mode 0600)."""
        if isinstance(self._private, Sm2Private):
            return self._private.to_pem()
        return self._private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def sign(self, data: bytes) -> bytes:
        """Sign bytes: by Ed25519 64, the same ones each time; by SM2 about 71, fresh each time."""
        return self._private.sign(data)


@dataclass(frozen=True, slots=True, eq=False)
class Sm2Private:
    """A private key of SM2. It shows no text form of it."""

    _private: bytes = field(repr=False)
    public: bytes

    def sign(self, data: bytes) -> bytes:
        """Sign bytes."""
        return sm2.sign(self._private, self.public, data)

    def to_pem(self) -> bytes:
        """Write the unencrypted PKCS #8 form."""
        body = b64(sm2.to_pkcs8(self._private, self.public))
        lines = [body[at : at + _PEM_LINE] for at in range(0, len(body), _PEM_LINE)]
        text = "\n".join(["-----BEGIN PRIVATE KEY-----", *lines, "-----END PRIVATE KEY-----", ""])
        return text.encode()


@dataclass(frozen=True, slots=True)
class _Sm2Public:
    raw: bytes

    def __post_init__(self) -> None:
        sm2.require_point(self.raw)

    def verify(self, signature: bytes, data: bytes, /) -> None:
        if not sm2.verified(self.raw, signature, data):
            raise InvalidSignature


@lru_cache(maxsize=_KEYS_KEPT)
def _read(text: str) -> VerifyKey:
    """Read a public key, or give what the same text was read as before: it is frozen."""
    return VerifyKey(unb64(text))


def _ed25519(raw: bytes) -> Ed25519PublicKey:
    if len(raw) != PUBLIC_BYTES:
        raise SafeRoomError(Reason.MALFORMED, f"a public key has {PUBLIC_BYTES} bytes")
    # The top bit is the sign of x; a y beyond the prime is none (RFC 8032 section 5.1.3).
    y = int.from_bytes(raw, "little") & ~(1 << 255)
    if y >= _PRIME or y in _WEAK_Y:
        raise SafeRoomError(Reason.MALFORMED, "not a public key that anyone would make")
    return Ed25519PublicKey.from_public_bytes(raw)


def _der(pem: bytes) -> bytes:
    """Give what a PEM of one PKCS #8 key holds; nothing of other texts."""
    if (found := _PEM.fullmatch(pem)) is None:
        return b""
    try:
        return binascii.a2b_base64(b"".join(found[1].split()), strict_mode=True)
    except binascii.Error:
        return b""
