"""A label side goes through a whole job, is killed between messages, and tells what it may."""

from __future__ import annotations

import os
from array import array
from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from saferoom_models.appraisal import BANDS, appraise
from saferoom_models.participant import OPENING, Brought, Course, Participant
from saferoom_models.psi.room_set import RoomSet
from saferoom_models.psi.terms import AlignmentTerms
from saferoom_models.refusals import JointTrainingError, Refusal
from saferoom_models.vertical.columns import prepare
from saferoom_models.vertical.course import Trained
from saferoom_models.vertical.room_side import RoomSide
from saferoom_models.vertical.terms import Terms

ROWS, COMMON = 1500, 1200
ALIGNMENT = AlignmentTerms("a1" * 32, ROWS)
COURSE = Course("b2" * 32, room_columns=2, inverse_ridge=1.0, rank=4, rounds=25)


def make(seed: int = 3) -> tuple[Brought, list[str], np.ndarray]:
    draw = np.random.default_rng(seed)
    values = draw.normal(size=(ROWS, 4))
    odds = values @ [0.9, -0.5, 1.1, 0.4] - 0.7
    labels = (draw.random(ROWS) < 1 / (1 + np.exp(-odds))).astype(int)
    names = [f"firm-{number}" for number in range(ROWS)]
    columns = {"income": array("d", values[:, 0]), "debt": array("d", values[:, 1])}
    held = draw.permutation(ROWS)[:COMMON]
    return Brought(names, labels.tolist(), columns), [names[at] for at in held], values[held, 2:]


class Room:
    """The room's two machines behind one number, as an enclave runs them."""

    def __init__(self, names: list[str], values: np.ndarray, commitment: str) -> None:
        self.set = RoomSet(ALIGNMENT, names, commitment, os.urandom)
        self.values = values
        self.side: RoomSide | None = None

    def answer(self, number: int, message: bytes) -> bytes:
        if number == 0:
            return self.set.answer(message)
        if number == 1:
            rows = self.set.learn(message)
            terms = Terms(COURSE.job, len(rows), 2, 2)
            self.rows = prepare(("paid", "late"), self.values[rows])
            self.side = RoomSide(terms, self.rows, os.urandom)
            return self.set.release()
        assert self.side is not None
        return self.side.answer(message)

    def model(self) -> Trained:
        assert self.side is not None
        return self.side.trained()


def go_through(own: Brought, room_names: list[str], values: np.ndarray) -> tuple[Participant, Room]:
    """Go through a job; the participant is killed, and taken up, before each answer."""
    participant = Participant(ALIGNMENT, own)
    room = Room(room_names, values, participant.begin())
    participant.admit(COURSE)
    while not participant.over:
        state, sent, number = participant.save(), participant.waiting, participant.number
        answer = room.answer(number, sent)
        participant = Participant.resume(ALIGNMENT, own, COURSE, state)
        assert (participant.waiting, participant.number) == (sent, number)
        participant.answer(answer)
    return Participant.resume(ALIGNMENT, own, COURSE, participant.save()), room


def test_a_job_is_gone_through_whatever_is_killed_and_ranks_as_the_pooled_fit_does() -> None:
    own, names, values = make()
    participant, room = go_through(own, names, values)
    assert participant.over
    assert participant.rows == COMMON
    trained, theirs = participant.trained(), room.model()
    common, labels = participant.common()
    scores = trained.points(common) + room.rows.values @ theirs.weights
    pooled = np.hstack([prepare(trained.names, common).values, room.rows.values])
    fit = LogisticRegression(C=1.0, tol=1e-8, max_iter=1000).fit(pooled, labels)
    best = roc_auc_score(labels, fit.decision_function(pooled))
    assert abs(roc_auc_score(labels, scores) - best) <= 0.002
    told = appraise(participant, 1.0)
    assert (told.rows, told.events) == (COMMON, labels.sum())
    risks = 1 / (1 + np.exp(-scores))
    meant = risks[labels == 1].mean() - risks[labels == 0].mean()
    assert told.separation == pytest.approx(meant, abs=2e-3)
    assert told.separation > told.alone_separation + 0.05, "the room's columns tell a lot here"
    assert 0.5 < told.alone_auc < best
    assert len(told.bands) == BANDS
    assert sum(band.events for band in told.bands) == told.events
    assert told.bands[0].lift > 1 > told.bands[-1].lift
    assert [(each.name, each.joint) for each in told.weights] == list(
        zip(("income", "debt"), trained.weights.tolist(), strict=True)
    )


def test_what_a_training_would_refuse_is_refused_before_anything_is_asked() -> None:
    own, _, _ = make()
    one = array("d", [1.0] * ROWS)
    holes = array("d", [float("nan")] * ROWS)
    assert len(own.check().names) == 2
    for brought, reason in (
        (replace(own, columns={"same": one}), Refusal.NO_SUPPORT),
        (replace(own, columns={"holes": holes}), Refusal.BAD_COLUMNS),
        (replace(own, labels=[0] * ROWS), Refusal.BAD_LABELS),
        (replace(own, labels=[2, *own.labels[1:]]), Refusal.BAD_LABELS),
    ):
        with pytest.raises(JointTrainingError) as refused:
            brought.check()
        assert refused.value.reason is reason


def test_too_few_common_rows_end_it_at_the_label_side_again_and_again() -> None:
    own, names, values = make()
    participant = Participant(ALIGNMENT, own)
    room = Room(names[:900], values, participant.begin())
    participant.admit(COURSE)
    participant.answer(room.answer(0, participant.waiting))
    room.set.learn(participant.waiting)
    for _ in range(2):
        with pytest.raises(JointTrainingError) as refused:
            participant.answer(room.set.release())
        assert refused.value.reason is Refusal.TOO_FEW_ROWS
        assert participant.rows == 900
        participant = Participant.resume(ALIGNMENT, own, COURSE, participant.save())


def test_nothing_is_told_before_it_is_known() -> None:
    own, _, _ = make()
    participant = Participant(ALIGNMENT, own)
    assert (participant.rows, participant.progress) == (None, None)
    for act in (participant.trained, lambda: participant.separation, participant.common):
        with pytest.raises(JointTrainingError) as refused:
            act()
        assert refused.value.reason is Refusal.NOT_FINISHED


def test_a_state_of_other_rows_is_refused() -> None:
    own, names, values = make()
    participant = Participant(ALIGNMENT, own)
    room = Room(names, values, participant.begin())
    participant.admit(COURSE)
    for _ in range(OPENING):
        participant.answer(room.answer(participant.number, participant.waiting))
    others = replace(own, labels=[1 - label for label in own.labels])
    with pytest.raises(JointTrainingError) as refused:
        Participant.resume(ALIGNMENT, others, COURSE, participant.save())
    assert refused.value.reason is Refusal.BAD_STATE
