"""Rows held out: the joint model's bands are counted as they are, and nobody sees who is in one."""

from __future__ import annotations

import math
import os
from array import array
from collections.abc import Sequence

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from benchmarks.credit_sets import card_clients, find_data
from benchmarks.joint_runs import JOB, joint_scores, pooled_scores, quality, train_jointly
from saferoom_models.appraisal import appraise, rank
from saferoom_models.arrays import Floats, Integers
from saferoom_models.participant import Brought, Course, Participant
from saferoom_models.psi.room_set import RoomSet
from saferoom_models.psi.terms import AlignmentTerms
from saferoom_models.refusals import JointTrainingError, Refusal
from saferoom_models.room_training import RoomTraining
from saferoom_models.vertical import foreign, messages
from saferoom_models.vertical.measuring import LabelMeasuring, Measured, measure, split_rows
from saferoom_models.vertical.messages import MEASURING
from saferoom_models.vertical.scheme import MODULUS, Key
from saferoom_models.vertical.terms import MEASURED_CELLS, Terms, rows_held_out

HELD = 900
TERMS = Terms("c4" * 32, 3000, 2, 2, measured=HELD)
ROWS = 1600
NAMES = ("paid", "late")
ALIGNMENT = AlignmentTerms("a1" * 32, ROWS)
COURSE = Course("b2" * 32, 2, 1.0, 4, 25, measured=True)


def as_they_are(counts: Sequence[int]) -> Sequence[int]:
    return counts


def halves(seed: int = 5) -> tuple[Floats, Floats, Integers]:
    draw = np.random.default_rng(seed)
    own, theirs = draw.normal(-1, 0.8, HELD), draw.normal(0, 0.7, HELD)
    own[:3], theirs[:3] = (9.0, -9.0, 0.0), (0.1, 0.2, 30.0)  # beyond every cell, band and lift
    labels = (draw.random(HELD) < 1 / (1 + np.exp(-own - theirs))).astype(np.int64)
    return own, theirs, labels


def told(blur: Sequence[int] | None = None) -> tuple[Measured, Integers, Integers]:
    own, theirs, labels = halves()
    side = LabelMeasuring(TERMS, own, labels, -1.0)

    def noisy(counts: Sequence[int]) -> Sequence[int]:
        return counts if blur is None else blur

    answer = measure(TERMS, theirs, side.begin(), os.urandom, noisy)
    found = side.answer(answer)
    low = found.middles[0] - 0.125
    cells = np.clip(np.floor((own - low) / 0.25), 0, MEASURED_CELLS - 1)
    lifts = np.clip(np.floor(theirs / 0.25 + 0.5), 1 - MEASURED_CELLS, MEASURED_CELLS - 1)
    return found, np.clip(cells + lifts, 0, MEASURED_CELLS - 1).astype(np.int64), labels


def test_bands_of_the_sum_are_counted_exactly_and_leave_with_the_noise_they_are_given() -> None:
    exact, bands, labels = told()
    assert exact.events == tuple(np.bincount(bands[labels == 1], minlength=MEASURED_CELLS))
    assert exact.others == tuple(np.bincount(bands[labels == 0], minlength=MEASURED_CELLS))
    noise = [number - 30 for number in range(2 * MEASURED_CELLS)]
    noisy, _, _ = told(noise)
    assert [a - b for a, b in zip(noisy.others, exact.others, strict=True)] == noise[::2]
    assert [a - b for a, b in zip(noisy.events, exact.events, strict=True)] == noise[1::2]
    assert min(noisy.events) < 0, "what noise takes below nothing is read as it is"


def test_of_a_reply_the_label_side_can_read_one_number_and_the_rest_is_uniform() -> None:
    own, theirs, labels = halves()
    side = LabelMeasuring(TERMS, own, labels, -1.0)
    answer = measure(TERMS, theirs, side.begin(), os.urandom, as_they_are)
    key = side._key
    assert isinstance(key, Key)
    seen: list[int] = []
    for part in messages.read(answer, TERMS, MEASURING, of_room=True):
        plain = key.open(foreign.open_ciphertext(part, foreign.REPLY))
        seen += [plain[at] for at in range(plain.coeff_count() - 1)]
    spread = np.array(seen, float) / MODULUS
    assert len(seen) > 8000 * MEASURED_CELLS
    assert np.abs(np.histogram(spread, 16, (0, 1))[0] / len(seen) - 1 / 16).max() < 0.005


@pytest.mark.parametrize(
    ("altered", "reason"),
    [("centre", Refusal.OUT_OF_RANGE), ("cut", Refusal.MALFORMED), ("other", Refusal.OTHER_TERMS)],
)
def test_a_message_out_of_form_is_refused(altered: str, reason: Refusal) -> None:
    own, theirs, labels = halves()
    message = LabelMeasuring(TERMS, own, labels, -1.0).begin()
    terms = TERMS
    if altered == "centre":
        parts = messages.read(message, TERMS, MEASURING, of_room=False)
        parts[0] = messages.write_scalars(np.array([0.3]))
        message = messages.write(TERMS, MEASURING, messages.MessageKind.MEASURE, parts)
    elif altered == "cut":
        message = message[:-1]
    else:
        terms = Terms("c4" * 32, 3000, 2, 2, measured=HELD + 1)
    with pytest.raises(JointTrainingError) as refused:
        measure(terms, theirs, message, os.urandom, as_they_are)
    assert refused.value.reason is reason


