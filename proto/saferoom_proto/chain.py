"""Running hashes: one digest that stands for a whole sequence, in its order.

An enclave's own answers and each statement stream run under one: who holds the newest head notices
an entry that was changed, left out, added or moved anywhere before it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from saferoom_proto.encoding import check_digest, sha256_digest

GENESIS: Final = "sha256:" + "0" * 64
"""The head of an empty chain. No known bytes hash to it."""

_LABEL: Final = b"saferoom chain v1\n"


def extend(previous: str, digest: str) -> str:
    """Give the head after one more entry.

    Args:
        previous: the head before it, `GENESIS` for the first.
        digest: of the entry; both are `sha256:` and hex.

    Raises:
        SafeRoomError: `MALFORMED` for anything but digests.
    """
    lines = (check_digest(previous).encode("ascii"), check_digest(digest).encode("ascii"))
    return sha256_digest(_LABEL + b"".join(line + b"\n" for line in lines))


def head_of(digests: Iterable[str], start: str = GENESIS) -> str:
    """Give the head after a sequence of entries, from the empty chain or a known head."""
    head = check_digest(start)
    for digest in digests:
        head = extend(head, digest)
    return head
