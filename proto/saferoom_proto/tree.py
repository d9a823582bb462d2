"""A Merkle tree that is built once over all of its leaves and kept whole: a batch's.

Source: RFC 9162 section 2.1; a last node without a neighbour moves up as it is, which gives the
same tree as dividing at the largest power of two.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from saferoom_proto.merkle import empty_root
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.suite import Suite

_NODE: Final = b"\x01"


class Tree:
    """The tree over some leaves' hashes.

    Args:
        leaves: the hashes, from `merkle.leaf_hash` or its like.
        suite: whose hash they were made with.
    """

    def __init__(self, leaves: Sequence[bytes], suite: Suite = Suite.INTERNATIONAL) -> None:
        hashed = suite.hash
        levels = [list(leaves)]
        while len(below := levels[-1]) > 1:
            pairs = zip(below[::2], below[1::2], strict=False)
            above = [hashed(_NODE + left + right) for left, right in pairs]
            if len(below) & 1:
                above.append(below[-1])
            levels.append(above)
        self._levels: Final = levels
        self._suite: Final = suite

    @property
    def root(self) -> bytes:
        """The tree's root."""
        top = self._levels[-1]
        return top[0] if top else empty_root(self._suite)

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
