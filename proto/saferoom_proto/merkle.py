"""The Merkle tree of the ledger and of a batch: hashing, proving, and checking proofs.

A log keeps the hash of every complete subtree once its last leaf is there, under (level, index):
level 0 holds the leaves' hashes, and node (l, i) covers the leaves from i·2^l to (i+1)·2^l. Those
hashes never change. Every root and proof, of now or of any earlier size, is made of O(log n) of
them, so server, enclave and auditor share these functions and each brings its own storage.

A room of the suite guomi hashes with SM3 where the standard has SHA-256, and is the same tree
otherwise.

Source: RFC 9162 section 2.1 (the tree of RFC 6962).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.suite import Suite

HASH_BYTES: Final = 32


def empty_root(suite: Suite) -> bytes:
    """Give the root of the tree without leaves (RFC 9162 section 2.1.1)."""
    return suite.hash(b"")


EMPTY_ROOT: Final = empty_root(Suite.INTERNATIONAL)
"""The standard's own, by SHA-256."""

# Two prefixes keep a node's input from being taken for a leaf (RFC 9162 section 2.1.1).
_LEAF: Final = b"\x00"
_NODE: Final = b"\x01"

NodeReader = Callable[[int, int], bytes]
"""Gives the stored hash of the complete subtree at (level, index)."""

Subtree = tuple[int, int]
"""The leaves from the one index up to, not including, the other, below one node of some tree."""


def leaf_hash(data: bytes, suite: Suite = Suite.INTERNATIONAL) -> bytes:
    """Hash a leaf's bytes."""
    return suite.hash(_LEAF + data)


def node_hash(left: bytes, right: bytes, suite: Suite = Suite.INTERNATIONAL) -> bytes:
    """Hash two neighbouring subtrees into their parent."""
    return suite.hash(_NODE + left + right)


def verify_inclusion(
    index: int,
    size: int,
    leaf: bytes,
    proof: Sequence[bytes],
    root: bytes,
    *,
    suite: Suite = Suite.INTERNATIONAL,
) -> None:
    """Check that a leaf stands at an index of the tree with this size and root.

    Args:
        index: of the leaf, from 0.
        size: leaves in the tree.
        leaf: the leaf's hash, from `leaf_hash`.
        proof: hashes of the subtrees beside the path, from the leaf upwards.
        root: the tree's root.
        suite: whose hash the tree is made with.

    Raises:
        SafeRoomError: `BAD_PROOF`.
    """
    verify_subtree_inclusion(index, (0, size), leaf, proof, root, suite=suite)


def verify_subtree_inclusion(
    index: int,
    subtree: Subtree,
    leaf: bytes,
    proof: Sequence[bytes],
    root: bytes,
    *,
    suite: Suite = Suite.INTERNATIONAL,
) -> None:
    """Check that a leaf stands at an index of a subtree: some leaves in a row, and their root.

    Args:
        index: of the leaf, in the whole tree.
        subtree: from where to where.
        leaf: the leaf's hash.
        proof: as for the whole tree.
        root: the subtree's.
        suite: whose hash the tree is made with.

    Raises:
        SafeRoomError: `BAD_PROOF`.

    Source: draft-ietf-plants-merkle-tree-certs-02 section 4.3; a subtree that begins at 0 is a
        tree of RFC 9162.
    """
    start, end = subtree
    if not start <= index < end:
        raise SafeRoomError(Reason.BAD_PROOF, f"no leaf {index} in a tree of {end}")
    _require_subtree(start, end)
    _require_hashes(leaf, root, *proof)
    # RFC 9162 section 2.1.3.2, its names: fn walks up from the leaf, sn from the last leaf.
    fn, sn, hashed = index - start, end - start - 1, leaf
    for sibling in proof:
        if sn == 0:
            raise SafeRoomError(Reason.BAD_PROOF, "the inclusion proof is too long")
        if fn & 1 or fn == sn:
            hashed = node_hash(sibling, hashed, suite)
            passed = _missing_levels(fn)
            fn, sn = fn >> passed, sn >> passed
        else:
            hashed = node_hash(hashed, sibling, suite)
        fn, sn = fn >> 1, sn >> 1
    if sn != 0 or hashed != root:
        raise SafeRoomError(Reason.BAD_PROOF, "the inclusion proof does not lead to the root")


