"""How the sum is opened: a bank and the aggregator compute it alike, from the same signed pieces.

No bank takes the aggregator's word for a sum: what it gets is every bank's masked numbers under
that bank's signature, and secrets that fit what these banks had signed before.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from saferoom_models.horizontal import masks
from saferoom_models.horizontal.masks import KEY_BYTES, Words
from saferoom_models.horizontal.messages import Due
from saferoom_models.refusals import JointTrainingError, Refusal


def read_words(body: bytes) -> Words:
    """Read numbers modulo 2^64."""
    return np.frombuffer(body, ">u8").astype(np.uint64)


def write_words(words: Words) -> bytes:
    """Write numbers modulo 2^64."""
    return words.astype(">u8").tobytes()


def sealing_key(keys: bytes) -> bytes:
    """Give the key for sealed shares from a body of KEYS."""
    return keys[:KEY_BYTES]


def masking_key(keys: bytes) -> bytes:
    """Give the key for shared masks from a body of KEYS."""
    return keys[KEY_BYTES : 2 * KEY_BYTES]


def seed_mark(keys: bytes) -> bytes:
    """Give the commitment to the seed of a bank's own mask from a body of KEYS."""
    return keys[2 * KEY_BYTES :]


def pair_mask(due: Due, secret: bytes, first: int, second: int, size: int) -> Words:
    """Give what the first of two banks adds for the second; the second adds the opposite."""
    low, high = sorted((first, second))
    context = due.context + bytes((low, high))
    mask = masks.shared_mask(secret, context, size)
    return mask if first < second else np.negative(mask)


def check_secret(keys: bytes, secret: bytes, *, survived: bool) -> None:
    """Check that a secret is the one that a bank's KEYS commits to.

    Raises:
        JointTrainingError: `BAD_SHARE`.
    """
    fits = (
        masks.commit(secret) == seed_mark(keys)
        if survived
        else masks.public_key(secret) == masking_key(keys)
    )
    if not fits:
        raise JointTrainingError(
            Refusal.BAD_SHARE, "a secret that does not fit what its bank committed to"
        )


def open_sum(
    due: Due,
    keys: Mapping[int, bytes],
    masked: Mapping[int, bytes],
    secrets: Mapping[int, bytes],
) -> Words:
    """Take all masks off.

    Args:
        due: the round.
        keys: bodies of KEYS of every bank that shared its secrets.
        masked: bodies of MASKED of those that survived.
        secrets: the seed of each that survived, the masking key of each other.

    Returns:
        The sum over those that survived, shape (size,).

    Raises:
        JointTrainingError: `BAD_SHARE`, `BAD_POINT`.
    """
    size = due.terms.size(due.round)
    total = np.zeros(size, np.uint64)
    for place, secret in secrets.items():
        check_secret(keys[place], secret, survived=place in masked)
    for place, body in masked.items():
        total += read_words(body)
        total -= masks.own_mask(secrets[place], due.context, size)
    for gone in keys.keys() - masked.keys():
        for place in masked:
            secret = masks.agree(secrets[gone], masking_key(keys[place]))
            total -= pair_mask(due, secret, place, gone, size)
    return total
