"""What a broken, curious or hostile other side may send is refused by name, and changes nothing."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tenseal import sealapi as seal

from saferoom_models.refusals import JointTrainingError, Refusal
from saferoom_models.vertical import foreign, messages
from saferoom_models.vertical.room_side import RoomSide
from saferoom_models.vertical.scheme import MODULUS, Key, scheme, to_bytes
from saferoom_models.vertical.terms import SCALARS, Terms

from .conftest import Recorded

HEAD = 48
"""Bytes before the first part's length."""


def refusal(act: Callable[[], object]) -> Refusal:
    with pytest.raises(JointTrainingError) as refused:
        act()
    return refused.value.reason


def at_room(recorded: Recorded, exchange: int, message: bytes) -> Refusal:
    """Send it to the room; then the right message must still be taken."""
    room = recorded.room_before(exchange)
    found = refusal(lambda: room.answer(message))
    assert len(room.answer(recorded.to_room[exchange])) == len(recorded.to_label[exchange])
    return found


def at_label(recorded: Recorded, exchange: int, message: bytes) -> Refusal:
    """Send it to the label side; then the right answer must still be taken."""
    label = recorded.label_before(exchange)
    found = refusal(lambda: label.answer(message))
    assert label.answer(recorded.to_label[exchange]) is not None
    return found


def with_parts(recorded: Recorded, exchange: int, *, of_room: bool, **at: bytes) -> bytes:
    """Take a recorded message with some parts (`p0`, `p1`, ...) put in place of others."""
    sent = (recorded.to_label if of_room else recorded.to_room)[exchange]
    parts = messages.read(sent, recorded.terms, exchange, of_room=of_room)
    for place, part in at.items():
        parts[int(place[1:])] = part
    kind = messages.kind_of(exchange, of_room=of_room)
    return messages.write(recorded.terms, exchange, kind, parts)


@pytest.mark.parametrize("keep", [0, 1, HEAD - 1, HEAD, HEAD + 3, HEAD + 4, HEAD + 999, -1])
def test_a_truncated_message_is_refused(recorded: Recorded, keep: int) -> None:
    assert at_room(recorded, 1, recorded.to_room[1][:keep]) is Refusal.MALFORMED
    assert at_label(recorded, 1, recorded.to_label[1][:keep]) is Refusal.MALFORMED


def test_bytes_after_the_last_part_are_refused(recorded: Recorded) -> None:
    assert at_room(recorded, 3, recorded.to_room[3] + b"\0") is Refusal.MALFORMED


def test_an_oversize_message_is_refused_unread(recorded: Recorded) -> None:
    most = messages.largest_message(recorded.terms)
    assert at_room(recorded, 1, bytes(most + 1)) is Refusal.WRONG_SIZE
    assert at_label(recorded, 1, bytes(most + 1)) is Refusal.WRONG_SIZE
    assert max(map(len, recorded.to_room)) <= most < 64 << 20


def test_another_magic_or_version_is_refused(recorded: Recorded) -> None:
    sent = recorded.to_room[1]
    assert at_room(recorded, 1, b"X" + sent[1:]) is Refusal.MALFORMED
    assert at_room(recorded, 1, sent[:4] + b"\0\2" + sent[6:]) is Refusal.OTHER_VERSION


@pytest.mark.parametrize(
    "other", [{"job": "cd" * 32}, {"inverse_ridge": 0.5}, {"rank": 6}, {"tolerance": 0.01}]
)
def test_messages_of_another_job_or_other_terms_are_refused(
    recorded: Recorded, other: dict[str, object]
) -> None:
    terms = replace(recorded.terms, **other)
    parts = messages.read(recorded.to_room[2], recorded.terms, 2, of_room=False)
    message = messages.write(terms, 2, messages.MessageKind.RESIDUALS, parts)
    assert at_room(recorded, 2, message) is Refusal.OTHER_TERMS


def test_a_replayed_round_is_refused(recorded: Recorded) -> None:
    assert at_room(recorded, 5, recorded.to_room[2]) is Refusal.REPLAYED
    assert at_room(recorded, 4, recorded.to_room[1]) is Refusal.REPLAYED
    assert at_label(recorded, 5, recorded.to_label[2]) is Refusal.REPLAYED


def test_a_message_out_of_order_is_refused(recorded: Recorded) -> None:
    assert at_room(recorded, 2, recorded.to_room[3]) is Refusal.OUT_OF_ORDER
    assert at_room(recorded, 0, recorded.to_room[1]) is Refusal.OUT_OF_ORDER
    assert at_room(recorded, 1, recorded.to_label[1]) is Refusal.OUT_OF_ORDER
    assert at_label(recorded, 1, recorded.to_label[2]) is Refusal.OUT_OF_ORDER
    assert at_label(recorded, 1, recorded.to_room[1]) is Refusal.OUT_OF_ORDER


