"""A batch's rows and outcomes: how they are hashed, and that no leaf tells of another."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saferoom_proto import merkle
from saferoom_proto.answer import Truth
from saferoom_proto.batch import (
    BLIND_BYTES,
    CODES,
    SALT_BYTES,
    BatchKeys,
    JudgedRows,
    Record,
    Row,
    When,
    asked_leaf,
    asked_leaves,
    blinds,
    record_bytes,
    split,
)
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.tree import Tree
from saferoom_proto.uscc import make_uscc

ID = "sha256:" + "a" * 64
OTHER = "sha256:" + "b" * 64
KEYS = BatchKeys(bytes(32), ID, "tax")


def rows(count: int) -> bytes:
    return b"".join(Row(make_uscc(at), at % 3).to_bytes() for at in range(count))


@given(st.integers(1, 70), st.data())
def test_the_tree_is_that_of_the_ledger_and_each_path_leads_to_its_root(
    size: int, data: st.DataObject
) -> None:
    leaves = [merkle.leaf_hash(bytes([at])) for at in range(size)]
    tree = Tree(leaves)
    nodes = {(0, at): leaf for at, leaf in enumerate(leaves)}

    def node(level: int, index: int) -> bytes:
        if level == 0:
            return nodes[0, index]
        return merkle.node_hash(node(level - 1, 2 * index), node(level - 1, 2 * index + 1))

    assert tree.root == merkle.root(size, node)
    index = data.draw(st.integers(0, size - 1))
    assert tree.path(index) == merkle.inclusion_path(index, size, node)
    merkle.verify_inclusion(index, size, leaves[index], tree.path(index), tree.root)


@given(st.integers(1, 70), st.integers(0, 4))
def test_subtrees_are_the_leaves_of_a_tree_of_their_own(size: int, level: int) -> None:
    leaves = [merkle.leaf_hash(bytes([at])) for at in range(size)]
    width = 1 << level
    tops = [Tree(leaves[start : start + width]).root for start in range(0, size, width)]
    assert Tree(tops).root == Tree(leaves).root
    for at, top in enumerate(tops):
        merkle.verify_inclusion(at, len(tops), top, Tree(tops).path(at), Tree(leaves).root)


def test_an_empty_tree_has_the_empty_root_and_no_path() -> None:
    assert Tree([]).root == merkle.EMPTY_ROOT
    with pytest.raises(SafeRoomError):
        Tree([]).path(0)


def test_one_rows_blind_opens_its_leaf_and_no_others() -> None:
    seed = bytes(range(32))
    leaves = asked_leaves(seed, rows(5))
    hidden = [blind for (blind,) in split(blinds(seed, 0, 5), BLIND_BYTES)]
    packed = [row for (row,) in split(rows(5), 20)]
    assert [asked_leaf(*each) for each in zip(hidden, packed, strict=True)] == leaves
    assert blinds(seed, 3, 1) == hidden[3]
    # Who has row 3 and guesses row 2, which has few possibilities, can't tell whether it is right.
    assert asked_leaf(hidden[3], packed[2]) != leaves[2]
    assert len(set(hidden)) == len(hidden)


def test_an_outcome_leaf_binds_all_of_its_row() -> None:
    record = bytes(record_bytes(1))
    judged = JudgedRows(3, rows(1), When(1, 2).to_bytes(), record)
    salt = KEYS.salts(3, 1)
    leaf = judged.leaves(salt, ID)
    others = [
        JudgedRows(4, judged.rows, judged.when, record),
        JudgedRows(3, Row(make_uscc(7)).to_bytes(), judged.when, record),
        JudgedRows(3, Row(make_uscc(0), 1).to_bytes(), judged.when, record),
        JudgedRows(3, judged.rows, When(1, 3).to_bytes(), record),
        JudgedRows(3, judged.rows, When(2, 2).to_bytes(), record),
        JudgedRows(3, judged.rows, judged.when, b"\1" + record[1:]),
        JudgedRows(3, judged.rows, judged.when, record[:-1] + b"\1"),
    ]
    assert leaf not in [other.leaves(salt, ID) for other in others]
    assert leaf != judged.leaves(salt, OTHER)
    assert leaf != judged.leaves(KEYS.salts(4, 1), ID)
    assert leaf == judged.leaves(KEYS.salts(0, 5)[3 * SALT_BYTES : 4 * SALT_BYTES], ID)


def test_salts_and_seals_are_of_one_batch_and_one_owner() -> None:
    others = [BatchKeys(bytes(32), ID, "court"), BatchKeys(bytes(32), OTHER, "tax")]
    sealed = KEYS.seal(0, b"chunk")
    assert KEYS.open(0, sealed) == b"chunk"
    for other in others:
        assert other.salts(0, 1) != KEYS.salts(0, 1)
        with pytest.raises(SafeRoomError, match="BAD_SEAL"):
            other.open(0, sealed)
    for number, altered in ((1, sealed), (0, sealed[:-1]), (0, sealed[:-1] + b"\0")):
        with pytest.raises(SafeRoomError, match="BAD_SEAL"):
            KEYS.open(number, altered)


def test_a_record_is_read_as_it_was_written() -> None:
    data = bytes([CODES[Truth.YES]]) + bytes(31) + b"\7" + bytes([0, 1, 0, 3, 0, 2, 1, 0])
    assert Record.from_bytes(data) == Record(
        Truth.YES, "sha256:" + "00" * 31 + "07", ((1, 3), (2, 256))
    )
    refused = bytes([CODES[Reason.NO_CONSENT]]) + bytes(32)
    assert Record.from_bytes(refused) == Record(Reason.NO_CONSENT, None, ())


def test_a_refused_row_of_a_conjunction_has_the_charges_that_were_paid_and_no_others() -> None:
    """Its place for a share holds zeros, which are no charges."""
    paid, no_share = bytes([0, 1, 0, 3]), bytes(16)
    for reason, cells, charges in (
        (Reason.WITHHELD, paid, ((1, 3),)),
        (Reason.ROW_REPEATED, bytes(4), ()),
    ):
        data = bytes([CODES[reason]]) + bytes(32) + cells + no_share
        assert Record.from_bytes(data) == Record(reason, None, charges)


@pytest.mark.parametrize("data", [b"", bytes(32), bytes(34), bytes([255]) + bytes(32)])
def test_what_is_no_record_is_refused(data: bytes) -> None:
    with pytest.raises(SafeRoomError, match="MALFORMED"):
        Record.from_bytes(data)


def test_rows_are_read_as_they_were_written() -> None:
    row = Row(make_uscc(5), 258)
    assert Row.from_bytes(row.to_bytes()) == row
    for data in (row.to_bytes()[:-1], b"\xff" + row.to_bytes()[1:]):
        with pytest.raises(SafeRoomError, match="MALFORMED"):
            Row.from_bytes(data)


def test_records_that_do_not_come_out_even_are_refused() -> None:
    for records in (b"", bytes(67)):
        with pytest.raises(SafeRoomError, match="MALFORMED"):
            JudgedRows(0, rows(2), bytes(16), records).leaves(KEYS.salts(0, 2), ID)
    with pytest.raises(SafeRoomError, match="MALFORMED"):
        When.from_bytes(bytes(15))
