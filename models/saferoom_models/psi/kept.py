"""Which identifiers a side's saved state is of: those that it is taken up with, in their order."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from saferoom_models.psi.terms import AlignmentTerms
from saferoom_models.vertical import saved


def identifiers_digest(identifiers: Sequence[str]) -> bytes:
    """Give the digest of identifiers, in their order."""
    return hashlib.sha256("\0".join(identifiers).encode()).digest()


def read_same(state: bytes, terms: AlignmentTerms, identifiers: Sequence[str]) -> saved.Saved:
    """Read a saved state that is of these terms and identifiers.

    Raises:
        JointTrainingError: `BAD_STATE`.
    """
    found = saved.read_state(state)
    saved.check_same(found, "job", bytes.fromhex(terms.job))
    saved.check_same(found, "identifiers", identifiers_digest(identifiers))
    return found
