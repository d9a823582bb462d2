"""A secret of 32 bytes in shares, any so many of which give it back, and fewer tell nothing.

A polynomial over a prime field has the secret as its value at 0; holder i has its value at i + 1.
`cryptography` has no secret sharing, and the one of PyCryptodome takes 16 bytes; this is all of it.

Source: Shamir, How to share a secret (1979).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from saferoom_models.refusals import JointTrainingError, Refusal

PRIME: Final = 2**256 + 297
"""The least prime above every secret of 32 bytes."""
SECRET_BYTES: Final = 32
SHARE_BYTES: Final = 33
_DRAWN_BYTES: Final = 48
"""128 bits more than the prime has: what is left of them modulo it is uniform but for 2^-128."""


def split(secret: bytes, holders: int, threshold: int, random: Callable[[int], bytes]) -> list[int]:
    """Give each holder's share of a secret.

    Args:
        secret: 32 bytes.
        holders: how many there are.
        threshold: how many shares give the secret back.
        random: gives so many random bytes.
    """
    coefficients = [int.from_bytes(random(_DRAWN_BYTES)) % PRIME for _ in range(threshold - 1)]
    coefficients.insert(0, int.from_bytes(secret))
    shares: list[int] = []
    for point in range(1, holders + 1):
        value = 0
        for coefficient in reversed(coefficients):
            value = (value * point + coefficient) % PRIME
        shares.append(value)
    return shares


def join(shares: Mapping[int, int]) -> bytes:
    """Give the secret back from at least as many shares as it was split for, by holder.

    Raises:
        JointTrainingError: `BAD_SHARE` when what comes out is no secret of 32 bytes.
    """
    secret = 0
    for holder, share in shares.items():
        above, below = 1, 1
        for other in shares:
            if other != holder:
                above = above * (other + 1) % PRIME
                below = below * (other - holder) % PRIME
        secret = (secret + share * above * pow(below, -1, PRIME)) % PRIME
    if secret >= 1 << 8 * SECRET_BYTES:
        raise JointTrainingError(Refusal.BAD_SHARE, "the shares give no secret")
    return secret.to_bytes(SECRET_BYTES)


def write_share(share: int) -> bytes:
    """Write a share."""
    return share.to_bytes(SHARE_BYTES)


def read_share(data: bytes) -> int:
    """Read a share.

    Raises:
        JointTrainingError: `OUT_OF_RANGE`.
    """
    share = int.from_bytes(data)
    if len(data) != SHARE_BYTES or share >= PRIME:
        raise JointTrainingError(Refusal.OUT_OF_RANGE, "a share that is no number of the field")
    return share
