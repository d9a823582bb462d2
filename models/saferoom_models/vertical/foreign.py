"""The one place where bytes from the other side become keys and ciphertexts.

SEAL's reader is C++ and a mutated stream can crash it (measured, in 6 of 7 runs of up to 60
mutations), so whatever answers strangers belongs in a throw-away child. Before SEAL reads anything,
length and header are checked here; after it has, that the thing has the one shape that its place in
the protocol allows.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from tenseal import sealapi as seal

from saferoom_models.refusals import JointTrainingError, Refusal
from saferoom_models.vertical.scheme import DEGREE, scheme

_HEAD: Final = struct.Struct("<HBBBBHQ")
"""SEAL's stream header: magic, its own size, version, compression, reserved, whole size
(SEAL 4, native/src/seal/serialization.h)."""
_MAGIC: Final = 0xA15E
_MAJOR: Final = 4
_COMPRESSIONS: Final = (0, 1, 2)  # none, zlib, zstandard
_COEFFICIENT_BYTES: Final = 8
_SLACK_BYTES: Final = 2048
"""Headers, seed and compressor's frames around the coefficients; measured: 128 to 520 bytes."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What a foreign stream may hold: so many polynomials over so many primes."""

    name: str
    polynomials: int
    primes: int

    @property
    def most_bytes(self) -> int:
        """The longest such stream."""
        return self.polynomials * self.primes * DEGREE * _COEFFICIENT_BYTES + _SLACK_BYTES

    @property
    def least_bytes(self) -> int:
        """The shortest: coefficients of 60 of 64 bits, and of 18, cannot be packed below this."""
        return self.polynomials * self.primes * DEGREE * _COEFFICIENT_BYTES * 3 // 4


SEALED: Final = Kind("sealed by the key's owner", 1, 3)  # the second polynomial is a seed
REPLY: Final = Kind("blinded reply", 2, 1)
PUBLIC_KEY: Final = Kind("public key", 2, 4)


def check_stream(data: bytes, kind: Kind) -> None:
    """Check a stream's length and header.

    Raises:
        JointTrainingError: `WRONG_SIZE`, `BAD_CIPHERTEXT`.
    """
    if not kind.least_bytes <= len(data) <= kind.most_bytes:
        raise JointTrainingError(
            Refusal.WRONG_SIZE,
            f"a {kind.name} of {len(data)} bytes, not {kind.least_bytes} to {kind.most_bytes}",
        )
    magic, head, major, _, compression, reserved, size = _HEAD.unpack_from(data)
    if (magic, head, major, reserved) != (_MAGIC, _HEAD.size, _MAJOR, 0):
        raise JointTrainingError(Refusal.BAD_CIPHERTEXT, f"a {kind.name} is no stream of SEAL 4")
    if compression not in _COMPRESSIONS or size != len(data):
        raise JointTrainingError(
            Refusal.BAD_CIPHERTEXT, f"a {kind.name} says another size or compression than it has"
        )


def open_ciphertext(data: bytes, kind: Kind) -> seal.Ciphertext:
    """Read a foreign ciphertext: checked before and after SEAL has it.

    Raises:
        JointTrainingError: `WRONG_SIZE`, `BAD_CIPHERTEXT`.
    """
    check_stream(data, kind)
    own = scheme()
    found = seal.Ciphertext()
    try:
        own.load(found, data)
    except (RuntimeError, ValueError) as error:
        raise JointTrainingError(Refusal.BAD_CIPHERTEXT, f"SEAL refuses a {kind.name}") from error
    level = own.last if kind is REPLY else own.top
    shape = (found.size(), found.poly_modulus_degree(), found.coeff_modulus_size())
    if shape != (2, DEGREE, kind.primes) or found.parms_id() != level or found.is_ntt_form():
        raise JointTrainingError(Refusal.BAD_CIPHERTEXT, f"a {kind.name} has another shape")
    if found.is_transparent():
        raise JointTrainingError(Refusal.BAD_CIPHERTEXT, f"a {kind.name} that hides nothing")
    return found


def open_factor(data: bytes) -> seal.Ciphertext:
    """Read a sealed ciphertext and bring it into the form in which it is multiplied.

    Raises:
        JointTrainingError: as `open_ciphertext`.
    """
    opened = open_ciphertext(data, SEALED)
    scheme().evaluator.transform_to_ntt_inplace(opened)
    return opened


def open_public_key(data: bytes) -> seal.PublicKey:
    """Read a foreign public key. Whether it was made honestly cannot be told from it.

    Raises:
        JointTrainingError: `WRONG_SIZE`, `BAD_CIPHERTEXT`.
    """
    check_stream(data, PUBLIC_KEY)
    found = seal.PublicKey()
    try:
        scheme().load(found, data)
    except (RuntimeError, ValueError) as error:
        raise JointTrainingError(Refusal.BAD_CIPHERTEXT, "SEAL refuses a public key") from error
    if found.parms_id() != scheme().context.key_parms_id():
        raise JointTrainingError(Refusal.BAD_CIPHERTEXT, "a public key of other parameters")
    return found
