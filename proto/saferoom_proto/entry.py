"""The ledger's leaf: a salted commitment to a signed statement, which tells nothing by itself.

Who holds salt and statement can show what the entry is; deleting the salt erases it, and the log
stays whole. HMAC under a fresh random key is the commitment: the hash binds it, the salt hides it.
"""

from __future__ import annotations

from typing import Final

from saferoom_proto.encoding import b64
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.suite import suite_of

SALT_BYTES: Final = 32
COMMITMENT_BYTES: Final = 32

_LABEL: Final = b"saferoom entry v1\n"
"""Says what the leaf is, so that no other leaf of the log can be taken for one."""


def commitment(salt: bytes, statement_digest: str) -> bytes:
    """Commit to a statement by its digest: HMAC(salt, digest) by the digest's hash, 32 bytes.

    Args:
        salt: 32 random bytes, used for this entry alone. The length is fixed because HMAC pads
            shorter keys with zeros: two salts would open the same commitment.
        statement_digest: of the statement's DSSE pre-authentication encoding.

    Raises:
        SafeRoomError: `MALFORMED`.
    """
    if len(salt) != SALT_BYTES:
        raise SafeRoomError(Reason.MALFORMED, f"an entry's salt has {SALT_BYTES} bytes")
    return suite_of(statement_digest).hmac(salt, statement_digest.encode("ascii"))


def leaf(commitment: bytes) -> bytes:
    """Write the leaf's bytes: what the log hashes and anyone may see.

    Raises:
        SafeRoomError: `MALFORMED`.
    """
    if len(commitment) != COMMITMENT_BYTES:
        raise SafeRoomError(Reason.MALFORMED, f"a commitment has {COMMITMENT_BYTES} bytes")
    return _LABEL + b64(commitment).encode("ascii") + b"\n"
