"""Makes a Paillier key; imported in a child only, which holds no record and no other key."""

from __future__ import annotations

from phe import generate_paillier_keypair

from saferoom_enclaves.children.jobs import KeyMade, MakeKey


def match_key(job: MakeKey) -> KeyMade:
    """Make a key, and an encryption of 0 under it: what hides the one tag that it will hide."""
    public, private = generate_paillier_keypair(n_length=job.bits)
    return KeyMade(p=f"{private.p:x}", q=f"{private.q:x}", mask=f"{public.raw_encrypt(0):x}")
