"""How a store's key is named: by a hash that tells nothing of it."""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from saferoom_proto.encoding import sha256_digest

_NAME_PURPOSE: Final = b"saferoom store key name v1"


def name_of(store_key: bytes) -> str:
    """Name a store's key: `sha256:` and a hash of what is derived from it for this alone.

    Source: RFC 5869, HKDF.
    """
    derivation = HKDF(algorithm=SHA256(), length=32, salt=None, info=_NAME_PURPOSE)
    return sha256_digest(derivation.derive(store_key))