def verify_consistency(
    size1: int,
    size2: int,
    proof: Sequence[bytes],
    root1: bytes,
    root2: bytes,
    *,
    suite: Suite = Suite.INTERNATIONAL,
) -> None:
    """Check that the larger tree begins with exactly the leaves of the smaller one.

    An empty tree is refused: everything is consistent with it, so a proof would say nothing. Who
    has seen nothing yet takes the first tree on the signature alone, and says so.

    Args:
        size1: leaves in the earlier tree, at least 1.
        size2: leaves in the later tree.
        proof: as `consistency_path` gives it; empty for equal sizes.
        root1: the earlier root.
        root2: the later root.
        suite: whose hash the trees are made with.

    Raises:
        SafeRoomError: `BAD_PROOF`.
    """
    if size1 < 1:
        raise SafeRoomError(Reason.BAD_PROOF, f"no consistency from size {size1} to {size2}")
    verify_subtree_consistency((0, size1), size2, proof, root1, root2, suite=suite)


def verify_subtree_consistency(
    subtree: Subtree,
    size: int,
    proof: Sequence[bytes],
    subtree_root: bytes,
    root: bytes,
    *,
    suite: Suite = Suite.INTERNATIONAL,
) -> None:
    """Check that a tree holds exactly the leaves of a subtree at that subtree's place.

    Args:
        subtree: from where to where.
        size: leaves in the tree.
        proof: of the one to the other.
        subtree_root: the subtree's root.
        root: the tree's.
        suite: whose hash the tree is made with.

    Raises:
        SafeRoomError: `BAD_PROOF`.

    Source: draft-ietf-plants-merkle-tree-certs-02 section 4.4.3; from a subtree that begins at 0 it
        is the consistency proof of RFC 9162 section 2.1.4.2.
    """
    start, end = subtree
    if not 0 <= start <= end <= size:
        raise SafeRoomError(Reason.BAD_PROOF, f"no consistency from size {end} to {size}")
    if start == end or end - start == size:
        if proof or subtree_root != (empty_root(suite) if start == end else root):
            raise SafeRoomError(Reason.BAD_PROOF, f"two trees of size {end - start}")
        return
    _require_subtree(start, end)
    _require_hashes(subtree_root, root, *proof)
    # The standard's names: fn and sn walk up from the subtree's ends, tn from the tree's end.
    fn, sn, tn = start, end - 1, size - 1
    while fn != sn and (sn == tn or sn & 1):
        fn, sn, tn = fn >> 1, sn >> 1, tn >> 1
    # fr and sr grow into the two roots. Where the subtree is one node, they begin at its root.
    hashes = [subtree_root, *proof] if fn == sn else list(proof)
    if not hashes:
        raise SafeRoomError(Reason.BAD_PROOF, "the consistency proof is empty")
    fr = sr = hashes[0]
    for sibling in hashes[1:]:
        if tn == 0:
            raise SafeRoomError(Reason.BAD_PROOF, "the consistency proof is too long")
        if sn & 1 or sn == tn:
            fr = node_hash(sibling, fr, suite) if fn < sn else fr
            sr = node_hash(sibling, sr, suite)
            passed = _missing_levels(sn)
            fn, sn, tn = fn >> passed, sn >> passed, tn >> passed
        else:
            sr = node_hash(sr, sibling, suite)
        fn, sn, tn = fn >> 1, sn >> 1, tn >> 1
    if tn != 0 or fr != subtree_root or sr != root:
        raise SafeRoomError(Reason.BAD_PROOF, "the consistency proof does not lead to both roots")