def test_terms_without_rows_held_out_are_the_terms_that_they_were() -> None:
    plain = Terms("c4" * 32, 3000, 2, 2)
    assert plain.digest.hex() == "e8af8c79eb17b6ccee094856cfc3f80007332bb962c6756cf713ebc06a999676"
    assert plain.digest != TERMS.digest
    with pytest.raises(JointTrainingError) as refused:
        Terms("c4" * 32, 3000, 2, 2, measured=16_385)
    assert refused.value.reason is Refusal.BAD_TERMS
    train, held = split_rows("c4" * 32, 4000, 1000)
    assert sorted([*train, *held]) == list(range(4000))
    assert held.tolist() != split_rows("c5" * 32, 4000, 1000)[1].tolist()


def test_a_job_with_rows_held_out_is_gone_through_whatever_is_killed() -> None:
    draw = np.random.default_rng(3)
    values = draw.normal(size=(ROWS, 4))
    odds = values @ [0.9, -0.5, 1.1, 0.4] - 0.7
    labels = (draw.random(ROWS) < 1 / (1 + np.exp(-odds))).astype(int)
    firms = [f"firm-{number}" for number in range(ROWS)]
    columns = {"income": array("d", values[:, 0]), "debt": array("d", values[:, 1])}
    own = Brought(firms, labels.tolist(), columns)
    participant = Participant(ALIGNMENT, own)
    room_set = RoomSet(ALIGNMENT, firms, participant.begin(), os.urandom)
    participant.admit(COURSE)
    participant.answer(room_set.answer(participant.waiting))
    theirs = values[room_set.learn(participant.waiting), 2:]
    participant.answer(room_set.release())
    held = rows_held_out(ROWS)
    terms = Terms(COURSE.job, ROWS - held, 2, 2, measured=held)
    room, opening = RoomTraining(terms, NAMES, theirs, os.urandom, blur=as_they_are), b""
    while not participant.over:
        state, sent = participant.save(), participant.waiting
        answer = room.answer(sent)
        opening = opening or sent
        participant = Participant.resume(ALIGNMENT, own, COURSE, state)
        assert participant.waiting == sent
        if not room.progress.over:
            kept = (room.save(), opening)
            room = RoomTraining(terms, NAMES, theirs, os.urandom, blur=as_they_are, kept=kept)
        participant.answer(answer)
        assert participant.over == room.progress.over
    participant = Participant.resume(ALIGNMENT, own, COURSE, participant.save())
    found = appraise(participant, 1.0)
    assert (found.rows, found.held) == (ROWS - held, held)
    assert found.ranked is not None
    assert sum(found.ranked.counts.events) == found.held_events
    apart, of = participant.held_out()
    places = [own.columns["income"].index(value) for value in apart[:, 0]]
    whole = participant.trained().points(apart) + room.trained().points(values[places, 2:])
    assert abs(found.ranked.auc - roc_auc_score(of, whole)) < 0.005
    assert found.ranked.auc > found.alone_auc + 0.05, "the room's columns tell a lot here"


@pytest.mark.soak
def test_card_clients_held_out_are_measured_as_the_pooled_fit_ranks_them() -> None:
    path = find_data("uci_credit_card_default.parquet")
    if path is None:
        pytest.skip("the card clients are not at hand; SAFEROOM_DATA names their folder")
    rows = card_clients(path)
    train, apart = split_rows(JOB, len(rows.labels), rows_held_out(len(rows.labels)))
    trained, held = rows.rows(train), rows.rows(apart)
    terms = Terms(JOB, len(train), 10, 13, measured=len(apart))
    run = train_jointly(trained, terms)
    base = float(trained.labels.mean())
    side = LabelMeasuring(
        terms, run.label.points(held.bank.values), held.labels, math.log(base / (1 - base))
    )
    points = run.room.points(held.room)
    found = rank(side.answer(measure(terms, points, side.begin(), os.urandom, as_they_are)), 0.0)
    pooled = quality(held.labels, pooled_scores(trained, held, terms.inverse_ridge))
    by_rows = quality(held.labels, joint_scores(run, held))
    assert found is not None
    assert abs(found.auc - pooled.auc) <= 0.002
    assert abs(found.ks - pooled.ks) <= 0.015
    assert abs(by_rows.auc - found.auc) <= 0.0005
    assert 0.01 < found.margin < 0.02


def test_the_margin_holds_what_noise_does_to_the_auc() -> None:
    exact, _, _ = told()
    draw = np.random.default_rng(8)
    scale = 2.0
    chance = 1 - math.exp(-1 / scale)

    def noisy() -> Measured:
        def blurred(counts: Sequence[int]) -> tuple[int, ...]:
            noise = draw.geometric(chance, len(counts)) - draw.geometric(chance, len(counts))
            return tuple((np.array(counts) + noise).tolist())

        return Measured(exact.middles, blurred(exact.events), blurred(exact.others))

    true, found = rank(exact, 0.0), [rank(noisy(), scale) for _ in range(400)]
    assert true is not None
    whole = [each for each in found if each is not None]
    assert len(whole) == len(found)
    by_noise = math.sqrt(np.mean([each.margin**2 for each in whole]) - true.margin**2) / 1.96
    assert by_noise == pytest.approx(np.std([each.auc for each in whole]), rel=0.25)
    assert rank(Measured(exact.middles, (0,) * MEASURED_CELLS, exact.others), 1.0) is None
