"""Identifiers as points of Curve25519, and points multiplied by a secret.

An identifier becomes a point by RFC 9380, suite curve25519_XMD:SHA-512_ELL2_NU_. Its last step,
which clears the cofactor, is X25519's own: its scalars are multiples of 8 (RFC 7748, section 5).
A digest taken for a coordinate as it is would be simpler, and half of the time lie on the curve's
twist: then each blinded point tells one bit of whom it stands for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from concurrent.futures import Executor
from itertools import repeat
from typing import Final

import gmpy2
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from saferoom_models.refusals import JointTrainingError, Refusal

POINT_BYTES: Final = 32
P: Final = 2**255 - 19
_A: Final = 486662
"""The curve is v^2 = u^3 + A u^2 + u (RFC 7748, section 4.1)."""
_TAG: Final = b"saferoom-psi-1-curve25519_XMD:SHA-512_ELL2_NU_"
_FIELD_BYTES: Final = 48  # ceil((255 + 128) / 8), RFC 9380 section 5.1
_BLOCK_BYTES: Final = 128  # of SHA-512
BLOCK: Final = 4096
"""Points that go to a worker at a time: a tenth of a second's work."""
SHARED_BLOCKS: Final = 4
"""From so many on work is shared out: starting a process takes longer than a few of them."""


def to_field(message: bytes, tag: bytes) -> int:
    """Hash a message to a number modulo P: hash_to_field with one count over expand_message_xmd.

    Source: RFC 9380, sections 5.2 and 5.3.1; 48 bytes need one block of SHA-512.
    """
    tagged = tag + bytes([len(tag)])
    asked = _FIELD_BYTES.to_bytes(2, "big")
    first = hashlib.sha512(bytes(_BLOCK_BYTES) + message + asked + b"\0" + tagged).digest()
    block = hashlib.sha512(first + b"\1" + tagged).digest()
    return int.from_bytes(block[:_FIELD_BYTES], "big") % P


def to_curve(element: int) -> int:
    """Map a number modulo P to the u of a point on the curve.

    Source: RFC 9380, section 6.7.1 (Elligator 2, with Z = 2). 1 + 2 t^2 is never 0: -1/2 is no
    square modulo P.
    """
    # x1 = -A / d; x1^3 + A x1^2 + x1 is a square where its numerator times d is one.
    d = (1 + 2 * element * element) % P
    square = gmpy2.legendre(-_A * (_A * _A - _A * _A * d + d * d) * d % P, P) >= 0
    first = -_A * int(gmpy2.invert(d, P)) % P
    return first if square else (-first - _A) % P


def hash_to_point(job: bytes, identifier: str) -> bytes:
    """Give an identifier's point for a job: under another job it is another one."""
    return to_curve(to_field(job + identifier.encode(), _TAG)).to_bytes(POINT_BYTES, "little")


def blind(
    secret: bytes, job: bytes, identifiers: Sequence[str], executor: Executor | None
) -> list[bytes]:
    """Hash identifiers to points and multiply each by a secret, in their order.

    Args:
        secret: 32 random bytes.
        job: what the points are bound to.
        identifiers: in the one form that both sides write them in.
        executor: shares much work out, in blocks; none does all of it here.
    """
    blocks = [identifiers[at : at + BLOCK] for at in range(0, len(identifiers), BLOCK)]
    work = (_blind_block, repeat(secret), repeat(job), blocks)
    shared = executor if len(blocks) >= SHARED_BLOCKS else None
    return split(b"".join(shared.map(*work) if shared else map(*work)))


def multiply(secret: bytes, points: Sequence[bytes], executor: Executor | None) -> list[bytes]:
    """Multiply the other side's points by a secret, in their order.

    Raises:
        JointTrainingError: `BAD_POINT` for one of small order.
    """
    blocks = [b"".join(points[at : at + BLOCK]) for at in range(0, len(points), BLOCK)]
    work = (_multiply_block, repeat(secret), blocks)
    shared = executor if len(blocks) >= SHARED_BLOCKS else None
    try:
        return split(b"".join(shared.map(*work) if shared else map(*work)))
    except ValueError as error:
        raise JointTrainingError(Refusal.BAD_POINT, "a point of small order") from error


def split(points: bytes) -> list[bytes]:
    """Cut points that stand one after the other."""
    return [points[at : at + POINT_BYTES] for at in range(0, len(points), POINT_BYTES)]


def check_points(points: Iterable[bytes]) -> None:
    """Check that each is a point of the curve in its one encoding.

    Raises:
        JointTrainingError: `BAD_POINT`.
    """
    for point in points:
        u = int.from_bytes(point, "little")
        if u >= P:
            raise JointTrainingError(Refusal.BAD_POINT, "a point not in its shortest form")
        if gmpy2.legendre((u * u + _A * u + 1) * u % P, P) < 0:
            raise JointTrainingError(Refusal.BAD_POINT, "a point beside the curve")


# What workers run takes and gives what pickle can carry; a refusal is made of its error above.


def _blind_block(secret: bytes, job: bytes, identifiers: Sequence[str]) -> bytes:
    return _multiply_block(secret, b"".join(hash_to_point(job, each) for each in identifiers))


def _multiply_block(secret: bytes, points: bytes) -> bytes:
    key = X25519PrivateKey.from_private_bytes(secret)
    return b"".join(
        key.exchange(X25519PublicKey.from_public_bytes(point)) for point in split(points)
    )
