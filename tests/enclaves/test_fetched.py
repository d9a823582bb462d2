"""Records that are asked for: fetched under consent, once a period, and answered from cells."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from saferoom_enclaves.features.computed import FeatureRule
from saferoom_enclaves.fetched import calls
from saferoom_enclaves.fetched.calls import Fetching
from saferoom_enclaves.logs import Log
from saferoom_proto.answer import Truth
from saferoom_proto.batch import Row
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import CostEstimate, Purpose, Source, TableRelease, load
from saferoom_proto.verdict import Verdict
from simulator.batch import ask_batch, batch_of
from simulator.fetching import (
    BOUND_SECONDS,
    SOURCE,
    FetchRoom,
    arrears_features,
    arrears_schema,
    fetch_room,
    row,
)
from simulator.job import asked as training
from simulator.provider import Exchange
from simulator.tabled import plan
from tests.enclaves.test_disclose import shown

OWING = {"tax_arrears": [row("4000.50"), row("7999.50", None)]}


@pytest.fixture
def room(tmp_path: Path) -> Iterator[FetchRoom]:
    """Give a room whose arrears are asked for, firm 1 having consented, and owing 12,000."""
    with fetch_room(tmp_path) as made:
        made.provider.rows[made.code(1)] = OWING
        made.consent(1)
        yield made


def refused(room: FetchRoom, serial: int = 1, check: str = "owes", **params: str) -> Reason:
    """Ask, and give why no verdict came of it."""
    with pytest.raises(SafeRoomError) as refusal:
        room.ask(serial, check, **params)
    return refusal.value.reason


def test_an_answer_comes_from_what_the_provider_says(room: FetchRoom) -> None:
    """Whatever is asked of the record: one request."""
    assert room.ask().truth is Truth.NO
    assert room.ask(check="owed", most="10000").truth is Truth.NO
    assert room.ask(check="owed", most="50000").truth is Truth.YES
    assert room.provider.asked == [("tax_arrears", room.code(1))]
    assert room.code(1) not in room.enclave.log.getvalue()


def test_a_subject_that_the_provider_does_not_know_is_no_outage(room: FetchRoom) -> None:
    room.consent(2)
    assert room.ask(2).truth is Truth.YES
    verdict = room.ask(2, "owed", most="10000")
    assert (verdict.truth, verdict.reason) == (Truth.NOT_FOUND, None)
    assert verdict.release.charges[0].cells_after == 3
    assert len(room.provider.asked) == 1


def test_a_record_is_fetched_once_a_period_and_each_period_is_charged_anew(
    room: FetchRoom,
) -> None:
    assert room.ask().release.charges[0].cells_before == 1
    room.provider.rows[room.code(1)] = {"tax_arrears": []}
    room.later(days=1)
    again = room.ask()
    # Within the period it is what was fetched, and the question is free.
    assert (again.truth, again.release.charges[0].cells_before) == (Truth.NO, 3)
    room.later(days=7)
    anew = room.ask()
    assert (anew.truth, anew.release.charges[0].cells_before) == (Truth.YES, 1)
    assert len(room.provider.asked) == 2


def test_what_was_fetched_is_there_after_a_kill_and_thrown_away_after_its_period(
    room: FetchRoom,
) -> None:
    world, code = room.said.world, room.code(1)
    assert room.ask().truth is Truth.NO
    room.restart()
    assert room.ask().truth is Truth.NO
    assert len(room.provider.asked) == 1
    assert len(room.enclave.enclave.fetched.held(code, world.now())) == 1
    began = world.now()
    room.later(days=8)
    # Nothing is left of it, whatever the time.
    assert room.enclave.enclave.fetched.held(code, began) == ()


def test_nothing_is_asked_for_before_there_is_a_store(tmp_path: Path) -> None:
    with fetch_room(tmp_path, loaded=False) as empty:
        empty.consent(1)
        assert refused(empty) is Reason.NO_DATA
        assert empty.provider.asked == []


def test_a_question_can_need_the_store_and_a_source(room: FetchRoom) -> None:
    verdict = room.ask(check="mixed")
    assert verdict.truth is Truth.NO
    assert {each.feature for each in verdict.release.charges} == {"tax.arrears", "tax.owes"}


def test_a_new_feature_is_computed_from_the_answer_that_is_kept(room: FetchRoom) -> None:
    room.ask()
    room.said.tax.publish_schema(arrears_schema(version=3))
    room.enclave.follow()
    assert room.ask().truth is Truth.NO
    assert len(room.provider.asked) == 1
    # Other days under the same name have no effect: they would tell who was asked about.
    same = arrears_schema(version=4)
    longer = Source(name=SOURCE.name, days=31)
    asked = tuple(
        each.model_copy(update={"source": longer}) if each.source else each for each in same.tables
    )
    room.said.tax.publish_schema(same.model_copy(update={"tables": asked}))
    room.enclave.follow()
    assert room.ask().truth is Truth.NO
    assert len(room.provider.asked) == 1
    # What a schema asks for no more is still held, and shown.
    room.said.tax.publish_schema(same.model_copy(update={"tables": same.loaded}))
    room.enclave.follow()
    about = room.enclave.enclave.fetched.held(room.code(1), room.said.world.now())
    assert [each.recipe.source for each in about] == [SOURCE]


def test_two_questions_at_once_have_one_record_fetched(room: FetchRoom) -> None:
    questions = [room.question(), room.question(), room.question(check="owed", most="10000")]
    room.prepare_all(questions)
    assert [room.enclave.ask(each).truth for each in questions] == [Truth.NO] * 3
    assert len(room.provider.asked) == 1


def test_a_question_waits_a_moment_only_and_is_answered_when_it_is_asked_again(
    room: FetchRoom,
) -> None:
    question = room.question()
    room.prepare(question, patience_seconds=0.0)
    with pytest.raises(SafeRoomError) as refusal:
        room.enclave.judge(question)
    assert refusal.value.reason is Reason.SOURCE_PENDING
    room.prepare(question)
    assert room.enclave.ask(question).truth is Truth.NO
    assert len(room.provider.asked) == 1


def test_a_question_that_is_not_asked_again_is_judged_all_the_same(room: FetchRoom) -> None:
    """Else a record would be fetched, and no chain say for whom."""
    question, chain = room.question(), room.enclave.enclave.whereabouts().chain_length
    room.prepare(question)
    assert room.enclave.enclave.whereabouts().chain_length == chain + 1
    verdict = room.enclave.ask(question)
    assert (verdict.truth, verdict.release.charges[0].cells_before) == (Truth.NO, 1)
    assert room.enclave.enclave.whereabouts().chain_length == chain + 1


def test_a_record_is_there_at_a_step_of_the_clock_whatever_its_size(room: FetchRoom) -> None:
    """Also one that cannot be used, and one that is read again after a start."""
    step, large = 0.4, room.firm({"tax_arrears": [row("1")] * 15_000})
    log = Log("tax", room.enclave.log)
    for start in range(2):
        if start:
            room.restart()
        room.fetching = Fetching(room.worker, room.broker, log, step)
        for firm in (1, large):
            asked = room.question(firm)
            began = time.monotonic()
            room.prepare(asked)
            assert time.monotonic() - began >= step
            assert room.enclave.ask(asked).truth is Truth.NO
    assert len(room.provider.asked) == 2


def test_more_records_than_may_be_under_way_are_refused_and_begin_later(
    room: FetchRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "MOST_UNDER_WAY", 1)
    over = threading.Event()

    def held_up(exchange: Exchange, source: str, subject: str) -> None:
        over.wait(BOUND_SECONDS)
        room.provider.honest(exchange, source, subject)

    room.provider.behaviour = held_up
    first, second = room.question(), room.question(room.firm(OWING))
    room.prepare(first, patience_seconds=0.0)
    room.prepare(second)  # waits for nothing
    with pytest.raises(SafeRoomError) as refusal:
        room.enclave.judge(second)
    assert refusal.value.reason is Reason.SOURCE_UNAVAILABLE
    over.set()
    for each in (first, second):
        room.prepare(each)
        assert room.enclave.ask(each).truth is Truth.NO


def test_a_provider_that_is_down_costs_nothing(room: FetchRoom) -> None:
    room.disconnect()
    chain = room.enclave.enclave.whereabouts().chain_length
    assert refused(room) is Reason.SOURCE_UNAVAILABLE
    assert room.enclave.enclave.whereabouts().chain_length == chain
    room.connect()
    verdict = room.ask()
    assert (verdict.truth, verdict.release.charges[0].cells_before) == (Truth.NO, 1)


def test_a_price_is_told_without_asking_anybody(room: FetchRoom) -> None:
    question = room.question(check="owed", most="10000")
    told = load(
        room.enclave.judge(room.said.bank.cost_request(question)).entry.statement, CostEstimate
    )
    assert (told.refused, told.features[0].cells_after) == (None, 3)
    assert room.provider.asked == []


def test_what_could_not_be_paid_is_refused_and_nobody_is_asked(room: FetchRoom) -> None:
    """In the same words, whether the provider is there or not: the family has had its bits."""
    for _ in range(5):
        assert room.ask(check="owed", most="1").reason is None
        assert room.ask(check="owed", most="10000").reason is None
        assert room.ask(check="owed", most="50000").reason is None
        room.later(days=7)
    asked = len(room.provider.asked)
    assert room.ask(check="owed", most="1").reason is Reason.OVER_BUDGET
    room.disconnect()
    assert room.ask(check="owed", most="1").reason is Reason.OVER_BUDGET
    assert len(room.provider.asked) == asked


def test_a_batch_asks_no_source(room: FetchRoom) -> None:
    batch = batch_of(room.said.bank, room.checks["owes"], [Row(room.code(1))])
    assert ask_batch(room.enclave, batch).release.reason is Reason.NOT_ALLOWED
    assert room.provider.asked == []


def test_tables_and_training_over_a_source_are_never_approved(room: FetchRoom) -> None:
    """What tables were approved of does not hold once a source answers for the feature."""
    said = room.said
    loan = Purpose.PRE_LOAN
    template, certificate = said.bank.tables("late-firms", plan("arrears"), (loan,))
    said.tax.approve(template, certificate.digest)
    changes = {"name": "arrears", "version": 2}
    said.tax.define(arrears_features()[0].model_copy(update=changes))
    room.enclave.follow()
    judged = room.enclave.tabulate(said.bank.table_request(template, certificate, purpose=loan))
    assert load(judged.entry.statement, TableRelease).reason is Reason.CERTIFICATE_MISMATCH
    for anew in (
        lambda: said.bank.certificate(template),
        lambda: said.bank.training("late-risk", training())[1],
    ):
        with pytest.raises(SafeRoomError, match="NOT_ALLOWED") as refusal:
            anew()
        assert "tax.arrears is asked of a source" in refusal.value.fields[0].rule
    assert room.provider.asked == []


def test_a_trial_checks_a_feature_of_a_source_and_counts_nobody(room: FetchRoom) -> None:
    draft = arrears_features()[1]
    assert room.enclave.verdict(room.enclave.trial(draft)) == Verdict(fault=None, counted=None)
    other = draft.model_copy(update={"source": Source(name="tax_arrears", days=6)})
    fault = room.enclave.verdict(room.enclave.trial(other)).fault
    assert fault == FeatureRule.SOURCE


def test_a_subject_sees_what_was_fetched_about_it_until_the_period_is_over(
    room: FetchRoom,
) -> None:
    room.ask(check="owed", most="10000")
    held = shown(room.said, room.enclave, 1)[1]
    table = next(each for each in held.tables if each.name == "tax_arrears")
    assert [each[1:] for each in table.rows] == [
        ("true", "4000.5000", "VAT"),
        ("true", "7999.5000", None),
    ]
    values = {each.feature: each.value for each in held.features}
    assert (values["tax.owes"], values["tax.owed"]) == ("true", "12000.0000")
    assert held.accounts[0].epoch == SOURCE.period(room.said.world.now())
    room.later(days=8)
    assert "tax_arrears" not in {each.name for each in shown(room.said, room.enclave, 1)[1].tables}
