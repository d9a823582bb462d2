"""Suites: the standards' own vectors of SM3, and that a digest says which hash it is of."""

from __future__ import annotations

import hashlib
import hmac

import gmssl_pyx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saferoom_proto import chain, merkle
from saferoom_proto.answer import commitment as answer_commitment
from saferoom_proto.entry import commitment
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.suite import Suite, suite_of
from saferoom_proto.tree import Tree

GUOMI = Suite.GUOMI

# GB/T 32905-2016, appendix A.1 and A.2.
SM3_OF_ABC = "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"
SM3_OF_ABCD_16 = "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732"


def test_sm3_is_the_standards() -> None:
    assert GUOMI.hash(b"abc").hex() == SM3_OF_ABC
    assert GUOMI.hash(b"abcd" * 16).hex() == SM3_OF_ABCD_16
    assert GUOMI.digest(b"abc") == f"sm3:{SM3_OF_ABC}"


@given(st.binary(max_size=200), st.binary(min_size=1, max_size=64), st.integers(0, 200))
def test_every_form_of_a_hash_is_the_same_hash(data: bytes, key: bytes, cut: int) -> None:
    for suite in Suite:
        running = suite.running()
        running.update(data[:cut])
        running.update(data[cut:])
        assert running.digest() == suite.hash(data)
    assert GUOMI.hash(data) == gmssl_pyx.sm3_hash(data)
    assert Suite.INTERNATIONAL.hash(data) == hashlib.sha256(data).digest()
    assert GUOMI.hmac(key.ljust(16), data) == gmssl_pyx.sm3_hmac(key.ljust(16), data)
    assert Suite.INTERNATIONAL.hmac(key, data) == hmac.digest(key, data, "sha256")


def test_a_key_is_derived_as_hkdf_does() -> None:
    for suite in Suite:
        # RFC 5869 sections 2.2 and 2.3, for one block.
        extracted = suite.hmac(bytes(32), b"secret")
        assert suite.derive(b"secret", b"purpose") == suite.hmac(extracted, b"purpose\x01")
    one, other = (suite.derive(b"secret", b"purpose") for suite in Suite)
    assert one != other


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sm3:",
        SM3_OF_ABC,
        f"sha256:{SM3_OF_ABC}0",
        f"sm3:{SM3_OF_ABC.upper()}",
        f"SM3:{SM3_OF_ABC}",
        f"md5:{SM3_OF_ABC}",
        f"sm3:sha256:{SM3_OF_ABC}",
        f" sm3:{SM3_OF_ABC}",
        f"sm3:{SM3_OF_ABC[:-1]}\n",
    ],
)
def test_what_names_no_known_hash_is_no_digest(text: str) -> None:
    with pytest.raises(SafeRoomError) as refused:
        suite_of(text)
    assert refused.value.reason is Reason.MALFORMED


def test_a_digest_says_its_suite() -> None:
    assert [suite_of(suite.digest(b"any")) for suite in Suite] == list(Suite)


def test_a_chain_goes_on_in_its_own_suite_only() -> None:
    for suite, other in zip(Suite, reversed(Suite), strict=True):
        head = chain.extend(chain.genesis(suite), suite.digest(b"one"))
        assert suite_of(head) is suite
        with pytest.raises(SafeRoomError) as refused:
            chain.extend(head, other.digest(b"two"))
        assert refused.value.reason is Reason.MALFORMED


def test_commitments_are_of_the_suite_of_what_they_commit_to() -> None:
    salt = b"s" * 32
    one, other = (commitment(salt, suite.digest(b"statement")) for suite in Suite)
    assert one != other
    assert other == GUOMI.hmac(salt, GUOMI.digest(b"statement").encode())
    assert answer_commitment(b"answer", GUOMI) == GUOMI.digest(b"answer")


def test_a_tree_of_sm3_proves_with_sm3_only() -> None:
    nodes: dict[tuple[int, int], bytes] = {}
    leaves = [merkle.leaf_hash(bytes([number]), GUOMI) for number in range(7)]

    def node(level: int, index: int) -> bytes:
        return nodes[level, index]

    for number, leaf in enumerate(leaves):
        for level, index, hashed in merkle.completed_nodes(number, leaf, node, GUOMI):
            nodes[level, index] = hashed
    root, earlier = merkle.root(7, node, GUOMI), merkle.root(3, node, GUOMI)
    assert root == Tree(leaves, GUOMI).root != Tree(leaves).root
    path = merkle.inclusion_path(5, 7, node, GUOMI)
    assert path == Tree(leaves, GUOMI).path(5)
    merkle.verify_inclusion(5, 7, leaves[5], path, root, suite=GUOMI)
    grown = merkle.consistency_path(3, 7, node, GUOMI)
    merkle.verify_consistency(3, 7, grown, earlier, root, suite=GUOMI)
    for wrong in (
        lambda: merkle.verify_inclusion(5, 7, leaves[5], path, root),
        lambda: merkle.verify_consistency(3, 7, grown, earlier, root),
    ):
        with pytest.raises(SafeRoomError) as refused:
            wrong()
        assert refused.value.reason is Reason.BAD_PROOF
    assert merkle.root(0, node, GUOMI) == merkle.empty_root(GUOMI) == GUOMI.hash(b"")
