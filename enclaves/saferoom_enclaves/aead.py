"""The cipher under which an enclave's rows, keys and snapshots lie: AES-256-GCM, or SM4-GCM.

Both take 96-bit nonces and give 128-bit tags. A key is 32 bytes as it is derived; SM4 has 128-bit
keys and takes the first half.

Source: NIST SP 800-38D (GCM); GB/T 32907 (SM4), RFC 8998 section 3.2 (SM4 in GCM).
"""

from __future__ import annotations

from typing import Final, Protocol

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import SM4
from cryptography.hazmat.primitives.ciphers.modes import GCM

from saferoom_proto.suite import Suite

NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
_SM4_KEY_BYTES: Final = 16


class Aead(Protocol):
    """Encrypts and authenticates; the tag stands at the ciphertext's end."""

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None, /) -> bytes:
        """Seal data together with what it is bound to."""
        ...

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None, /) -> bytes:
        """Open sealed data; raises cryptography's `InvalidTag`, and `ValueError` for no tag."""
        ...


def aead(key: bytes, suite: Suite) -> Aead:
    """Give a suite's cipher under a derived key of 32 bytes."""
    return _Sm4Gcm(key[:_SM4_KEY_BYTES]) if suite is Suite.GUOMI else AESGCM(key)


class _Sm4Gcm:
    """SM4-GCM with the face that `cryptography` gives AES-GCM. It shows no text form."""

    def __init__(self, key: bytes) -> None:
        self._algorithm: Final = SM4(key)

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None, /) -> bytes:
        encryptor = Cipher(self._algorithm, GCM(nonce)).encryptor()
        encryptor.authenticate_additional_data(associated_data or b"")
        sealed = encryptor.update(data) + encryptor.finalize()
        return sealed + encryptor.tag

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None, /) -> bytes:
        # GCM asks for a whole tag here, so one that was cut short is refused, not taken as it is.
        ciphertext, tag = data[:-TAG_BYTES], data[-TAG_BYTES:]
        decryptor = Cipher(self._algorithm, GCM(nonce, tag, TAG_BYTES)).decryptor()
        decryptor.authenticate_additional_data(associated_data or b"")
        return decryptor.update(ciphertext) + decryptor.finalize()