def test_another_message_for_an_answered_exchange_is_no_second_question(recorded: Recorded) -> None:
    """Two answers under one step's mask would give their difference away."""
    room = recorded.room_before(2)
    room.answer(recorded.to_room[2])
    changed = with_parts(
        recorded, 2, of_room=False, p0=Key.fresh()[0].seal(scheme().coefficients(np.arange(9)))
    )
    assert refusal(lambda: room.answer(changed)) is Refusal.REPLAYED


def test_the_same_message_again_gets_the_same_bytes(recorded: Recorded) -> None:
    for exchange in (0, 1, 2, 3):
        room = recorded.room_before(exchange)
        first = room.answer(recorded.to_room[exchange])
        assert room.answer(recorded.to_room[exchange]) == first


def test_too_many_or_too_few_parts_are_refused(recorded: Recorded) -> None:
    for exchange in (0, 1, 2, 3):
        parts = messages.read(recorded.to_room[exchange], recorded.terms, exchange, of_room=False)
        kind = messages.kind_of(exchange, of_room=False)
        fewer = messages.write(recorded.terms, exchange, kind, parts[:-1])
        assert at_room(recorded, exchange, fewer) is Refusal.WRONG_SHAPE


def test_a_ciphertext_of_another_shape_is_refused(recorded: Recorded) -> None:
    shares = messages.read(recorded.to_label[1], recorded.terms, 1, of_room=True)
    logits = messages.read(recorded.to_room[1], recorded.terms, 1, of_room=False)
    for message in (
        with_parts(recorded, 1, of_room=False, p0=shares[0]),  # a reply's, one prime
        with_parts(recorded, 1, of_room=False, p0=logits[0][:-1]),
        with_parts(recorded, 1, of_room=False, p0=b""),
    ):
        assert at_room(recorded, 1, message) in {Refusal.WRONG_SIZE, Refusal.BAD_CIPHERTEXT}
    wrong = with_parts(recorded, 1, of_room=True, p0=logits[0])
    assert at_label(recorded, 1, wrong) is Refusal.WRONG_SIZE


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_no_altered_or_made_up_bytes_end_otherwise_than_refused_by_name(
    recorded: Recorded, data: st.DataObject
) -> None:
    """Numbers in the clear may be altered within their range: every other byte counts."""
    sent = recorded.to_room[3]
    if data.draw(st.booleans()):
        message = data.draw(st.binary(max_size=400))
    else:
        at = data.draw(st.integers(0, HEAD + 3))
        flip = data.draw(st.integers(1, 255))
        message = sent[:at] + bytes([sent[at] ^ flip]) + sent[at + 1 :]
    assert refusal(lambda: messages.read(message, recorded.terms, 3, of_room=False)) in Refusal


@pytest.mark.parametrize("at", range(16))
def test_every_byte_of_a_streams_head_is_checked_before_seal_reads_it(
    recorded: Recorded, at: int
) -> None:
    part = messages.read(recorded.to_room[1], recorded.terms, 1, of_room=False)[0]
    altered = part[:at] + bytes([part[at] ^ 0x40]) + part[at + 1 :]
    if at == 4:
        # The minor version: any of SEAL 4 is read.
        foreign.check_stream(altered, foreign.SEALED)
        return
    found = refusal(lambda: foreign.check_stream(altered, foreign.SEALED))
    assert found is Refusal.BAD_CIPHERTEXT


def test_a_ciphertext_that_hides_nothing_is_refused() -> None:
    _, public = Key.fresh()
    encryptor = seal.Encryptor(scheme().context, foreign.open_public_key(public))
    zero = seal.Ciphertext()
    encryptor.encrypt_zero(zero)
    full = to_bytes(zero)  # both polynomials written out: not what a key's owner sends
    assert refusal(lambda: foreign.open_ciphertext(full, foreign.SEALED)) is Refusal.WRONG_SIZE


