"""The Merkle tree: published vectors, the recursive definition, and altered proofs."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saferoom_proto.merkle import (
    EMPTY_ROOT,
    completed_nodes,
    consistency_path,
    inclusion_path,
    leaf_hash,
    node_hash,
    root,
    verify_consistency,
    verify_inclusion,
    verify_subtree_consistency,
    verify_subtree_inclusion,
)
from saferoom_proto.reasons import Reason, SafeRoomError

VECTORS = Path(__file__).resolve().parents[3] / "shared" / "vectors" / "merkle"
needs_vectors = pytest.mark.skipif(not VECTORS.is_dir(), reason="the vectors are not here")


class Tree:
    """A tree in memory, kept as a log keeps it: complete subtrees only, each counted when read."""

    def __init__(self, leaves: list[bytes]) -> None:
        self.nodes: dict[tuple[int, int], bytes] = {}
        self.reads = 0
        for index, data in enumerate(leaves):
            for level, place, digest in completed_nodes(index, leaf_hash(data), self.node):
                self.nodes[level, place] = digest
        self.reads = 0

    def node(self, level: int, index: int) -> bytes:
        self.reads += 1
        return self.nodes[level, index]


def split(count: int) -> int:
    power = 1
    while power * 2 < count:
        power *= 2
    return power


def naive_root(leaves: list[bytes]) -> bytes:
    """RFC 9162 section 2.1.1, as it is written."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    k = split(len(leaves))
    return hashlib.sha256(b"\x01" + naive_root(leaves[:k]) + naive_root(leaves[k:])).digest()


def naive_path(m: int, leaves: list[bytes]) -> list[bytes]:
    """RFC 9162 section 2.1.3.1."""
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if m < k:
        return [*naive_path(m, leaves[:k]), naive_root(leaves[k:])]
    return [*naive_path(m - k, leaves[k:]), naive_root(leaves[:k])]


def naive_subproof(m: int, leaves: list[bytes], *, known: bool) -> list[bytes]:
    """RFC 9162 section 2.1.4.1."""
    if m == len(leaves):
        return [] if known else [naive_root(leaves)]
    k = split(len(leaves))
    if m <= k:
        return [*naive_subproof(m, leaves[:k], known=known), naive_root(leaves[k:])]
    return [*naive_subproof(m - k, leaves[k:], known=False), naive_root(leaves[:k])]


leaf_lists = st.lists(st.binary(max_size=4), min_size=1, max_size=70)


@given(leaves=leaf_lists, data=st.data())
def test_roots_and_proofs_are_those_of_the_recursive_definition(
    leaves: list[bytes], data: st.DataObject
) -> None:
    tree = Tree(leaves)
    size2 = data.draw(st.integers(1, len(leaves)))
    size1 = data.draw(st.integers(1, size2))
    index = data.draw(st.integers(0, size2 - 1))
    seen = leaves[:size2]
    assert root(size2, tree.node) == naive_root(seen)
    assert list(inclusion_path(index, size2, tree.node)) == naive_path(index, seen)
    expected = naive_subproof(size1, seen, known=True)
    assert list(consistency_path(size1, size2, tree.node)) == expected


@given(leaves=leaf_lists, data=st.data())
def test_every_proof_made_is_accepted_and_none_for_another_leaf(
    leaves: list[bytes], data: st.DataObject
) -> None:
    tree = Tree(leaves)
    size = len(leaves)
    index = data.draw(st.integers(0, size - 1))
    proof = inclusion_path(index, size, tree.node)
    top = root(size, tree.node)
    verify_inclusion(index, size, leaf_hash(leaves[index]), proof, top)
    with pytest.raises(SafeRoomError) as refusal:
        verify_inclusion(index, size, leaf_hash(leaves[index] + b"!"), proof, top)
    assert refusal.value.reason is Reason.BAD_PROOF


@given(leaves=leaf_lists, data=st.data())
def test_a_rewritten_past_has_no_consistency_proof(
    leaves: list[bytes], data: st.DataObject
) -> None:
    size1 = data.draw(st.integers(1, len(leaves)))
    changed = data.draw(st.integers(0, size1 - 1))
    forged = [*leaves]
    forged[changed] += b"!"
    honest, rewritten = Tree(leaves), Tree(forged)
    old, new = root(size1, honest.node), root(len(leaves), rewritten.node)
    for tree in (honest, rewritten):
        proof = consistency_path(size1, len(leaves), tree.node)
        with pytest.raises(SafeRoomError) as refusal:
            verify_consistency(size1, len(leaves), proof, old, new)
        assert refusal.value.reason is Reason.BAD_PROOF


