"""SM4 in GCM: published vectors, and that it is as strict as the cipher it stands in for."""

from __future__ import annotations

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import SM4
from cryptography.hazmat.primitives.ciphers.modes import ECB

from saferoom_enclaves.aead import NONCE_BYTES, aead
from saferoom_proto.suite import Suite

BLOCK = bytes.fromhex("0123456789abcdeffedcba9876543210")
# RFC 8998, appendix A.1.
NONCE = bytes.fromhex("00001234567800000000abcd")
BOUND = bytes.fromhex("feedfacedeadbeeffeedfacedeadbeefabaddad2")
PLAINTEXT = bytes.fromhex(
    "aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbccccccccccccccccdddddddddddddddd"
    "eeeeeeeeeeeeeeeeffffffffffffffffeeeeeeeeeeeeeeeeaaaaaaaaaaaaaaaa"
)
SEALED = bytes.fromhex(
    "17f399f08c67d5ee19d0dc9969c4bb7d5fd46fd3756489069157b282bb200735"
    "d82710ca5c22f0ccfa7cbf93d496ac15a56834cbcf98c397b4024a2691233b8d"
    "83de3541e4c2b58177e065a9bf7b62ec"
)
CIPHER = aead(BLOCK + bytes(16), Suite.GUOMI)


def test_sm4_is_the_standards() -> None:
    # GB/T 32907-2016, appendix A.1.
    encrypted = Cipher(SM4(BLOCK), ECB()).encryptor().update(BLOCK)
    assert encrypted.hex() == "681edf34d206965e86b3e94f536e4246"


def test_sm4_gcm_is_the_rfcs() -> None:
    assert CIPHER.encrypt(NONCE, PLAINTEXT, BOUND) == SEALED
    assert CIPHER.decrypt(NONCE, SEALED, BOUND) == PLAINTEXT


@pytest.mark.parametrize(
    ("nonce", "sealed", "bound"),
    [
        (NONCE, bytes([SEALED[0] ^ 1]) + SEALED[1:], BOUND),
        (NONCE, SEALED[:-1] + bytes([SEALED[-1] ^ 1]), BOUND),
        (NONCE, SEALED[:-1], BOUND),
        (NONCE, SEALED + b"\0", BOUND),
        (NONCE, SEALED[:12], BOUND),
        (NONCE, b"", BOUND),
        (NONCE, SEALED, b""),
        (NONCE, SEALED, None),
        (bytes(NONCE_BYTES), SEALED, BOUND),
    ],
)
def test_what_was_altered_does_not_open(nonce: bytes, sealed: bytes, bound: bytes | None) -> None:
    with pytest.raises((InvalidTag, ValueError)):
        CIPHER.decrypt(nonce, sealed, bound)


def test_the_suites_open_nothing_of_each_other() -> None:
    for suite, other in zip(Suite, reversed(Suite), strict=True):
        sealed = aead(bytes(32), suite).encrypt(NONCE, PLAINTEXT, BOUND)
        assert aead(bytes(32), suite).decrypt(NONCE, sealed, BOUND) == PLAINTEXT
        with pytest.raises(InvalidTag):
            aead(bytes(32), other).decrypt(NONCE, sealed, BOUND)
