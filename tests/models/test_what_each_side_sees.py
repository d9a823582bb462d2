"""Over a whole training each side gets what docs/joint-training.md lists, and it tells no row."""

from __future__ import annotations

import os

import numpy as np
from sklearn.metrics import roc_auc_score

from saferoom_models.arrays import Floats
from saferoom_models.vertical import foreign, messages
from saferoom_models.vertical.messages import MessageKind
from saferoom_models.vertical.room_side import RoomSide
from saferoom_models.vertical.scheme import DEGREE, MODULUS, scheme
from saferoom_models.vertical.sigmoid import mark_count

from .conftest import Recorded


def numbers_in(recorded: Recorded, kind: MessageKind) -> int:
    """Count the numbers in the clear that a message of a kind holds."""
    parts = messages.layout(kind, recorded.terms)
    return sum(part.most // 8 for part in parts if part.least == part.most)


def test_the_messages_hold_what_the_page_lists_and_no_more(recorded: Recorded) -> None:
    rounds = recorded.room.rounds
    assert len(recorded.to_room) == len(recorded.to_label) == 1 + 3 * rounds
    clear = {kind: numbers_in(recorded, kind) for kind in MessageKind}
    assert clear == {
        # The rounded log-odds, and points of the tables that follow from it and the terms.
        MessageKind.OPENING: 1 + mark_count(recorded.terms.rank),
        MessageKind.READY: 0,
        MessageKind.LOGITS: 0,
        MessageKind.SHARES: 0,
        MessageKind.RESIDUALS: 0,
        MessageKind.PRODUCTS: 0,
        MessageKind.MASKED: recorded.terms.room_columns + 9,
        MessageKind.SCALARS: 9,
        # The rounded log-odds, once more.
        MessageKind.MEASURE: 1,
        MessageKind.MEASURED: 0,
    }
    for exchange, (asked, answered) in enumerate(
        zip(recorded.to_room, recorded.to_label, strict=True)
    ):
        messages.read(asked, recorded.terms, exchange, of_room=False)
        messages.read(answered, recorded.terms, exchange, of_room=True)


def opened_shares(recorded: Recorded, exchange: int, answer: bytes) -> Floats:
    """Read SHARES as the label side does."""
    key = recorded.label_before(exchange)._key
    parts = messages.read(answer, recorded.terms, exchange, of_room=True)
    plain = [
        scheme().read_slots(key.open(foreign.open_ciphertext(part, foreign.REPLY)))
        for part in parts
    ]
    return np.concatenate(plain).astype(np.float64)


def test_the_label_sides_shares_tell_nothing_of_the_rooms_rows(recorded: Recorded) -> None:
    shares = opened_shares(recorded, 4, recorded.to_label[4])
    assert len(shares) == DEGREE  # filled up, so that not even the count of rows shapes it
    rows = recorded.terms.rows
    room = recorded.owners.values @ recorded.room.weights
    # Four standard errors, about: an honest draw passes them once in 16,000 runs.
    bound = 4 / np.sqrt(rows)
    assert abs(np.corrcoef(shares[:rows], room)[0, 1]) < bound
    counts = np.bincount((shares * 16 // MODULUS).astype(np.int64), minlength=16)
    assert ((counts - DEGREE / 16) ** 2 / (DEGREE / 16)).sum() < 60


def test_the_same_question_asked_of_a_room_started_anew_gives_unlike_shares(
    recorded: Recorded,
) -> None:
    answers = [recorded.room_before(1).answer(recorded.to_room[1]) for _ in range(2)]
    first, second = (opened_shares(recorded, 1, answer) for answer in answers)
    assert (first == second).sum() < 3


def test_the_rooms_share_and_masked_numbers_tell_no_label(recorded: Recorded) -> None:
    room = recorded.room_before(4)
    room.answer(recorded.to_room[4])
    score = float(roc_auc_score(recorded.labels, room._share.astype(np.float64)))
    # The area's standard error for two groups of this size is about 0.018.
    assert abs(score - 0.5) < 0.08


def test_the_rooms_first_gradient_is_the_class_mean_difference_that_the_page_admits(
    recorded: Recorded,
) -> None:
    room = recorded.room_before(3)
    room.answer(recorded.to_room[3])
    assert room._course is not None
    gradient = room._course.block.gradient
    rate = recorded.labels.mean()
    assert gradient is not None
    admitted = recorded.owners.values.T @ (rate - recorded.labels)
    # Up to the rank's error in each row's residual.
    assert np.abs(gradient - admitted).max() < 0.02 * recorded.terms.rows


def test_masked_numbers_differ_with_every_mask(recorded: Recorded) -> None:
    found: list[bytes] = []
    for _ in range(2):
        room = RoomSide.resume(recorded.terms, recorded.owners, os.urandom, recorded.room_states[2])
        label = recorded.label_before(2)
        message = label.answer(room.answer(recorded.to_room[2]))
        assert message is not None
        found.append(messages.read(message, recorded.terms, 3, of_room=False)[0])
    first, second = (messages.read_residues(part) for part in found)
    assert (first != second).all()
