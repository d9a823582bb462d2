"""Batches at the enclave: each row as if it were asked alone, and one word on all of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from saferoom_enclaves.batches.rows import Rows
from saferoom_enclaves.consent_index import Scope
from saferoom_enclaves.consents import Consents
from saferoom_proto.answer import Told, Truth
from saferoom_proto.batch import CHUNK_ROWS, Row
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import BatchRequest, Outcome, load, seal_statement
from saferoom_proto.uscc import make_uscc
from simulator import FEATURES, EnclaveHarness, Sample
from simulator.batch import (
    FILLER,
    STEADY,
    SimBatch,
    ask_batch,
    batch_of,
    judge_batch,
    steady_batch,
    two_chunks,
)
from simulator.sample import VAT_GRID


def outcomes(enclave: EnclaveHarness, batch: SimBatch) -> list[Told | Reason]:
    return [record.outcome for record in ask_batch(enclave, batch).records]


def test_each_row_gets_the_answer_it_would_get_alone(room: Sample, enclave: EnclaveHarness) -> None:
    word = ask_batch(enclave, steady_batch(room, 1, 2, 3, 4, 9, 8))
    assert [record.outcome for record in word.records] == [
        Truth.YES,
        Truth.NO,
        Truth.NO,
        Truth.NOT_FOUND,
        Truth.NOT_FOUND,
        Reason.NO_CONSENT,
    ]
    assert (word.release.answered, word.release.refused) == (5, 1)
    assert word.release.outcome is Outcome.ANSWERED
    assert word.records[0].charges == ((1, 2), (1, 3))  # arrears, vat: by name
    assert word.records[0].consent is not None
    assert word.records[5].consent is None


def test_rows_have_parameters_of_their_own(room: Sample, enclave: EnclaveHarness) -> None:
    sets = ({"min_vat": "50000"}, {"min_vat": "500000"})
    subject = room.world.subject(1).uscc
    batch = batch_of(room.bank, room.steady, [Row(subject, 0), Row(subject, 1)], sets)
    word = ask_batch(enclave, batch)
    assert [record.outcome for record in word.records] == [Truth.YES, Truth.NO]
    assert [record.charges[1] for record in word.records] == [(1, 3), (3, 5)]


def test_what_is_public_by_law_needs_no_consent_and_costs_nothing(
    room: Sample, enclave: EnclaveHarness
) -> None:
    rows = [Row(room.world.subject(serial).uscc) for serial in (1, 8)]
    word = ask_batch(enclave, batch_of(room.bank, room.public, rows))
    assert [record.outcome for record in word.records] == [Truth.YES, Truth.NO]
    assert [(record.consent, record.charges) for record in word.records] == [(None, ())] * 2


def test_a_row_that_stands_earlier_is_refused_and_not_charged(
    room: Sample, enclave: EnclaveHarness
) -> None:
    word = ask_batch(enclave, steady_batch(room, 1, 1, 2, 1))
    assert [record.outcome for record in word.records] == [
        Truth.YES,
        Reason.ROW_REPEATED,
        Truth.NO,
        Reason.ROW_REPEATED,
    ]
    assert word.records[1].charges == ()


def test_a_row_that_stands_in_an_earlier_chunk_is_refused(
    room: Sample, enclave: EnclaveHarness
) -> None:
    rows = [Row(room.world.subject(1).uscc)]
    rows += [Row(make_uscc(FILLER + at)) for at in range(CHUNK_ROWS)]
    batch = batch_of(room.bank, room.steady, [*rows, rows[0]], STEADY)
    told = outcomes(enclave, batch)
    assert (told[0], told[-1]) == (Truth.YES, Reason.ROW_REPEATED)


def test_batches_and_single_checks_see_each_others_cuts(
    room: Sample, enclave: EnclaveHarness
) -> None:
    first = enclave.ask(room.question(1, VAT_GRID[0])).release
    assert [charge.cells_after for charge in first.charges] == [3, 2]
    batch = batch_of(room.bank, room.steady, [Row(room.world.subject(1).uscc)], STEADY)
    assert ask_batch(enclave, batch).records[0].charges == ((2, 2), (3, 5))
    third = enclave.ask(room.question(1, VAT_GRID[1])).release
    assert [(each.cells_before, each.cells_after) for each in third.charges] == [(5, 5), (2, 2)]


def test_mixing_batches_and_single_checks_tells_no_more_than_the_budget(
    room: Sample, enclave: EnclaveHarness
) -> None:
    mixed: list[Truth | Reason] = []
    alone: list[Truth | Reason] = []
    for at, value in enumerate(VAT_GRID):
        verdict = enclave.ask(room.question(3, value))
        alone.append(verdict.reason or Truth.YES)
        if at % 2:
            verdict = enclave.ask(room.question(1, value))
            mixed.append(verdict.reason or Truth.YES)
            continue
        row = [Row(room.world.subject(1).uscc)]
        (told,) = outcomes(enclave, batch_of(room.bank, room.steady, row, ({"min_vat": value},)))
        mixed.append(told if isinstance(told, Reason) else Truth.YES)
    assert mixed == alone
    assert Reason.OVER_BUDGET in mixed


def test_the_accounts_of_a_batch_are_there_after_a_restart(
    room: Sample, enclave: EnclaveHarness
) -> None:
    enclave.ask(room.question(1, VAT_GRID[0]))
    ask_batch(enclave, steady_batch(room, 1, 2))
    enclave.restart()
    charges = enclave.ask(room.question(1, VAT_GRID[1])).release.charges
    assert [(each.cells_before, each.cells_after) for each in charges] == [(5, 5), (2, 2)]
    charges = enclave.ask(room.question(2, "50000")).release.charges
    assert [(each.cells_before, each.cells_after) for each in charges] == [(3, 3), (2, 2)]


def test_another_groups_batch_has_an_account_of_its_own(
    room: Sample, enclave: EnclaveHarness
) -> None:
    room.consent(1, room.other_bank)
    enclave.follow()
    ask_batch(enclave, steady_batch(room, 1))
    row = [Row(room.world.subject(1).uscc)]
    other = ask_batch(enclave, batch_of(room.other_bank, room.steady, row, STEADY))
    assert other.records[0].charges == ((1, 2), (1, 3))


def test_a_consent_to_another_bank_does_not_count(room: Sample, enclave: EnclaveHarness) -> None:
    row = [Row(room.world.subject(1).uscc)]
    told = outcomes(enclave, batch_of(room.other_bank, room.steady, row, STEADY))
    assert told == [Reason.NO_CONSENT]


def test_a_revocation_that_comes_while_a_batch_runs_counts_for_the_rows_left(
    room: Sample, enclave: EnclaveHarness
) -> None:
    consent = room.consent(11)
    enclave.follow()
    batch = two_chunks(room, 11, 1)
    judge_batch(enclave, batch, chunks=1)
    room.world.subject(11).revoke(consent)
    enclave.follow()
    assert outcomes(enclave, batch)[-2:] == [Reason.NO_CONSENT, Truth.YES]


def test_an_older_consent_counts_where_the_newest_does_not(
    room: Sample, enclave: EnclaveHarness
) -> None:
    subject = room.world.subject(12)
    subject.give(room.bank, FEATURES)
    newest = subject.give(room.bank, FEATURES[:1])
    enclave.follow()
    assert outcomes(enclave, steady_batch(room, 12)) == [Truth.NOT_FOUND]
    subject.revoke(newest)
    enclave.follow()
    assert outcomes(enclave, steady_batch(room, 12)) == [Truth.NOT_FOUND]


def test_only_the_wordings_that_rows_meet_are_held_to_their_question(
    room: Sample, enclave: EnclaveHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    for serial, features in enumerate((FEATURES, FEATURES[:1], FEATURES[1:2]), start=20):
        room.world.subject(serial).give(room.bank, features)
    room.consent(23, room.other_bank)
    enclave.follow()
    held: list[object] = []
    honest = Consents._covers

    def counted(self: Consents, scope: Scope, *rest: Any) -> int:
        held.append(scope)
        return honest(self, scope, *rest)

    monkeypatch.setattr(Consents, "_covers", counted)
    told = ask_batch(enclave, steady_batch(room, 20, 23))
    assert [record.outcome for record in told.records] == [Truth.NOT_FOUND, Reason.NO_CONSENT]
    assert len(held) == 1
    told = ask_batch(enclave, steady_batch(room, 21, 22, 1))
    assert [record.outcome for record in told.records][:2] == [Reason.NO_CONSENT] * 2
    assert len(held) == 1 + 3


def test_a_consent_with_a_number_of_uses_is_used_up_by_rows(
    room: Sample, enclave: EnclaveHarness
) -> None:
    room.world.subject(13).give(room.bank, FEATURES, uses=2)
    enclave.follow()
    enclave.ask(room.question(13))
    sets = ({"min_vat": "50000"}, {"min_vat": "100000"}, {"min_vat": "10000"})
    subject = room.world.subject(13).uscc
    batch = batch_of(room.bank, room.steady, [Row(subject, at) for at in range(3)], sets)
    assert outcomes(enclave, batch) == [
        Truth.NOT_FOUND,
        Reason.CONSENT_USED_UP,
        Reason.CONSENT_USED_UP,
    ]


def test_consents_are_there_after_a_restart_and_so_are_revocations(
    room: Sample, enclave: EnclaveHarness
) -> None:
    consent = room.consent(14)
    enclave.follow()
    room.world.subject(14).revoke(consent)
    enclave.follow()
    enclave.restart()
    assert outcomes(enclave, steady_batch(room, 1, 14)) == [Truth.YES, Reason.NO_CONSENT]


@pytest.mark.parametrize("how", ["pause", "withdraw", "end", "expire"])
def test_what_ends_the_permission_while_a_batch_runs_counts_for_the_rows_left(
    room: Sample, enclave: EnclaveHarness, how: str
) -> None:
    batch = two_chunks(room, 1)
    judge_batch(enclave, batch, chunks=1)
    match how:
        case "pause":
            room.tax.pause()
        case "withdraw":
            room.tax.withdraw(room.steady.template)
        case "end":
            room.tax.end(room.agreement)
        case _:
            room.world.clock.advance(timedelta(hours=24).total_seconds())
            enclave.unlock()
    enclave.follow()
    reason = {
        "pause": Reason.PAUSED,
        "withdraw": Reason.NOT_APPROVED,
        "end": Reason.NO_AGREEMENT,
        "expire": Reason.EXPIRED,
    }[how]
    if how == "end":
        # The stream that is open goes on to the word; who comes again is nobody's member any more.
        with pytest.raises(SafeRoomError, match="NO_AGREEMENT"):
            ask_batch(enclave, batch)
        return
    word = ask_batch(enclave, batch)
    assert word.records[-1].outcome is reason
    assert word.records[0].outcome is Reason.NO_CONSENT
    assert [span.rows for span in word.release.spans] == [CHUNK_ROWS, 1]


def test_a_batch_that_may_not_begin_is_refused_as_a_whole_and_recorded(
    room: Sample, enclave: EnclaveHarness
) -> None:
    room.tax.pause()
    enclave.follow()
    batch = steady_batch(room, 1)
    word = ask_batch(enclave, batch)
    assert (word.release.outcome, word.release.reason) == (Outcome.REFUSED, Reason.PAUSED)
    assert (word.release.root, word.release.spans, word.records) == (None, (), [])
    room.tax.pause(paused=False)
    enclave.follow()
    assert ask_batch(enclave, batch) == word  # once refused, the same batch stays refused


@pytest.mark.parametrize(
    ("field", "reason"),
    [("certificate", Reason.CERTIFICATE_MISMATCH), ("template", Reason.NOT_APPROVED)],
)
def test_a_batch_as_a_whole_is_held_to_the_rules_of_a_single_question(
    room: Sample, enclave: EnclaveHarness, field: str, reason: Reason
) -> None:
    changed = load(steady_batch(room, 1).envelope, BatchRequest).model_copy(
        update={field: "sha256:" + "0" * 64}
    )
    signed = seal_statement(changed, room.bank.key)
    batch = replace(steady_batch(room, 1), envelope=signed)
    assert ask_batch(enclave, batch).release.reason is reason


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ([{"min_vat": "50001"}], Reason.OFF_GRID),
        ([{"min_vat": "50000"}, {"max_vat": "50000"}], Reason.OFF_DOMAIN),
    ],
)
def test_one_set_of_parameters_that_is_off_refuses_the_batch(
    room: Sample, enclave: EnclaveHarness, params: list[dict[str, str | bool]], reason: Reason
) -> None:
    assert ask_batch(enclave, steady_batch(room, 1, params=params)).release.reason is reason


def test_a_repeat_gives_the_same_bytes_and_is_charged_once(
    room: Sample, enclave: EnclaveHarness
) -> None:
    batch = steady_batch(room, 1, 2, 9)
    word = ask_batch(enclave, batch)
    enclave.restart()
    enclave.follow()
    assert ask_batch(enclave, batch) == word


def test_nothing_of_a_batch_leaves_before_the_word_on_all_of_it(
    room: Sample, enclave: EnclaveHarness
) -> None:
    batch = two_chunks(room, 1)
    judge_batch(enclave, batch, chunks=1)
    begun = enclave.enclave.batches.begin(batch.envelope)
    with pytest.raises(SafeRoomError, match="INTERNAL"):
        enclave.enclave.batches.chunk(begun, 0)
    with pytest.raises(SafeRoomError, match="INTERNAL"):
        enclave.enclave.batches.word(begun)


def test_a_batch_killed_between_chunks_goes_on_where_it_stopped(
    room: Sample, enclave: EnclaveHarness
) -> None:
    rows = [Row(room.world.subject(1).uscc)]
    rows += [Row(make_uscc(FILLER + at)) for at in range(CHUNK_ROWS)]
    batch = batch_of(room.bank, room.steady, [*rows, Row(room.world.subject(2).uscc)], STEADY)
    judge_batch(enclave, batch, chunks=1)
    enclave.kill()
    begun = enclave.enclave.batches.begin(batch.envelope)
    assert begun.progress is not None
    assert begun.progress.judged == CHUNK_ROWS
    # What was judged was charged, and is not charged again.
    charges = enclave.ask(room.question(1, "50000")).release.charges
    assert [charge.cells_before for charge in charges] == [3, 2]
    word = ask_batch(enclave, batch)
    assert (word.records[0].outcome, word.records[-1].outcome) == (Truth.YES, Truth.NO)
    assert word.records[0].charges == ((1, 2), (1, 3))
    enclave.kill()
    enclave.follow()
    assert ask_batch(enclave, batch) == word


def test_a_chunk_that_is_not_committed_changes_nothing_in_memory(
    room: Sample, enclave: EnclaveHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = steady_batch(room, 1)
    begun = enclave.enclave.batches.begin(batch.envelope)
    begun.rows = Rows(begun.asked.request, batch.blinding, batch.packed)
    state = enclave.enclave._require_open().state
    with monkeypatch.context() as patched:
        patched.setattr(state, "_commit", lambda: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            enclave.enclave.batches.judge_next(begun)
    charges = enclave.ask(room.question(1)).release.charges
    assert [charge.cells_before for charge in charges] == [1, 1]
    assert outcomes(enclave, batch) == [Truth.YES]


def test_a_failure_that_depends_on_records_is_withheld_and_paid(
    room: Sample, enclave: EnclaveHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = enclave.enclave._require_open().data.index()
    with monkeypatch.context() as patched:
        patched.setattr(type(index), "cells_of", None)
        word = ask_batch(enclave, steady_batch(room, 1, 8))
    assert [record.outcome for record in word.records] == [Reason.WITHHELD, Reason.NO_CONSENT]
    assert word.records[0].charges == ((1, 2), (1, 3))
    assert word.records[0].consent is None
    assert "callable" not in enclave.log.getvalue()


def test_the_log_and_the_word_name_no_subject(room: Sample, enclave: EnclaveHarness) -> None:
    word = ask_batch(enclave, steady_batch(room, 1, 8))
    for serial in (1, 8):
        code = room.world.subject(serial).uscc
        assert code not in enclave.log.getvalue()
        assert code.encode() not in word.envelope.payload
