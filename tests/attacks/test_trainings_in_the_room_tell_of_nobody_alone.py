"""What a bank could try with trainings in the room, and what a room that lies could."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from saferoom_enclaves.children.fit_jobs import BoostedTold, Made
from saferoom_enclaves.fits import desk, gate
from saferoom_enclaves.fits.work import _rows
from saferoom_enclaves.jobs.partners import Partners, TrainedOn
from saferoom_enclaves.jobs.work import RefusedError
from saferoom_proto import fits as cards_told
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import b64
from saferoom_proto.keys import SigningKey
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import FitRelease, FitRequest, load, seal_statement
from saferoom_proto.uscc import make_uscc
from simulator.bank import WINDOW
from simulator.fitted import FEATURES, Firms, FitRoom, asked, boosted, firms

DIGEST: Final = "sha256:" + "0" * 64


@pytest.fixture
def room(tmp_path: Path) -> Iterator[FitRoom]:
    """Give a room that a test may break."""
    made = FitRoom.make(tmp_path)
    yield made
    made.enclave.close()


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FitRoom]:
    """Give a room whose records nobody changes."""
    made = FitRoom.make(tmp_path_factory.mktemp("fits"))
    yield made
    made.enclave.close()


def changed(held: Firms, count: int) -> Firms:
    """Give the same firms, of which the first so many came into arrears or did not."""
    arrears = held.arrears.copy()
    arrears[:count] = 1 - arrears[:count]
    return replace(held, arrears=arrears)


def refusal(room: FitRoom, request: Envelope) -> Reason:
    """Ask for what no enclave says a word on; give why."""
    with pytest.raises(SafeRoomError) as caught:
        room.enclave.fit(request)
    return caught.value.reason


def test_two_trainings_that_differ_by_few_firms_are_not_both_told(room: FitRoom) -> None:
    held, of = firms(), room.approved(asked())
    other = room.approved(boosted(features=FEATURES[1:]), "other")
    assert room.ask(of).reason is None
    room.load(changed(held, 1))
    assert room.ask(of).reason is Reason.WITHHELD, "one label more than before"
    assert room.ask(of, room.banks[1]).reason is Reason.WITHHELD, "another bank of the group"
    judged = room.enclave.fit(room.trees(other))
    assert room.said(judged).reason is Reason.WITHHELD, "another template with the same label"
    assert room.ask(of, room.banks[2]).reason is None, "nobody of its group knows the first"
    room.load(changed(held, 10))
    assert room.ask(of).reason is None


def test_a_joint_training_is_held_to_one_in_the_room(kept: FitRoom) -> None:
    """The same book holds both; the label of the one is a column of the other."""
    held, bank = firms(), kept.banks[2]
    assert kept.ask(kept.approved(asked(), "apart"), bank).reason is None
    opened = kept.enclave.enclave._require_open()
    partners = Partners(opened.state, kept.enclave.enclave.jobs.fits._rules.standing)
    codes = "".join(make_uscc(at + 1) for at in range(len(held.paid))).encode()
    for few, withheld in ((0, False), (1, True), (9, True), (10, False)):
        for column, values in (("tax.arrears", held.arrears), ("tax.late", held.late)):
            told = values.astype(np.float64)
            told[:few] = 1 - told[:few]
            joint = TrainedOn(codes, (column,), told.tobytes())
            with opened.state.transaction():
                asked_for = partial(partners.keep_apart, "alone", DIGEST, joint, kept.world.now())
                assert _is_withheld(asked_for) is withheld, (column, few)


def _is_withheld(judge: Callable[[], None]) -> bool:
    try:
        judge()
    except RefusedError as refused:
        return refused.reason is Reason.WITHHELD
    return False


@pytest.mark.soak
def test_a_firm_that_joins_or_leaves_is_not_told_by_the_difference(room: FitRoom) -> None:
    held, of = firms(), room.approved(asked())
    assert room.ask(of).reason is None
    room.load(replace(held, paid=held.paid[:-1]))
    assert room.ask(of).reason is Reason.WITHHELD, "the last firm is gone"
    room.load(replace(held, paid=held.paid[:-10]))
    assert room.ask(of).reason is None


def test_an_asker_chooses_neither_who_is_held_out_nor_gets_another_split(kept: FitRoom) -> None:
    of, again = kept.approved(asked(), "split"), kept.approved(asked(), "split-again")
    cards = {
        (card.auc, card.ks, card.membership)
        for request in (kept.request(each) for each in (of, of, again))
        for card in (kept.card(request, kept.enclave.fit(request)),)
    }
    assert len(cards) == 1, "a nonce, or another template over these columns, gives another split"


def test_who_lets_its_time_run_out_has_no_model_fitted_for_nothing(kept: FitRoom) -> None:
    of = kept.approved(asked(), "short")
    request = kept.request(of, not_after=kept.world.now() + timedelta(seconds=1))
    trainings = kept.enclave.enclave.jobs.fits
    begun = trainings.begin(request)
    assert isinstance(begun, desk.BegunFit)
    kept.world.clock.advance(2)
    with closing(begun):
        said = kept.said(trainings.finish(begun, None))
    assert (said.reason, said.run) == (Reason.EXPIRED, None)
    late = kept.request(of, not_before=kept.world.now() - WINDOW, not_after=kept.world.now())
    assert kept.said(kept.enclave.fit(late)).reason is Reason.EXPIRED, "nothing was fitted"
    assert kept.ask(of).run == 2, "and the first one counted"


def test_a_weight_that_no_card_has_room_for_is_withheld_and_counts(
    kept: FitRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    weighed = asked(releases=["weights"])
    of, silent = kept.approved(weighed, "weighed"), kept.approved(asked(), "silent")
    monkeypatch.setattr(gate, "MOST_WEIGHT", 0)
    said = kept.ask(of)
    assert (said.reason, said.run) == (Reason.WITHHELD, 1)
    assert kept.ask(silent).reason is None, "a weight that is not told has no bound"
    monkeypatch.setattr(cards_told, "SIZE", 2100)
    with pytest.raises(SafeRoomError) as caught:
        kept.bank.fits("wordy", weighed)
    assert caught.value.reason is Reason.TOO_LARGE


@pytest.mark.parametrize(
    "changes",
    [
        {"left": 0},
        {"right": 0},
        {"right": 3},
        {"column": 1},
    ],
    ids=str,
)
def test_trees_of_a_child_that_was_taken_over_have_no_walk_without_an_end(
    changes: dict[str, int],
) -> None:
    leaf = {"column": 0, "threshold": 0, "left": 0, "right": 0, "value": 0.5}
    root = leaf | {"left": 1, "right": 2}
    good = {"edges": ((1.0, 2.0),), "trees": ((root, leaf, leaf),)}
    assert BoostedTold.model_validate(good).trees[0][0].right == 2
    for bad in (
        good | {"trees": ((root | changes, leaf, leaf),)},
        good | {"trees": ((root, root, leaf),)},
        good | {"trees": ((),)},
        good | {"edges": ((2.0, 1.0),)},
    ):
        with pytest.raises(ValueError, match="1 validation error"):
            BoostedTold.model_validate(bad)


def test_a_model_whose_rows_can_be_told_from_others_stays(
    kept: FitRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = kept.approved(asked(), "told")
    monkeypatch.setattr(gate, "MOST_MEMBERSHIP", -1.0)
    said = kept.ask(of)
    assert (said.reason, said.run, said.model) == (Reason.WITHHELD, 1, None)


def test_few_rows_or_few_of_one_label_are_withheld_in_one_word(tmp_path: Path) -> None:
    room = FitRoom.make(tmp_path, firms(rate=-6.0))
    try:
        few_rows = room.ask(room.approved(asked(least_rows=2000), "rows"))
        few_events = room.ask(room.approved(asked(), "events"))
        assert few_rows.reason is few_events.reason is Reason.WITHHELD
        told = {"request", "template", "certificate", "approvals", "chain", "stream", "time"}
        assert few_rows.model_dump(exclude=told) == few_events.model_dump(exclude=told)
    finally:
        room.enclave.close()


def test_a_template_cannot_ask_for_fewer_rows_than_what_it_fits_needs(kept: FitRoom) -> None:
    reasons: list[Reason] = []
    for fit in (
        boosted(trees=50, leaves=8),
        asked(features=("tax.late", "tax.arrears"), label="tax.age"),
        asked(least_events=50),
    ):
        with pytest.raises(SafeRoomError) as caught:
            kept.bank.fits("thin", fit)
        reasons.append(caught.value.reason)
    assert reasons == [Reason.NOT_ALLOWED] * 3
    for changes in (
        {"least_rows": 999},
        {"least_events": 49},
        {"features": ("court.dishonest",)},
        {"features": ("tax.arrears",)},
    ):
        with pytest.raises(ValueError, match="1 validation error"):
            asked(**changes)


def test_what_another_signed_or_altered_trains_nothing(kept: FitRoom) -> None:
    of = kept.approved(asked(), "forged")
    genuine = kept.request(of)
    request = load(genuine, FitRequest)
    forged = seal_statement(request, SigningKey.generate())
    altered = Envelope(genuine.payload_type, genuine.payload + b" ", genuine.signatures)
    reasons = {refusal(kept, each) for each in (forged, altered)}
    assert reasons <= {Reason.BAD_SIGNATURE, Reason.MALFORMED}
    first = kept.said(kept.enclave.fit(genuine))
    stolen = request.model_copy(update={"reply_key": b64(kept.banks[2].reply.public)})
    again = kept.said(kept.enclave.fit(seal_statement(stolen, kept.bank.key)))
    assert (first.reason, again.reason) == (None, Reason.NONCE_REUSED)


@pytest.mark.soak
def test_the_word_that_the_room_sees_is_the_same_of_good_and_bad_models(tmp_path: Path) -> None:
    words: list[FitRelease] = []
    for name, rate in (("few", -2.0), ("many", 0.0)):
        room = FitRoom.make(tmp_path / name, firms(rate=rate))
        try:
            words.append(room.ask(room.approved(asked())))
        finally:
            room.enclave.close()
    digests = {"store", "request", "endorsement", "charter", "approvals", "agreement"}
    digests |= {"template", "certificate", "stream", "chain", "model", "answer", "time"}
    first, second = (each.model_dump(exclude=digests) for each in words)
    assert first == second
    assert first["reason"] is None


@pytest.mark.parametrize(
    "changes",
    [{"names": ("tax.b",)}, {"weights": (0.0, 0.0)}, {"boosted": {"edges": ((), ()), "trees": ()}}],
    ids=lambda each: next(iter(each)),
)
def test_a_model_of_other_columns_than_were_asked_for_is_not_kept(
    changes: dict[str, object],
) -> None:
    told: dict[str, object] = {"names": ("tax.a",), "weights": (0.5,), "means": (0.0,)}
    told |= {"scales": (1.0,), "intercept": 0.0, "boosted": None} | changes
    shares = dict.fromkeys(("auc", "ks", "membership", "by_chance"), 0.5)
    made = Made.model_validate({"rows": 0, "model": told, **shares})
    nothing = os.memfd_create("rows", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        with pytest.raises(SafeRoomError) as caught:
            _rows(nothing, made, ("tax.a",), ("tax.a", "tax.arrears"))
    finally:
        os.close(nothing)
    assert caught.value.reason is Reason.INTERNAL
    assert "columns" in caught.value.detail
