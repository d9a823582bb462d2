"""BFV as joint training uses it: parameters, keys, and plaintexts made by numpy.

Security: the table of the Homomorphic Encryption Standard (Albrecht et al.,
HomomorphicEncryption.org, November 2018, table 1, ternary secret, classical attacks) allows 218
bits of modulus at degree 8192 for 128 bits of security. Ours has 198: three primes of 60 bits and a
special one of 18. SEAL is told to hold the same table (TC128) and refuses what exceeds it.

The plaintext modulus is SEAL's 50-bit batching prime for that degree: numbers can stand in slots
(to be multiplied place by place) and in coefficients (for inner products) under one context. Three
primes, because a reply is switched down by two of them, 120 bits, which drowns what its noise could
tell (`blinding`).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import lru_cache
from typing import Final, Protocol

import numpy as np
from tenseal import sealapi as seal

from saferoom_models.arrays import Floats, Integers

NAME: Final = "BFV-8192-60.60.60.18-T50"
"""Stands in the terms: sides with other parameters do not start."""
DEGREE: Final = 8192
PRIME_BITS: Final = (60, 60, 60, 18)
PLAIN_BITS: Final = 50
MODULUS: Final = 1125899906826241
"""SEAL's largest prime of 50 bits that is 1 modulo 2·8192; a test compares it."""

Entropy = Callable[[int], bytes]
"""Gives as many random bytes as asked for."""

_PLAIN_HEAD: Final = struct.Struct("<32xQd")  # no parameters' id (not in NTT form), count, scale
_WORD_BYTES: Final = 8


class _Saved(Protocol):
    def save(self, path: str, /) -> None: ...


class _Loaded(Protocol):
    def load(self, context: seal.SEALContext, path: str, /) -> None: ...


_lent: list[int] = []


def lend_place(file: int) -> None:
    """Have SEAL's streams pass through this file, for a process that may make none in memory."""
    _lent[:] = [file]


@contextmanager
def _place() -> Generator[tuple[int, str]]:
    """Lend a file without a name: SEAL's bindings read and write paths only."""
    if _lent:
        os.ftruncate(_lent[0], 0)
        yield _lent[0], f"/proc/self/fd/{_lent[0]}"
        return
    file = os.memfd_create("seal", os.MFD_CLOEXEC)
    try:
        yield file, f"/proc/self/fd/{file}"
    finally:
        os.close(file)


def to_bytes(thing: _Saved) -> bytes:
    """Give SEAL's stream of a key, plaintext or ciphertext."""
    with _place() as (file, path):
        thing.save(path)
        return os.pread(file, os.fstat(file).st_size, 0)


