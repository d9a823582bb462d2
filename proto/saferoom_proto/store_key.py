"""How a store's key is named: by a hash that tells nothing of it."""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_NAME_PURPOSE: Final = b"saferoom store key name v1"


def name_of(store_key: bytes) -> str:
    """Name a store's key: `sha256:` and a hash of what is derived from it for this alone.

    Source: RFC 5869, HKDF.
    """
    derivation = HKDF(algorithm=SHA256(), length=32, salt=None, info=_NAME_PURPOSE)
    return f"sha256:{sha256(derivation.derive(store_key)).hexdigest()}"
