"""Sealing to one reader: HPKE with ML-KEM-768 + X25519, HKDF-SHA256 and AES-256-GCM.

Source: RFC 9180 (HPKE, base mode), FIPS 203 (ML-KEM), draft-ietf-hpke-pq (the hybrid KEM), as
`cryptography` implements them. Whoever recorded a sealed message must break both KEMs to read it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)

from saferoom_proto.reasons import Reason, SafeRoomError

_MLKEM_PUBLIC_BYTES: Final = 1184  # FIPS 203 table 3
_MLKEM_SEED_BYTES: Final = 64  # d || z, FIPS 203 section 7.1
_X25519_BYTES: Final = 32  # RFC 7748

PUBLIC_BYTES: Final = _MLKEM_PUBLIC_BYTES + _X25519_BYTES
SEED_BYTES: Final = _MLKEM_SEED_BYTES + _X25519_BYTES

_FIELD: Final = (1 << 255) - 19  # RFC 7748 section 4.1
_LOW_ORDER: Final = frozenset(
    {
        0,
        1,
        _FIELD - 1,
        325606250916557431795983626356110631294008115727848805560023387167927233504,
        39382357235489614581723060781553021112529911719440698176882885853963445705823,
    }
)
"""Points of order 1, 2, 4 and 8 on Curve25519 or its twist, by their u: a secret shared with one is
zero, and sealing to it fails. Source: Bernstein, cr.yp.to/ecdh.html, "validate"."""

_READ_KEYS: Final = 256
"""Public keys kept read: a request's is checked when it comes, and sealed to soon after."""

_SUITE: Final = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SealingKey:
    """The private key that opens what was sealed to `public` (ML-KEM key, then X25519 key)."""

    _mlkem: MLKEM768PrivateKey
    _x25519: X25519PrivateKey
    public: bytes = field(init=False)
    _private: MLKEM768X25519PrivateKey = field(init=False)

    def __post_init__(self) -> None:
        halves = (self._mlkem.public_key(), self._x25519.public_key())
        object.__setattr__(self, "public", b"".join(half.public_bytes_raw() for half in halves))
        object.__setattr__(self, "_private", MLKEM768X25519PrivateKey(self._mlkem, self._x25519))

    @classmethod
    def generate(cls) -> Self:
        """Make a key from the operating system's randomness."""
        return cls(MLKEM768PrivateKey.generate(), X25519PrivateKey.generate())

    @classmethod
    def from_bytes(cls, seeds: bytes) -> Self:
        """Read the private form: the 64-byte ML-KEM seed, then the 32-byte X25519 scalar.

        Raises:
            SafeRoomError: `BAD_CONFIG` for another length.
        """
        if len(seeds) != SEED_BYTES:
            raise SafeRoomError(Reason.BAD_CONFIG, f"a sealing key has {SEED_BYTES} bytes")
        return cls(
            MLKEM768PrivateKey.from_seed_bytes(seeds[:_MLKEM_SEED_BYTES]),
            X25519PrivateKey.from_private_bytes(seeds[_MLKEM_SEED_BYTES:]),
        )

    def to_bytes(self) -> bytes:
        """Write the private form; whoever stores it guards it (mode 0600)."""
        return self._mlkem.private_bytes_raw() + self._x25519.private_bytes_raw()

    def open(self, ciphertext: bytes, *, info: bytes) -> bytes:
        """Open what was sealed to this key under the same `info`.

        Raises:
            SafeRoomError: `BAD_SEAL`, whatever was wrong with it.
        """
        _require_info(info)
        try:
            return _SUITE.decrypt(ciphertext, self._private, info=info)
        except (InvalidTag, ValueError) as error:
            raise SafeRoomError(Reason.BAD_SEAL, "the seal does not open") from error


def seal(public: bytes, plaintext: bytes, *, info: bytes) -> bytes:
    """Seal a message to the holder of the private half of `public`.

    Args:
        public: 1184 bytes of ML-KEM-768 and 32 of X25519, as in `SealingKey.public`.
        plaintext: of any length; the ciphertext is 1136 bytes longer.
        info: says what the message is for, so that it opens as nothing else; never empty.

    Raises:
        SafeRoomError: `BAD_SEAL` if the public key is none.
    """
    _require_info(info)
    reader = require_public(public)
    try:
        return _SUITE.encrypt(plaintext, reader, info=info)
    except ValueError as error:
        raise SafeRoomError(Reason.BAD_SEAL, "not a sealing public key") from error


@lru_cache(maxsize=_READ_KEYS)
def require_public(public: bytes) -> MLKEM768X25519PublicKey:
    """Read a sealing public key.

    Raises:
        SafeRoomError: `BAD_SEAL` if it is none.
    """
    if len(public) != PUBLIC_BYTES:
        raise SafeRoomError(Reason.BAD_SEAL, f"a sealing public key has {PUBLIC_BYTES} bytes")
    _require_order(public[_MLKEM_PUBLIC_BYTES:])
    try:
        return MLKEM768X25519PublicKey(
            MLKEM768PublicKey.from_public_bytes(public[:_MLKEM_PUBLIC_BYTES]),
            X25519PublicKey.from_public_bytes(public[_MLKEM_PUBLIC_BYTES:]),
        )
    except ValueError as error:
        raise SafeRoomError(Reason.BAD_SEAL, "not a sealing public key") from error


def _require_order(x25519: bytes) -> None:
    """Refuse a point that nothing can be sealed to, so that this shows before any work is done."""
    # The highest bit does not count, and a u may be written past the field (RFC 7748 section 5).
    u = (int.from_bytes(x25519, "little") & ((1 << 255) - 1)) % _FIELD
    if u in _LOW_ORDER:
        raise SafeRoomError(Reason.BAD_SEAL, "a sealing public key of low order")


def _require_info(info: bytes) -> None:
    if not info:
        raise SafeRoomError(Reason.BAD_SEAL, "a seal without a purpose")
