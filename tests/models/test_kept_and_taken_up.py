"""A side that was killed takes up from its saved state, and ends with the same model."""

from __future__ import annotations

import os

import numpy as np
import pytest

from saferoom_models.refusals import JointTrainingError, Refusal
from saferoom_models.vertical.columns import prepare
from saferoom_models.vertical.label_side import LabelSide
from saferoom_models.vertical.room_side import RoomSide

from .conftest import Recorded


def test_both_sides_killed_before_every_message_end_with_the_same_model(
    recorded: Recorded,
) -> None:
    """Neither side lives longer than one message."""
    label_state, room_state = recorded.label_states[0], recorded.room_states[0]
    answers = 0
    while True:
        label = LabelSide.resume(recorded.terms, recorded.bank, recorded.labels, label_state)
        room = RoomSide.resume(recorded.terms, recorded.owners, os.urandom, room_state)
        answer = room.answer(label.waiting)
        room_state = room.save()
        # The answer is lost once; the label side, started anew, sends the same bytes again.
        room = RoomSide.resume(recorded.terms, recorded.owners, os.urandom, room_state)
        assert room.answer(label.waiting) == answer
        message = label.answer(answer)
        label_state = label.save()
        answers += 1
        if message is None:
            break
    assert answers == len(recorded.to_room)
    # Shares and masks were drawn anew; residuals, and so gradients, are the same, up to what
    # linear algebra rounds otherwise when an array lies elsewhere.
    assert np.allclose(label.trained().weights, recorded.label.weights, rtol=0, atol=1e-6)
    assert np.allclose(room.trained().weights, recorded.room.weights, rtol=0, atol=1e-6)
    assert np.isclose(label.trained().intercept, recorded.label.intercept, rtol=0, atol=1e-6)
    after = LabelSide.resume(recorded.terms, recorded.bank, recorded.labels, label_state)
    assert (after.trained().weights == label.trained().weights).all()


@pytest.mark.parametrize("cut", [0, 5, 40, -1])
def test_a_state_that_broke_off_is_refused(recorded: Recorded, cut: int) -> None:
    with pytest.raises(JointTrainingError) as refused:
        RoomSide.resume(recorded.terms, recorded.owners, os.urandom, recorded.room_states[4][:cut])
    assert refused.value.reason is Refusal.BAD_STATE


def test_a_state_is_taken_up_with_its_own_columns_labels_and_terms_only(
    recorded: Recorded,
) -> None:
    other = prepare(recorded.bank.names, recorded.values[0][::-1])
    flipped = recorded.labels.copy()
    flipped[0] ^= 1
    for columns, labels in ((other, recorded.labels), (recorded.bank, flipped)):
        with pytest.raises(JointTrainingError) as refused:
            LabelSide.resume(recorded.terms, columns, labels, recorded.label_states[4])
        assert refused.value.reason is Refusal.BAD_STATE
    with pytest.raises(JointTrainingError) as refused:
        RoomSide.resume(recorded.terms, recorded.owners, os.urandom, recorded.label_states[4])
    assert refused.value.reason is Refusal.BAD_STATE


def test_a_model_is_not_given_before_the_end(recorded: Recorded) -> None:
    with pytest.raises(JointTrainingError) as refused:
        recorded.label_before(4).trained()
    assert refused.value.reason is Refusal.NOT_FINISHED
    with pytest.raises(JointTrainingError) as refused:
        RoomSide(recorded.terms, recorded.owners, os.urandom).trained()
    assert refused.value.reason is Refusal.NOT_FINISHED


def test_progress_goes_up_round_by_round(recorded: Recorded) -> None:
    rounds = [recorded.room_before(at).progress.rounds for at in (0, 1, 4, 7)]
    assert rounds == [0, 0, 1, 2]
    assert np.isclose(recorded.room_before(4).progress.distance, 1.0)