def test_numbers_out_of_range_are_refused(recorded: Recorded) -> None:
    masked, scalars = messages.read(recorded.to_room[3], recorded.terms, 3, of_room=False)
    columns = recorded.terms.room_columns
    endless = messages.write_scalars(np.array([*[0.0] * (SCALARS - 1), np.inf]))
    nothing = messages.write_scalars(np.array([*[0.0] * (SCALARS - 1), np.nan]))
    large = np.full(columns, MODULUS, dtype=">u8").tobytes()
    for changed in ({"p1": endless}, {"p1": nothing}, {"p0": large}):
        message = with_parts(recorded, 3, of_room=False, **changed)
        assert at_room(recorded, 3, message) is Refusal.OUT_OF_RANGE
    shifted = (messages.read_residues(masked) + MODULUS // 2) % MODULUS
    message = with_parts(
        recorded, 3, of_room=False, p0=messages.write_residues(shifted.tolist()), p1=scalars
    )
    assert at_room(recorded, 3, message) is Refusal.OUT_OF_RANGE


@pytest.mark.parametrize("log_odds", [0.3, 10.5, -1e9])
def test_a_base_rate_that_none_announces_is_refused(recorded: Recorded, log_odds: float) -> None:
    sent = messages.read(recorded.to_room[0], recorded.terms, 0, of_room=False)[0]
    part = messages.write_scalars(np.append(log_odds, messages.read_scalars(sent)[1:]))
    message = with_parts(recorded, 0, of_room=False, p0=part)
    assert at_room(recorded, 0, message) is Refusal.OUT_OF_RANGE


def test_a_side_that_splits_the_logistic_function_otherwise_is_refused(recorded: Recorded) -> None:
    """Another library of linear algebra may turn a factor's sign; training would go astray."""
    sent = messages.read(recorded.to_room[0], recorded.terms, 0, of_room=False)[0]
    numbers = messages.read_scalars(sent)
    turned = messages.write_scalars(np.append(numbers[0], -numbers[1:]))
    message = with_parts(recorded, 0, of_room=False, p0=turned)
    assert at_room(recorded, 0, message) is Refusal.OTHER_TERMS


def test_shares_under_a_foreign_key_end_as_noise_and_are_refused(recorded: Recorded) -> None:
    """A reply under another key decrypts to uniform numbers, of which no gradient can consist."""
    parts = messages.read(recorded.to_label[2], recorded.terms, 2, of_room=True)
    _, public = Key.fresh()
    stranger = RoomSide(recorded.terms, recorded.owners, os.urandom)
    opening = with_parts(recorded, 0, of_room=False, p1=public)
    stranger.answer(opening)
    stranger.answer(recorded.to_room[1])
    foreign_parts = messages.read(
        stranger.answer(recorded.to_room[2]), recorded.terms, 2, of_room=True
    )
    message = with_parts(recorded, 2, of_room=True, **{f"p{len(parts) - 1}": foreign_parts[-1]})
    assert at_label(recorded, 2, message) is Refusal.OUT_OF_RANGE


def test_nothing_is_answered_after_the_end(recorded: Recorded) -> None:
    last = len(recorded.to_room) - 1
    room, label = recorded.room_before(last), recorded.label_before(last)
    assert label.answer(room.answer(recorded.to_room[last])) is None
    assert room.progress.over
    assert label.progress.over
    assert refusal(lambda: label.answer(recorded.to_label[last])) is Refusal.OUT_OF_ORDER
    assert refusal(lambda: room.answer(recorded.to_room[1])) is Refusal.OUT_OF_ORDER
    assert refusal(label.begin) is Refusal.OUT_OF_ORDER


def test_a_refusal_says_nothing_of_the_rows(recorded: Recorded) -> None:
    room = recorded.room_before(1)
    with pytest.raises(JointTrainingError) as refused:
        room.answer(recorded.to_room[3])
    assert str(refused.value) == ("OUT_OF_ORDER: kind 6 of exchange 3; LOGITS of exchange 1 is due")


def test_terms_that_the_protocol_is_not_for_are_refused() -> None:
    def terms(**changed: object) -> Callable[[], Terms]:
        given = {"job": "00" * 32, "rows": 5000, "label_columns": 3, "room_columns": 3} | changed
        return lambda: Terms(**given)  # pyright: ignore[reportArgumentType] -- what is tested

    assert refusal(terms(rows=999)) is Refusal.TOO_FEW_ROWS
    assert refusal(terms(rows=300_001)) is Refusal.TOO_MANY_ROWS
    assert refusal(terms(room_columns=67)) is Refusal.TOO_MANY_NUMBERS
    for changed in (
        {"job": "00"},
        {"label_columns": 0},
        {"room_columns": 501},
        {"inverse_ridge": 0.0},
        {"inverse_ridge": float("nan")},
        {"rank": 3},
        {"spread": 0.1},
        {"rounds": 26},
        {"tolerance": 0.0},
    ):
        assert refusal(terms(**changed)) is Refusal.BAD_TERMS
