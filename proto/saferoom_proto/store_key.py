"""How a store's key is named: by a hash that tells nothing of it."""

from __future__ import annotations

from typing import Final

from saferoom_proto.suite import Suite

_NAME_PURPOSE: Final = b"saferoom store key name v1"


def name_of(store_key: bytes, suite: Suite = Suite.INTERNATIONAL) -> str:
    """Name a store's key: the digest of what is derived from it for this alone."""
    return suite.digest(suite.derive(store_key, _NAME_PURPOSE))
