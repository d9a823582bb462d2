"""The sealed answer's 50 bytes, its commitment, and how parts fold."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saferoom_proto.answer import (
    ANSWER_BYTES,
    Answer,
    Truth,
    combine,
    commitment,
    seal_info,
    truth_of,
)
from saferoom_proto.reasons import Reason, SafeRoomError

SALTS = st.binary(min_size=32, max_size=32)


@given(st.sampled_from(Truth), SALTS)
def test_an_answer_reads_back_as_it_was_written(truth: Truth, salt: bytes) -> None:
    data = Answer(truth, salt).to_bytes()
    assert Answer.from_bytes(data) == Answer(truth, salt)


@given(SALTS)
def test_all_answers_have_one_length_so_that_a_seal_tells_nothing(salt: bytes) -> None:
    assert {len(Answer(truth, salt).to_bytes()) for truth in Truth} == {ANSWER_BYTES}


@given(st.binary(max_size=80))
def test_any_other_bytes_are_refused(data: bytes) -> None:
    try:
        answer = Answer.from_bytes(data)
    except SafeRoomError as error:
        assert error.reason is Reason.MALFORMED
    else:
        assert answer.to_bytes() == data


def test_a_commitment_differs_for_the_same_answer_under_another_salt() -> None:
    first = Answer(Truth.YES, bytes(32)).to_bytes()
    second = Answer(Truth.YES, bytes([1]) * 32).to_bytes()
    assert commitment(first) != commitment(second)


@pytest.mark.parametrize(("value", "truth"), [(True, "yes"), (False, "no"), (None, "not_found")])
def test_unknown_is_not_found_and_never_no(value: bool | None, truth: str) -> None:
    assert truth_of(value) == truth


def test_parts_fold_as_sqls_and() -> None:
    kleene = {Truth.YES: True, Truth.NO: False, Truth.NOT_FOUND: None}
    for parts in itertools.product(Truth, repeat=3):
        values = [kleene[part] for part in parts]
        expected = False if False in values else None if None in values else True
        assert combine(list(parts)) is truth_of(expected)


def test_no_parts_are_no_answer() -> None:
    with pytest.raises(SafeRoomError, match="at least one part"):
        combine([])


def test_a_seal_fits_one_request_and_one_owner() -> None:
    places = {seal_info(request, owner) for request in ("r1", "r2") for owner in ("tax", "court")}
    assert len(places) == 4