class Scheme:
    """One context, and what is made under it. Immutable after it is built."""

    def __init__(self) -> None:
        parameters = seal.EncryptionParameters(seal.SCHEME_TYPE.BFV)
        parameters.set_poly_modulus_degree(DEGREE)
        parameters.set_coeff_modulus(seal.CoeffModulus.Create(DEGREE, list(PRIME_BITS)))
        parameters.set_plain_modulus(seal.PlainModulus.Batching(DEGREE, PLAIN_BITS))
        self.context = seal.SEALContext(
            parameters,
            True,  # the whole chain of moduli, to switch down along it
            seal.SEC_LEVEL_TYPE.TC128,
        )
        if self.context.parameters_error_message() != "valid":
            raise RuntimeError(self.context.parameters_error_message())
        self.evaluator = seal.Evaluator(self.context)
        self.top: list[int] = self.context.first_parms_id()
        self.last: list[int] = self.context.last_parms_id()
        self._encoder = seal.BatchEncoder(self.context)
        empty = seal.Plaintext()
        # Magic, header's size and version as this SEAL writes them; then: nothing compressed.
        self._stream = to_bytes(empty)[:5] + bytes(3)

    def load(self, thing: _Loaded, data: bytes) -> None:
        """Read SEAL's stream of our own; foreign ones go through `foreign` alone."""
        with _place() as (file, path):
            os.pwrite(file, data, 0)
            thing.load(self.context, path)

    def coefficients(self, values: Integers) -> seal.Plaintext:
        """Make the polynomial with these coefficients, at most 8192, taken modulo T."""
        words = np.mod(values, MODULUS).astype("<u8")
        array = struct.pack("<Q", len(words)) + words.tobytes()
        inner = self._stream + struct.pack("<Q", 16 + len(array)) + array
        body = _PLAIN_HEAD.pack(len(words), 1.0) + inner
        plain = seal.Plaintext()
        self.load(plain, self._stream + struct.pack("<Q", 16 + len(body)) + body)
        return plain

    def slots(self, values: Integers) -> seal.Plaintext:
        """Make the plaintext with these numbers in its slots, at most 8192, taken modulo T."""
        plain = seal.Plaintext()
        self._encoder.encode(np.mod(values, MODULUS).astype(np.uint64).tolist(), plain)
        return plain

    def factor(self, plain: seal.Plaintext) -> seal.Plaintext:
        """Bring a plaintext, in place, into the form in which ciphertexts are multiplied by it."""
        self.evaluator.transform_to_ntt_inplace(plain, self.top)
        return plain

    def multiplier(self, values: Integers) -> seal.Plaintext | None:
        """Make the factor with these coefficients; none of noughts, by which SEAL multiplies not.

        Whoever multiplies leaves such a term out.
        """
        return self.factor(self.coefficients(values)) if values.any() else None

    def read_slots(self, plain: seal.Plaintext) -> Integers:
        """Give the 8192 numbers, from 0 to T - 1, in a plaintext's slots."""
        return np.array(self._encoder.decode_uint64(plain), dtype=np.uint64).astype(np.int64)


@lru_cache(maxsize=1)
def scheme() -> Scheme:
    """Give the one scheme of this process; its tables take a tenth of a second."""
    return Scheme()


class Key:
    """The label side's secret key, made for one job, with what only it can do."""

    def __init__(self, secret: seal.SecretKey) -> None:
        self._scheme = scheme()
        self._secret = secret
        self._encryptor = seal.Encryptor(self._scheme.context, secret)
        self._decryptor = seal.Decryptor(self._scheme.context, secret)

    @classmethod
    def fresh(cls) -> tuple[Key, bytes]:
        """Make a key and its public half's bytes, from SEAL's generator (seeded by the system)."""
        generator = seal.KeyGenerator(scheme().context)
        public = seal.PublicKey()
        generator.create_public_key(public)
        return cls(generator.secret_key()), to_bytes(public)

    @classmethod
    def restore(cls, data: bytes) -> Key:
        """Take up the key from bytes that `save` gave."""
        secret = seal.SecretKey()
        scheme().load(secret, data)
        return cls(secret)

    def save(self) -> bytes:
        """Give the secret key's bytes: whoever keeps them must seal them."""
        return to_bytes(self._secret)

    def seal(self, plain: seal.Plaintext) -> bytes:
        """Encrypt; the second polynomial travels as the seed it came from: half the size."""
        return to_bytes(self._encryptor.encrypt_symmetric(plain))

    def open(self, ciphertext: seal.Ciphertext) -> seal.Plaintext:
        """Decrypt."""
        plain = seal.Plaintext()
        self._decryptor.decrypt(ciphertext, plain)
        return plain


def centred(values: list[int]) -> Floats:
    """Read numbers modulo T as signed ones: what exceeds T/2 is negative."""
    return np.array([v - MODULUS if v > MODULUS // 2 else v for v in values], dtype=np.float64)


def uniform(count: int, entropy: Entropy) -> Integers:
    """Draw numbers from 0 to T - 1, each equally likely, by rejection."""
    found: list[Integers] = []
    missing = count
    while missing > 0:
        # T is just below 2^50, so hardly any is rejected; a few more spare a second draw.
        words = np.frombuffer(entropy(_WORD_BYTES * (missing + 8)), "<u8")
        drawn = (words >> np.uint64(64 - PLAIN_BITS)).astype(np.int64)
        kept = drawn[drawn < MODULUS][:missing]
        found.append(kept)
        missing -= len(kept)
    return np.concatenate(found) if found else np.zeros(0, np.int64)
