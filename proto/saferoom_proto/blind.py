"""A blind match: whether a value that only the asker knows is the one that is held.

The enclave offers Enc(x) of what is held, under a Paillier key made for this one question. The
asker, with v, gives Enc(r * (x - v)) back, r uniform. The enclave tells only whether that is 0: so
it never learns v, and the asker learns of x whether it is v (PROTOCOLS section 7; docs/adr/0044).

x and v are the 16-byte tags of values in their form (`stated.tag_of`), far below the modulus: x - v
is 0, or has an inverse, and then r * (x - v) is uniform among what has one.

Source: Paillier, "Public-Key Cryptosystems Based on Composite Degree Residuosity Classes",
EUROCRYPT 1999, with generator 1 + N.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Self, SupportsInt

from saferoom_proto.reasons import Reason, SafeRoomError

MODULUS_BITS: Final = 3072
"""128 bits of security (NIST SP 800-57 part 1, table 2)."""
MODULUS_BYTES: Final = MODULUS_BITS // 8
CIPHERTEXT_BYTES: Final = 2 * MODULUS_BYTES
OFFER_BYTES: Final = MODULUS_BYTES + CIPHERTEXT_BYTES
_ANSWER: Final = bytes([1, 4])
"""Format 1, kind 4: the other kinds are those of `saferoom_proto.answer`."""
_SALT_BYTES: Final = 32
_SMALL_PRIMES: Final = math.prod(
    each for each in range(3, 1000, 2) if all(each % one for one in range(3, 32, 2) if one < each)
)
"""No modulus that was made as it should be has such a factor. It catches a mistake, not a liar: an
enclave that makes its modulus of primes just above these learns the asker's whole value."""


@dataclass(frozen=True, slots=True)
class Offer:
    """An enclave's first message: a modulus made for one question, and Enc(x) under it."""

    modulus: int
    ciphertext: int

    def __post_init__(self) -> None:
        odd = self.modulus % 2 and math.gcd(self.modulus, _SMALL_PRIMES) == 1
        if self.modulus.bit_length() != MODULUS_BITS or not odd:
            raise SafeRoomError(Reason.MALFORMED, "not a modulus that anybody honest makes")
        require_ciphertext(self.ciphertext, self.modulus)

    def to_bytes(self) -> bytes:
        """Write it: the modulus and the ciphertext, big-endian."""
        modulus = self.modulus.to_bytes(MODULUS_BYTES, "big")
        return modulus + self.ciphertext.to_bytes(CIPHERTEXT_BYTES, "big")

    def to_answer(self, salt: bytes) -> bytes:
        """Give the bytes that are sealed to the asker, with the salt of their commitment."""
        return _ANSWER + self.to_bytes() + salt

    @classmethod
    def of_answer(cls, data: bytes) -> Self:
        """Read what was sealed to the asker; `MALFORMED` for an answer or anything else."""
        if not is_offer(data):
            raise SafeRoomError(Reason.MALFORMED, "no offer of a blind match")
        return cls.from_bytes(data[len(_ANSWER) : -_SALT_BYTES])

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read it; `MALFORMED` for anything else."""
        if len(data) != OFFER_BYTES:
            raise SafeRoomError(Reason.MALFORMED, f"an offer has {OFFER_BYTES} bytes")
        modulus, ciphertext = data[:MODULUS_BYTES], data[MODULUS_BYTES:]
        return cls(int.from_bytes(modulus, "big"), int.from_bytes(ciphertext, "big"))


def is_offer(answer: bytes) -> bool:
    """Tell whether what was sealed to an asker is an offer, by its kind and length."""
    return answer[:2] == _ANSWER and len(answer) == len(_ANSWER) + OFFER_BYTES + _SALT_BYTES


def require_ciphertext(ciphertext: int, modulus: int) -> None:
    """Refuse with `MALFORMED` what is no ciphertext under a modulus.

    One that shares a factor with the modulus would show that factor.
    """
    if not 0 < ciphertext < modulus * modulus or math.gcd(ciphertext, modulus) != 1:
        raise SafeRoomError(Reason.MALFORMED, "no ciphertext under this modulus")


def encrypted(tag: bytes, modulus: int, mask: int) -> int:
    """Encrypt a tag.

    Args:
        tag: of the value.
        modulus: N.
        mask: an encryption of 0 under it; used once.
    """
    square = modulus * modulus
    return (1 + int.from_bytes(tag, "big") * modulus) * mask % square


def matched(offer: Offer, tag: bytes, power: Callable[[int, int, int], SupportsInt] = pow) -> bytes:
    """Make the asker's message from an offer and its own value's tag: Enc(r * (x - v)).

    Args:
        offer: the enclave's.
        tag: of the value.
        power: raises to a power under a modulus; with Python's own it takes about a second.
    """
    modulus, square = offer.modulus, offer.modulus * offer.modulus
    stated = 1 - int.from_bytes(tag, "big") * modulus
    difference = offer.ciphertext * stated % square
    product = int(power(difference, _unit(modulus), square))
    masked = product * int(power(_unit(modulus), modulus, square)) % square
    return masked.to_bytes(CIPHERTEXT_BYTES, "big")


def _unit(modulus: int) -> int:
    """Give a uniform number that has an inverse modulo N."""
    while True:
        number = secrets.randbelow(modulus)
        if math.gcd(number, modulus) == 1:
            return number