def root(size: int, node: NodeReader, suite: Suite = Suite.INTERNATIONAL) -> bytes:
    """Give the root of the tree's first `size` leaves."""
    return _range_hash(0, size, node, suite) if size else empty_root(suite)


def inclusion_path(
    index: int, size: int, node: NodeReader, suite: Suite = Suite.INTERNATIONAL
) -> tuple[bytes, ...]:
    """Give the proof that a leaf stands in the tree of this size, from the leaf upwards.

    Raises:
        SafeRoomError: `MALFORMED` if that tree has no such leaf.
    """
    if not 0 <= index < size:
        raise SafeRoomError(Reason.MALFORMED, f"no leaf {index} in a tree of {size}")
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(_range_hash(middle, end, node, suite))
            end = middle
        else:
            path.append(_range_hash(start, middle, node, suite))
            start = middle
    return tuple(reversed(path))


def consistency_path(
    size1: int, size2: int, node: NodeReader, suite: Suite = Suite.INTERNATIONAL
) -> tuple[bytes, ...]:
    """Give the proof that the tree of `size2` begins with the tree of `size1`.

    Raises:
        SafeRoomError: `MALFORMED` unless 0 < size1 <= size2.
    """
    if not 0 < size1 <= size2:
        raise SafeRoomError(Reason.MALFORMED, f"no consistency from size {size1} to {size2}")
    path: list[bytes] = []
    start, end = 0, size2
    while end != size1:
        middle = start + _split(end - start)
        if size1 <= middle:
            path.append(_range_hash(middle, end, node, suite))
            end = middle
        else:
            path.append(_range_hash(start, middle, node, suite))
            start = middle
    if start:
        # Only a subtree that is not the whole earlier tree has to be told: that root is known.
        path.append(_range_hash(start, end, node, suite))
    return tuple(reversed(path))


def completed_nodes(
    index: int, leaf: bytes, node: NodeReader, suite: Suite = Suite.INTERNATIONAL
) -> Iterator[tuple[int, int, bytes]]:
    """Give every subtree that a new leaf completes, as (level, index, hash), the leaf first.

    Storing these after each leaf is all that a tree needs to keep.

    Args:
        index: of the new leaf: the size of the tree before it.
        leaf: its hash.
        node: reads the tree as it was before; only complete left neighbours are asked for.
        suite: whose hash the tree is made with.
    """
    level = 0
    yield level, index, leaf
    while index & 1:
        leaf = node_hash(node(level, index - 1), leaf, suite)
        level, index = level + 1, index >> 1
        yield level, index, leaf


def _range_hash(start: int, end: int, node: NodeReader, suite: Suite) -> bytes:
    """Hash the leaves from start to end, a range as the tree's own divisions make it."""
    hashes: list[bytes] = []
    while start < end:
        level = (end - start).bit_length() - 1
        hashes.append(node(level, start >> level))
        start += 1 << level
    hashed = hashes.pop()
    while hashes:
        hashed = node_hash(hashes.pop(), hashed, suite)
    return hashed


def _split(size: int) -> int:
    """Give the largest power of two below size, where the tree divides."""
    return 1 << ((size - 1).bit_length() - 1)


def _missing_levels(index: int) -> int:
    """Count the levels where the last subtree has no neighbour and so no hash: none above 0."""
    return (index & -index).bit_length() - 1 if index else 0


def _require_subtree(start: int, end: int) -> None:
    """Refuse what no tree has below one node: it begins at a multiple of its width, rounded up."""
    if not 0 <= start < end or start % (1 << (end - start - 1).bit_length()):
        raise SafeRoomError(Reason.BAD_PROOF, f"no tree has a subtree from {start} to {end}")


def _require_hashes(*hashes: bytes) -> None:
    """Refuse other lengths: two short hashes beside each other could pass for two others."""
    if any(len(one) != HASH_BYTES for one in hashes):
        raise SafeRoomError(Reason.BAD_PROOF, f"a hash in a proof has {HASH_BYTES} bytes")