@given(leaves=leaf_lists, data=st.data())
def test_a_consistency_proof_is_accepted_and_any_altered_one_refused(
    leaves: list[bytes], data: st.DataObject
) -> None:
    tree = Tree(leaves)
    size2 = len(leaves)
    size1 = data.draw(st.integers(1, size2))
    proof = consistency_path(size1, size2, tree.node)
    roots = root(size1, tree.node), root(size2, tree.node)
    verify_consistency(size1, size2, proof, *roots)
    extra = data.draw(st.binary(min_size=32, max_size=32))
    altered = [[*proof, extra], [extra, *proof]]
    if proof:
        at = data.draw(st.integers(0, len(proof) - 1))
        altered += [[*proof[:at], *proof[at + 1 :]], [*proof[:at], extra, *proof[at + 1 :]]]
    for forged in altered:
        with pytest.raises(SafeRoomError):
            verify_consistency(size1, size2, forged, *roots)


def test_a_proof_reads_few_nodes_even_of_a_large_tree() -> None:
    size = 3000
    tree = Tree([str(index).encode() for index in range(size)])
    limit = 2 * size.bit_length()
    for index in (0, 1, 1499, 2047, 2048, size - 1):
        tree.reads = 0
        inclusion_path(index, size, tree.node)
        assert tree.reads <= limit
    for size1 in (1, 2, 1500, 2047, 2048, 2999, size):
        tree.reads = 0
        consistency_path(size1, size, tree.node)
        assert tree.reads <= limit


def test_the_empty_tree_has_the_standards_root_and_no_proofs() -> None:
    tree = Tree([])
    assert root(0, tree.node) == EMPTY_ROOT
    attempts: list[Callable[[], object]] = [
        lambda: inclusion_path(0, 0, tree.node),
        lambda: inclusion_path(-1, 4, tree.node),
        lambda: consistency_path(0, 5, tree.node),
        lambda: consistency_path(6, 5, tree.node),
    ]
    for attempt in attempts:
        with pytest.raises(SafeRoomError) as refusal:
            attempt()
        assert refusal.value.reason is Reason.MALFORMED


def test_a_node_can_not_be_shown_as_a_leaf() -> None:
    tree = Tree([b"a", b"b", b"c", b"d"])
    inner = tree.nodes[1, 0]
    with pytest.raises(SafeRoomError):
        verify_inclusion(0, 2, leaf_hash(inner), [tree.nodes[1, 1]], root(4, tree.node))
    assert leaf_hash(tree.nodes[0, 0] + tree.nodes[0, 1]) != inner


def test_hashes_of_another_length_are_refused_even_if_they_hash_right() -> None:
    left, right = b"l" * 33, b"r" * 31
    with pytest.raises(SafeRoomError) as refusal:
        verify_inclusion(0, 2, left, [right], node_hash(left, right))
    assert refusal.value.reason is Reason.BAD_PROOF


def vectors(kind: str) -> list[Path]:
    return sorted(VECTORS.glob(f"{kind}/**/*.json"))


def raw(text: object) -> bytes:
    return base64.b64decode(cast("str", text))


def check(vector: Path, verify: Callable[[dict[str, object], list[bytes]], None]) -> None:
    fields = cast("dict[str, object]", json.loads(vector.read_bytes()))
    proof = [raw(item) for item in cast("list[str] | None", fields["proof"]) or []]
    if fields["wantErr"]:
        with pytest.raises(SafeRoomError) as refusal:
            verify(fields, proof)
        assert refusal.value.reason is Reason.BAD_PROOF
    else:
        verify(fields, proof)


@needs_vectors
def test_the_published_inclusion_vectors_hold() -> None:
    found = vectors("inclusion")
    assert len(found) >= 98
    for vector in found:
        check(
            vector,
            lambda fields, proof: verify_inclusion(
                cast("int", fields["leafIdx"]),
                cast("int", fields["treeSize"]),
                raw(fields["leafHash"]),
                proof,
                raw(fields["root"]),
            ),
        )


@needs_vectors
def test_the_published_consistency_vectors_hold() -> None:
    found = vectors("consistency")
    assert len(found) >= 98
    for vector in found:
        check(
            vector,
            lambda fields, proof: verify_consistency(
                cast("int", fields["size1"]),
                cast("int", fields["size2"]),
                proof,
                raw(fields["root1"]),
                raw(fields["root2"]),
            ),
        )


@needs_vectors
def test_the_published_vectors_of_inclusion_in_a_subtree_hold() -> None:
    found = vectors("subtreeinclusion")
    assert len(found) >= 204
    for vector in found:
        check(
            vector,
            lambda fields, proof: verify_subtree_inclusion(
                cast("int", fields["leafIdx"]),
                (cast("int", fields["start"]), cast("int", fields["end"])),
                raw(fields["leafHash"]),
                proof,
                raw(fields["root"]),
            ),
        )


@needs_vectors
def test_the_published_vectors_of_consistency_with_a_subtree_hold() -> None:
    found = vectors("subtreeconsistency")
    assert len(found) >= 118
    for vector in found:
        check(
            vector,
            lambda fields, proof: verify_subtree_consistency(
                (cast("int", fields["start"]), cast("int", fields["end"])),
                cast("int", fields["size"]),
                proof,
                raw(fields["root1"]),
                raw(fields["root2"]),
            ),
        )
