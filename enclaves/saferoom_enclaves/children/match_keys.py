"""Makes a Paillier key; imported in a child only, which holds no record and no other key.

The primes are the next ones after uniform numbers whose two highest bits are set, so that their
product has all its bits.
"""

from __future__ import annotations

import secrets

import gmpy2

from saferoom_enclaves.children.jobs import KeyMade, MakeKey


def match_key(job: MakeKey) -> KeyMade:
    """Make two primes, and a random number to the power of their product."""
    p = q = _prime(job.bits // 2)
    while p == q:
        q = _prime(job.bits // 2)
    modulus = p * q
    mask = int(gmpy2.powmod(secrets.randbelow(modulus - 1) + 1, modulus, modulus * modulus))
    return KeyMade(p=f"{p:x}", q=f"{q:x}", mask=f"{mask:x}")


def _prime(bits: int) -> int:
    while True:
        start = secrets.randbits(bits) | (3 << (bits - 2))
        prime = int(gmpy2.next_prime(start))
        if prime.bit_length() == bits:
            return prime
