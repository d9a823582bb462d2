"""A Merkle tree that is built once over all of its leaves and kept whole: a batch's.

Source: RFC 9162 section 2.1; a last node without a neighbour moves up as it is, which gives the
same tree as dividing at the largest power of two.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

from saferoom_proto.merkle import EMPTY_ROOT
from saferoom_proto.reasons import Reason, SafeRoomError

_NODE: Final = b"\x01"


class Tree:
    """The tree over some leaves' hashes.

    Args:
        leaves: the hashes, from `merkle.leaf_hash` or its like.
    """

    def __init__(self, leaves: Sequence[bytes]) -> None:
        sha256 = hashlib.sha256
        levels = [list(leaves)]
        while len(below := levels[-1]) > 1:
            pairs = zip(below[::2], below[1::2], strict=False)
            above = [sha256(_NODE + left + right).digest() for left, right in pairs]
            if len(below) & 1:
                above.append(below[-1])
            levels.append(above)
        self._levels: Final = levels

    @property
    def root(self) -> bytes:
        """The tree's root."""
        top = self._levels[-1]
        return top[0] if top else EMPTY_ROOT

    def path(self, index: int) -> tuple[bytes, ...]:
        """Give the hashes beside the way from a leaf up to the root (`merkle.verify_inclusion`).

        Raises:
            SafeRoomError: `MALFORMED` if there is no such leaf.
        """
        if not 0 <= index < len(self._levels[0]):
            raise SafeRoomError(Reason.MALFORMED, f"no leaf {index}")
        hashes: list[bytes] = []
        for nodes in self._levels[:-1]:
            if index ^ 1 < len(nodes):
                hashes.append(nodes[index ^ 1])
            index >>= 1
        return tuple(hashes)
