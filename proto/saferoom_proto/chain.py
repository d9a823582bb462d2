"""Running hashes: one digest that stands for a whole sequence, in its order.

An enclave's own answers and each statement stream run under one: who holds the newest head notices
an entry that was changed, left out, added or moved anywhere before it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from saferoom_proto.encoding import check_digest
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.suite import Suite, suite_of

_LABEL: Final = b"saferoom chain v1\n"


def genesis(suite: Suite) -> str:
    """Give the head of an empty chain. No known bytes hash to it."""
    return suite.named(bytes(32))


GENESIS: Final = genesis(Suite.INTERNATIONAL)
"""The international suite's."""


def extend(previous: str, digest: str) -> str:
    """Give the head after one more entry.

    Args:
        previous: the head before it, `genesis` for the first.
        digest: of the entry, in the chain's suite.

    Raises:
        SafeRoomError: `MALFORMED` for anything but two digests of one suite.
    """
    suite = suite_of(digest)
    if suite_of(previous) is not suite:
        raise SafeRoomError(Reason.MALFORMED, "a chain is of one crypto suite")
    lines = (previous.encode("ascii"), digest.encode("ascii"))
    return suite.digest(_LABEL + b"".join(line + b"\n" for line in lines))


def head_of(digests: Iterable[str], start: str = GENESIS) -> str:
    """Give the head after a sequence of entries, from the empty chain or a known head."""
    head = check_digest(start)
    for digest in digests:
        head = extend(head, digest)
    return head
