"""Keys of one round, what two banks derive from them, and the masks that hide one bank's numbers.

All keys are made for one round of one training. What two banks derive is bound to the course of the
training so far (`messages`): banks that were told different things derive masks that do not cancel.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from numpy.typing import NDArray

from saferoom_models.refusals import JointTrainingError, Refusal

Words = NDArray[np.uint64]
"""Numbers modulo 2^64."""

KEY_BYTES: Final = 32
TAG_BYTES: Final = 16
_WORD: Final = 8
_ZERO_BLOCK: Final = bytes(16)
_ZERO_NONCE: Final = bytes(12)
"""A key seals one message and masks one vector, so no nonce is ever used twice."""


def public_key(private: bytes) -> bytes:
    """Give the public half of an X25519 key."""
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def _derive(secret: bytes, purpose: bytes, context: bytes) -> bytes:
    return HKDF(hashes.SHA256(), KEY_BYTES, salt=None, info=purpose + context).derive(secret)


def agree(private: bytes, public: bytes) -> bytes:
    """Give the secret that two X25519 keys share.

    Raises:
        JointTrainingError: `BAD_POINT` for a key of small order.
    """
    try:
        return X25519PrivateKey.from_private_bytes(private).exchange(
            X25519PublicKey.from_public_bytes(public)
        )
    except ValueError as error:
        raise JointTrainingError(
            Refusal.BAD_POINT, "a public key that agrees on nothing"
        ) from error


def _stream(key: bytes, size: int) -> Words:
    """Expand a key that is used for nothing else to numbers modulo 2^64, by AES-256-CTR."""
    return np.frombuffer(drawing(key)(_WORD * size), ">u8").astype(np.uint64)


def of_root(root: bytes, purpose: bytes, context: bytes) -> bytes:
    """Give one of a bank's own secrets of a round, all of which follow from 32 random bytes."""
    return _derive(root, b"saferoom federated secret\0" + purpose + b"\0", context)


def drawing(key: bytes) -> Callable[[int], bytes]:
    """Give a source of uniform bytes that are the same for the same key."""
    encryptor = Cipher(algorithms.AES256(key), modes.CTR(_ZERO_BLOCK)).encryptor()
    return lambda size: encryptor.update(bytes(size))


def shared_mask(secret: bytes, context: bytes, size: int) -> Words:
    """Give the mask that one of two banks adds and the other takes off."""
    return _stream(_derive(secret, b"saferoom federated shared mask\0", context), size)


def own_mask(seed: bytes, context: bytes, size: int) -> Words:
    """Give the mask that a bank adds alone; it is taken off once the set of banks is settled."""
    return _stream(_derive(seed, b"saferoom federated own mask\0", context), size)


def commit(seed: bytes) -> bytes:
    """Commit to a seed or a share: 32 uniform bytes or more, so the digest tells nothing."""
    return hashlib.sha256(b"saferoom federated commitment\0" + seed).digest()


def seal(secret: bytes, context: bytes, direction: bytes, data: bytes) -> bytes:
    """Seal what one bank sends another through the aggregator: one message for each direction."""
    key = _derive(secret, b"saferoom federated shares\0" + direction, context)
    return AESGCM(key).encrypt(_ZERO_NONCE, data, context + direction)


def open_sealed(secret: bytes, context: bytes, direction: bytes, sealed: bytes) -> bytes:
    """Open it.

    Raises:
        JointTrainingError: `BAD_CIPHERTEXT`.
    """
    key = _derive(secret, b"saferoom federated shares\0" + direction, context)
    try:
        return AESGCM(key).decrypt(_ZERO_NONCE, sealed, context + direction)
    except InvalidTag as error:
        raise JointTrainingError(
            Refusal.BAD_CIPHERTEXT, "shares that were sealed for another bank, round or course"
        ) from error
