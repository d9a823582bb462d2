"""Running hashes: one head for one sequence."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from saferoom_proto.chain import GENESIS, extend, head_of
from saferoom_proto.reasons import Reason, SafeRoomError

digests = st.binary(max_size=3).map(lambda data: f"sha256:{hashlib.sha256(data).hexdigest()}")
A = "sha256:" + "a" * 64
B = "sha256:" + "b" * 64


def test_the_next_head_is_the_hash_of_three_lines() -> None:
    lines = f"saferoom chain v1\n{A}\n{B}\n".encode()
    assert extend(A, B) == f"sha256:{hashlib.sha256(lines).hexdigest()}"


def test_an_empty_chain_has_the_first_head() -> None:
    assert head_of([]) == GENESIS
    assert head_of([A]) == extend(GENESIS, A)


@given(first=st.lists(digests, max_size=5), second=st.lists(digests, max_size=5))
def test_two_sequences_share_a_head_only_if_they_are_one(
    first: list[str], second: list[str]
) -> None:
    assert (head_of(first) == head_of(second)) == (first == second)


@given(entries=st.lists(digests, min_size=2, max_size=6), data=st.data())
def test_an_entry_left_out_changed_or_moved_changes_the_head(
    entries: list[str], data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(entries) - 2))
    head = head_of(entries)
    assert head_of(entries[:at] + entries[at + 1 :]) != head
    assert head_of([*entries[:at], A, *entries[at + 1 :]]) != head
    assume(entries[at] != entries[at + 1])
    assert head_of([*entries[:at], entries[at + 1], entries[at], *entries[at + 2 :]]) != head


@given(entries=st.lists(digests, max_size=6), cut=st.integers(0, 6))
def test_a_chain_is_continued_from_a_known_head(entries: list[str], cut: int) -> None:
    assert head_of(entries[cut:], head_of(entries[:cut])) == head_of(entries)


@pytest.mark.parametrize(
    "text",
    ["", A[:-1], A + "a", A.upper(), A.removeprefix("sha256:"), "sha512:" + "a" * 64, A + "\n"],
)
def test_anything_but_a_digest_is_refused(text: str) -> None:
    for previous, digest in ((text, A), (A, text)):
        with pytest.raises(SafeRoomError) as refusal:
            extend(previous, digest)
        assert refusal.value.reason is Reason.MALFORMED
    with pytest.raises(SafeRoomError):
        head_of([], text)
