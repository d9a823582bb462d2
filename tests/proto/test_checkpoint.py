"""Signed notes, checkpoints and proofs: other tools' examples, round trips and forgeries."""

from __future__ import annotations

import base64
import hashlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saferoom_proto.checkpoint import (
    Checkpoint,
    InclusionProof,
    Note,
    format_proof,
    key_id,
    open_checkpoint,
    open_note,
    parse_proof,
    sign_checkpoint,
    sign_note,
)
from saferoom_proto.keys import SigningKey, VerifyKey
from saferoom_proto.merkle import EMPTY_ROOT, leaf_hash, node_hash
from saferoom_proto.reasons import Reason, SafeRoomError

ORIGIN = "room.example/ledger"
KEY = SigningKey.from_seed(bytes(range(32)))
OTHER = SigningKey.from_seed(bytes(32))
ROOT = hashlib.sha256(b"root").digest()

# golang.org/x/mod/sumdb/note, note_test.go.
PETER_SEED = base64.b64decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:]
PETER_PUBLIC = base64.b64decode("ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")[1:]
PETER_TEXT = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
)
PETER_NOTE = (
    f"{PETER_TEXT}\n\u2014 PeterNeumann "
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)


def refused(note: str, origin: str = ORIGIN, key: VerifyKey = KEY.verify_key) -> Reason:
    with pytest.raises(SafeRoomError) as refusal:
        open_checkpoint(note, origin, key)
    return refusal.value.reason


def line(name: str, payload: bytes) -> str:
    return f"\u2014 {name} {base64.b64encode(payload).decode()}\n"


def signed(text: str) -> str:
    """A note over any text at all, by the log's own key."""
    body = key_id(ORIGIN, KEY.verify_key) + KEY.sign(text.encode())
    return f"{text}\n{line(ORIGIN, body)}"


def test_gos_published_note_opens_and_is_written_byte_for_byte() -> None:
    peter = SigningKey.from_seed(PETER_SEED)
    assert peter.verify_key == VerifyKey(PETER_PUBLIC)
    assert key_id("PeterNeumann", peter.verify_key).hex() == "c74f20a3"
    assert open_note(PETER_NOTE, "PeterNeumann", peter.verify_key) == PETER_TEXT
    assert sign_note(PETER_TEXT, "PeterNeumann", peter) == PETER_NOTE


def test_gos_note_with_one_letter_changed_is_refused() -> None:
    altered = PETER_NOTE.replace("cryptography", "cryptographY")
    with pytest.raises(SafeRoomError) as refusal:
        open_note(altered, "PeterNeumann", VerifyKey(PETER_PUBLIC))
    assert refusal.value.reason is Reason.BAD_SIGNATURE


def test_the_standards_example_of_a_cosigned_checkpoint_parses() -> None:
    example = (
        "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
        "\u2014 example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4U"
        "RYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
        "\u2014 witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9d"
        "lrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"
    )
    note = Note.parse(example)
    assert Checkpoint.parse(note.text).size == 20852163
    assert [one.name for one in note.signatures] == [
        "example.com/behind-the-sofa",
        "witness.example.com/w1",
    ]
    assert struct.unpack(">Q", note.signatures[1].sig[:8]) == (1679315147,)


heads = st.builds(
    Checkpoint,
    st.just(ORIGIN),
    st.integers(1, 2**63 - 1),
    st.binary(min_size=32, max_size=32),
    st.lists(st.sampled_from(["epoch 7", "结转", "x"]), max_size=2).map(tuple),
)


@given(head=heads)
def test_a_signed_checkpoint_opens_to_itself(head: Checkpoint) -> None:
    assert open_checkpoint(sign_checkpoint(head, KEY), ORIGIN, KEY.verify_key) == head


@given(head=heads, data=st.data())
def test_no_changed_character_leaves_a_checkpoint_valid(
    head: Checkpoint, data: st.DataObject
) -> None:
    note = sign_checkpoint(head, KEY)
    at = data.draw(st.integers(0, len(note) - 1))
    char = data.draw(st.characters(codec="utf-8").filter(lambda one: one != note[at]))
    reason = refused(note[:at] + char + note[at + 1 :])
    assert reason in {Reason.MALFORMED, Reason.BAD_SIGNATURE}


