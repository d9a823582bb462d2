"""Shares of a whole: what each owner's enclave gives, and what they add up to.

Enclave i gives v_i = r_i * b_i + (zero-shares), modulo a prime. b_i is 0 if its owner's part
holds, else 1; r_i is a number that only enclave i can make; the zero-shares of all enclaves add up
to 0. So all shares add up to 0 if every part holds, and to a number that tells nothing if any does
not. All shares but one are uniform, whatever the parts are (PROTOCOLS section 6; docs/adr/0043).
Of a score of several owners v_i is the number of its own band, from 0 on, and the zero-shares
(docs/adr/0050).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self

from saferoom_proto.reasons import Reason, SafeRoomError

MODULUS: Final = (1 << 128) - 159
"""The largest prime of 128 bits: a share fits into 16 bytes. Prime, so that r * b is uniform for
every b but 0; a wrong "yes" has a probability of 2**-128."""
SHARE_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Share:
    """What one owner's enclave gives of a whole. Alone it tells nothing."""

    value: int

    def __post_init__(self) -> None:
        if not 0 <= self.value < MODULUS:
            raise SafeRoomError(Reason.MALFORMED, "a share is not below its modulus")

    def to_bytes(self) -> bytes:
        """Write the 16 bytes."""
        return self.value.to_bytes(SHARE_BYTES, "big")

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read the 16 bytes; `MALFORMED` for others."""
        if len(data) != SHARE_BYTES:
            raise SafeRoomError(Reason.MALFORMED, f"a share has {SHARE_BYTES} bytes")
        return cls(int.from_bytes(data, "big"))

    def __str__(self) -> str:
        return "a share"


def all_hold(shares: Iterable[Share]) -> bool:
    """Tell whether all parts of a conjunction hold, from the shares of all of its owners."""
    return added_up(shares) == 0


def added_up(shares: Iterable[Share]) -> int:
    """Give what the shares of all owners add up to."""
    return sum(share.value for share in shares) % MODULUS
