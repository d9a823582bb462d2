"""Sealing: what is sealed to one reader for one purpose opens for nobody else and nothing else."""

from __future__ import annotations

from saferoom_proto.hpke import SealingKey, seal

INFO = b"saferoom test v1"


def test_what_is_sealed_to_a_key_opens_with_it_after_a_restart() -> None:
    key = SealingKey.generate()
    sealed = seal(key.public, b"yes", info=INFO)
    assert SealingKey.from_bytes(key.to_bytes()).open(sealed, info=INFO) == b"yes"
