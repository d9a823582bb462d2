"""Keys and nonces that come out the same for the same seed, so that a failure can be run again."""

from __future__ import annotations

import hashlib
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec

from saferoom_proto.hpke import SEED_BYTES, SealingKey
from saferoom_proto.keys import SigningKey
from saferoom_proto.suite import Suite

_P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


class Seeds:
    """Gives the bytes and keys that belong to a name under one seed."""

    def __init__(self, seed: int | str, suite: Suite = Suite.INTERNATIONAL) -> None:
        self._root: Final = str(seed).encode()
        self._count = 0
        self.suite: Final = suite
        self._sm2: Final[dict[str, SigningKey]] = {}

    def some(self, name: str, size: int = 32) -> bytes:
        """Give the bytes of a name."""
        return hashlib.shake_256(self._root + b"\0" + name.encode()).digest(size)

    def fresh(self, size: int) -> bytes:
        """Give bytes that no earlier call gave."""
        self._count += 1
        return self.some(f"fresh {self._count}", size)

    def signing(self, name: str) -> SigningKey:
        """Give the signing key of a name; of SM2 another one in each room."""
        if self.suite is Suite.GUOMI:
            return self._sm2.setdefault(name, SigningKey.generate(self.suite))
        return SigningKey.from_seed(self.some(f"signing {name}"))

    def sealing(self, name: str) -> SealingKey:
        """Give the HPKE key of a name."""
        return SealingKey.from_bytes(self.some(f"sealing {name}", SEED_BYTES))

    def p256(self, name: str) -> ec.EllipticCurvePrivateKey:
        """Give the P-256 key of a name."""
        number = int.from_bytes(self.some(f"p256 {name}", 40), "big") % (_P256_ORDER - 1) + 1
        return ec.derive_private_key(number, ec.SECP256R1())