def test_another_logs_checkpoint_is_refused() -> None:
    head = Checkpoint("other.example/ledger", 3, ROOT)
    assert refused(sign_checkpoint(head, KEY)) is Reason.BAD_SIGNATURE


def test_a_checkpoint_of_another_origin_is_refused_even_under_the_logs_own_name() -> None:
    text = Checkpoint("other.example/ledger", 3, ROOT).text
    assert refused(signed(text)) is Reason.BAD_SIGNATURE


def test_a_checkpoint_by_another_key_under_the_logs_name_is_refused() -> None:
    assert refused(sign_checkpoint(Checkpoint(ORIGIN, 3, ROOT), OTHER)) is Reason.BAD_SIGNATURE


def test_a_key_id_copied_onto_a_forgery_is_refused() -> None:
    head = Checkpoint(ORIGIN, 3, ROOT)
    forged = key_id(ORIGIN, KEY.verify_key) + OTHER.sign(head.text.encode())
    assert refused(f"{head.text}\n{line(ORIGIN, forged)}") is Reason.BAD_SIGNATURE


def test_a_good_line_does_not_excuse_a_forged_one_of_the_same_key() -> None:
    note = sign_checkpoint(Checkpoint(ORIGIN, 3, ROOT), KEY)
    forged = line(ORIGIN, key_id(ORIGIN, KEY.verify_key) + bytes(64))
    assert refused(note + forged) is Reason.BAD_SIGNATURE


def test_up_to_sixteen_witnesses_lines_are_passed_over_and_no_more() -> None:
    head = Checkpoint(ORIGIN, 3, ROOT)
    note = sign_checkpoint(head, KEY)
    for number in range(16):
        stamped = struct.pack(">Q", 1679315147 + number) + bytes(64)
        note += line(f"witness.example/w{number}", b"\x00\x01\x02" + bytes([number]) + stamped)
    assert open_checkpoint(note, ORIGIN, KEY.verify_key) == head
    assert refused(note + line("witness.example/w16", bytes(76))) is Reason.MALFORMED


def test_a_namesake_with_another_key_is_passed_over() -> None:
    head = Checkpoint(ORIGIN, 3, ROOT)
    namesake = sign_note(head.text, ORIGIN, OTHER).rpartition("\n\n")[2]
    assert open_checkpoint(sign_checkpoint(head, KEY) + namesake, ORIGIN, KEY.verify_key) == head


@pytest.mark.parametrize(
    "extra",
    [
        "\u2014 witness\n",
        "\u2014  AAAAAAA=\n",
        "- witness AAAAAAA=\n",
        "\u2014 wit+ness AAAAAAA=\n",
        "\u2014 wit\u00a0ness AAAAAAA=\n",
        "\u2014 witness AAAAAA==\n",
        "\u2014 witness AAAAAAB=\n",
        "\u2014 witness AAAAAAA= \n",
        "\u2014 witness AAAA\r\n",
        "\u2014 witness AAAAAAA=",
        "trailing words\n",
    ],
)
def test_a_malformed_line_spoils_the_note_whoever_wrote_it(extra: str) -> None:
    note = sign_checkpoint(Checkpoint(ORIGIN, 3, ROOT), KEY)
    assert refused(note + extra) is Reason.MALFORMED


