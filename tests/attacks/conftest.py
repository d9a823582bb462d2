"""The sample room and the tax office's enclave, as the enclaves' own tests have them."""

from __future__ import annotations

from tests.enclaves.conftest import enclave, room

__all__ = ["enclave", "room"]
