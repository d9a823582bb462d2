"""SM2 signatures with SM3, of the suite `guomi`: keys, their files, signing and checking.

The arithmetic is GmSSL's, by `gmssl-pyx` (the extra `saferoom[guomi]`); `cryptography` knows no
SM2. A public key is the point's 65 bytes, uncompressed; a signature is DER, as other tools read it;
the signer's identity is the standard's default, so that a key and a message are all one needs.

Source: GB/T 32918.2 (signatures) and 32918.5 (the curve and its parameters), GM/T 0009 (encodings,
the default identity), RFC 5915 and RFC 5958 (the private key's form).
"""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.suite import Suite

PUBLIC_BYTES: Final = 65
PRIVATE_BYTES: Final = 32

_UNCOMPRESSED: Final = 0x04  # SEC 1 section 2.3.3

# GB/T 32918.5: y^2 = x^3 + ax + b over the prime field, and the order of the group.
_P: Final = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF
_A: Final = _P - 3
_B: Final = 0x28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93
_ORDER: Final = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123
_G: Final = bytes.fromhex(
    "32c4ae2c1f1981195f9904466a39c9948fe30bbff2660be1715a4589334c74c7"
    "bc3736a2f4f6779c59bdcee36b692153d0a9877cc62a474002df32e52139f0a0"
)
_CURVE: Final = _A.to_bytes(32, "big") + _B.to_bytes(32, "big") + _G
_SIGNER: Final = b"\x00\x80" + b"1234567812345678"
"""The default identity, behind its length in bits (GM/T 0009 section 10)."""

ALGORITHM: Final = bytes.fromhex("301306072a8648ce3d020106082a811ccf5501822d")
"""AlgorithmIdentifier: id-ecPublicKey on the curve 1.2.156.10197.1.301, DER."""
SPKI_HEADER: Final = b"\x30\x59" + ALGORITHM + b"\x03\x42\x00"
"""What stands before the 65 bytes in a SubjectPublicKeyInfo."""

# PrivateKeyInfo, version 0, around ECPrivateKey, version 1, with its public key; every length is
# known, so there is one form of it, which OpenSSL writes too.
_PKCS8: Final = b"\x30\x81\x87\x02\x01\x00" + ALGORITHM
_PRIVATE: Final = _PKCS8 + bytes.fromhex("046d306b0201010420")
_PUBLIC: Final = bytes.fromhex("a144034200")


def require_point(public: bytes) -> None:
    """Refuse with `MALFORMED` what is no point of the curve. Its order is prime: any other will do.

    Source: GB/T 32918.1 section 6.2.1.
    """
    x, y = int.from_bytes(public[1:33], "big"), int.from_bytes(public[33:], "big")
    known = len(public) == PUBLIC_BYTES and public[0] == _UNCOMPRESSED and x < _P and y < _P
    if not known or (y * y - (x * x * x + _A * x + _B)) % _P:
        raise SafeRoomError(Reason.MALFORMED, "not a point of the curve of SM2")


def generate() -> tuple[bytes, bytes]:
    """Make a key pair.

    Returns:
        The private key's 32 bytes, and the public key.
    """
    point, private = _gmssl().sm2_key_generate()
    return private, bytes([_UNCOMPRESSED]) + point


def sign(private: bytes, public: bytes, data: bytes) -> bytes:
    """Sign bytes: DER of r and s, 70 to 72 bytes, other ones each time.

    The library is given the digest that the standard signs. Given the bytes, it makes 32 nonces
    ahead for every signature: 3.3 ms where this takes 0.2 to 0.4 (measured).
    """
    return _gmssl().sm2_sign_sm3_digest(private, message_digest(public, data))


def message_digest(public: bytes, data: bytes) -> bytes:
    """Hash what a key signs, behind the standard's hash of who signs with which key.

    Source: GB/T 32918.2 sections 5.5 and 6.1 (Z, and e = SM3(Z, M)); GM/T 0009 section 8.
    """
    z = Suite.GUOMI.hash(_SIGNER + _CURVE + public[1:])
    return Suite.GUOMI.hash(z + data)


def verified(public: bytes, sig: bytes, data: bytes) -> bool:
    """Tell whether a signature is by a key; one that is not in the one form of DER is not.

    The library hashes the bytes itself, so what `sign` hashed is checked against it. Where a
    signature does not hold, it writes lines of its own code's places to the standard error output.

    Raises:
        SafeRoomError: `NOT_INSTALLED`.
    """
    library = _gmssl()
    try:
        r, s = decode_dss_signature(sig)
        if encode_dss_signature(r, s) != sig or not (0 < r < _ORDER and 0 < s < _ORDER):
            return False
    except ValueError:
        return False
    return library.sm2_verify(public[1:], data, sig)


def require_installed() -> None:
    """Refuse with `NOT_INSTALLED` where the extra `guomi` is not."""
    _gmssl()


def to_pkcs8(private: bytes, public: bytes) -> bytes:
    """Write a private key, DER."""
    return _PRIVATE + private + _PUBLIC + public


def from_pkcs8(der: bytes) -> tuple[bytes, bytes] | None:
    """Read a private key as `to_pkcs8` and OpenSSL write it; none if it is of another algorithm.

    Returns:
        The private key's 32 bytes, and the public key.

    Raises:
        SafeRoomError: `BAD_CONFIG` for an SM2 key that is none, or that is in another form.
    """
    if not der.startswith(_PKCS8):
        return None
    start = len(_PRIVATE)
    private, public = der[start : start + PRIVATE_BYTES], der[-PUBLIC_BYTES:]
    if der != to_pkcs8(private, public):
        raise SafeRoomError(Reason.BAD_CONFIG, "an SM2 private key in another form than OpenSSL's")
    if not 0 < int.from_bytes(private, "big") < _ORDER - 1:
        raise SafeRoomError(Reason.BAD_CONFIG, "an SM2 private key outside of the curve's order")
    try:
        require_point(public)
    except SafeRoomError as error:
        raise SafeRoomError(Reason.BAD_CONFIG, error.detail) from error
    if not verified(public, sign(private, public, b"saferoom"), b"saferoom"):
        raise SafeRoomError(Reason.BAD_CONFIG, "the halves of an SM2 key do not belong together")
    return private, public


def _gmssl():  # noqa: ANN202 - the module itself, whose stubs say what it has
    try:
        import gmssl_pyx  # noqa: PLC0415 - the extra `guomi`
    except ImportError as error:
        refusal = SafeRoomError(Reason.NOT_INSTALLED, "SM2 signatures need saferoom[guomi]")
        refusal.add_note("pip install saferoom[guomi]")
        raise refusal from error
    return gmssl_pyx