@pytest.mark.parametrize(
    "text",
    [
        f"{ORIGIN}\n03\n{base64.b64encode(ROOT).decode()}\n",
        f"{ORIGIN}\n+3\n{base64.b64encode(ROOT).decode()}\n",
        f"{ORIGIN}\n\u0663\n{base64.b64encode(ROOT).decode()}\n",
        f"{ORIGIN}\n-1\n{base64.b64encode(ROOT).decode()}\n",
        f"{ORIGIN}\n{2**63}\n{base64.b64encode(ROOT).decode()}\n",
        f"{ORIGIN}\n{'9' * 5000}\n{base64.b64encode(ROOT).decode()}\n",
        f"{ORIGIN}\n3\n{base64.b64encode(ROOT[:31]).decode()}\n",
        f"{ORIGIN}\n3\n{base64.b64encode(ROOT + b'x').decode()}\n",
        f"{ORIGIN}\n3\n",
        f"{ORIGIN}\n0\n{base64.b64encode(ROOT).decode()}\n",
        f"{ORIGIN}\n3\n{base64.b64encode(ROOT).decode()}\n\nextension\n",
    ],
)
def test_a_head_the_log_should_never_have_signed_is_refused(text: str) -> None:
    assert refused(signed(text)) is Reason.MALFORMED


def test_the_empty_log_has_a_checkpoint() -> None:
    head = Checkpoint(ORIGIN, 0, EMPTY_ROOT)
    assert open_checkpoint(sign_checkpoint(head, KEY), ORIGIN, KEY.verify_key) == head


@pytest.mark.parametrize("text", ["no newline", "a\tb\n", "bell\x07\n", "half \ud800\n"])
def test_what_a_note_can_not_carry_is_not_signed(text: str) -> None:
    with pytest.raises(SafeRoomError) as refusal:
        sign_note(text, ORIGIN, KEY)
    assert refusal.value.reason is Reason.MALFORMED


def test_a_note_without_end_is_not_read() -> None:
    assert refused("x" * (1 << 18)) is Reason.TOO_LARGE


def proof_of_two() -> tuple[bytes, str]:
    leaf, sibling = b"entry", leaf_hash(b"neighbour")
    head = Checkpoint(ORIGIN, 2, node_hash(leaf_hash(leaf), sibling))
    return leaf, format_proof(0, [sibling], sign_checkpoint(head, KEY))


def test_a_proof_proves_its_leaf_and_no_other() -> None:
    leaf, text = proof_of_two()
    proof = parse_proof(text)
    assert proof.verify(leaf, ORIGIN, KEY.verify_key).size == 2
    with pytest.raises(SafeRoomError) as refusal:
        proof.verify(b"another entry", ORIGIN, KEY.verify_key)
    assert refusal.value.reason is Reason.BAD_PROOF
    with pytest.raises(SafeRoomError) as refusal:
        proof.verify(leaf, ORIGIN, OTHER.verify_key)
    assert refusal.value.reason is Reason.BAD_SIGNATURE


def test_a_proof_moved_to_another_index_is_refused() -> None:
    leaf, text = proof_of_two()
    moved = parse_proof(text.replace("index 0", "index 1"))
    with pytest.raises(SafeRoomError) as refusal:
        moved.verify(leaf, ORIGIN, KEY.verify_key)
    assert refusal.value.reason is Reason.BAD_PROOF


@given(
    index=st.integers(0, 2**63 - 1),
    hashes=st.lists(st.binary(min_size=32, max_size=32), max_size=63),
    extra=st.binary(max_size=40),
)
def test_a_proof_survives_its_text(index: int, hashes: list[bytes], extra: bytes) -> None:
    note = sign_checkpoint(Checkpoint(ORIGIN, 3, ROOT), KEY)
    text = format_proof(index, hashes, note, extra)
    assert parse_proof(text) == InclusionProof(index, tuple(hashes), note, extra)
    assert text.startswith("c2sp.org/tlog-proof@v1\n")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("@v1", "@v2"),
        ("index 0", "index 00"),
        ("index 0", "index -0"),
        ("index 0\n", ""),
        ("index 0\n", "extra \nindex 0\n"),
        ("index 0\n", "index 0\nextra AAAA\n"),
        ("index 0\n", "index 0\nAAAA\n"),
        ("\n\n", "\n"),
        ("=\n", "=\r\n"),
    ],
)
def test_a_proof_in_any_other_form_is_refused(old: str, new: str) -> None:
    _, text = proof_of_two()
    assert old in text
    with pytest.raises(SafeRoomError) as refusal:
        parse_proof(text.replace(old, new, 1))
    assert refusal.value.reason is Reason.MALFORMED
