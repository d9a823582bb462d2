"""Batches, whole: from a bank through the server to two owners' enclaves, and back."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from saferoom_client import AsyncRoom, Refused, Truth, own_rows
from saferoom_client.batch import Batch
from saferoom_client.batch_answer import BatchAnswer
from saferoom_client.session import Session
from saferoom_client.use import Use
from saferoom_proto.batch import CHUNK_ROWS
from saferoom_proto.batch_receipt import (
    BatchReceipt,
    RowReceipt,
    verify_batch_receipt,
    verify_row_receipt,
)
from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import BatchRelease, load
from saferoom_proto.uscc import make_uscc
from saferoom_proto.use_receipt import UseReceipt, verify_use_receipt
from saferoom_proto.wire import Recorded
from tests.flow.live import LiveRoom
from tests.flow.offers import LISTED, POOR, SILENT, STEADY, UNKNOWN, VAT, vat_paid

ROWS = [STEADY, POOR, LISTED, UNKNOWN, SILENT, STEADY]
LEAST = {"least": "5000"}


@pytest.fixture(scope="module")
def answer(live: LiveRoom) -> BatchAnswer:
    with live.open("bank-a", "desk") as room:
        return room.check_many("steady-payer", ROWS, purpose="pre-loan", params=LEAST)


def told(answer: BatchAnswer) -> list[Truth | Reason | None]:
    return [row.truth or row.reason for row in answer]


def test_each_row_is_answered_by_both_owners_and_folded(answer: BatchAnswer) -> None:
    assert told(answer) == [
        Truth.YES,
        Truth.NO,
        Truth.NO,
        Truth.NOT_FOUND,
        Reason.NO_CONSENT,
        Reason.ROW_REPEATED,
    ]
    third = list(answer)[2]
    assert third.parts == {"court": Truth.NO, "tax": Truth.YES}
    assert (third.index, third.subject) == (2, LISTED)


def test_the_whole_receipt_verifies_offline(live: LiveRoom, answer: BatchAnswer) -> None:
    trust = live.profile("bank-a", "desk").trust
    receipt = BatchReceipt.from_json(answer.receipt.to_json())
    verified = verify_batch_receipt(receipt, trust)
    assert sorted(verified) == ["court", "tax"]
    assert {grounds.release.answered for grounds in verified.values()} == {4}


@pytest.mark.parametrize("index", range(len(ROWS)))
def test_a_rows_receipt_verifies_alone_and_shows_no_other_row(
    live: LiveRoom, answer: BatchAnswer, index: int
) -> None:
    with live.open("bank-a", "desk") as room:
        taken = room.row_receipt(answer.receipt, index)
        trust = room.profile.trust
    data = taken.to_json()
    verified = verify_row_receipt(RowReceipt.from_json(data), trust)
    assert verified.row.subject == ROWS[index]
    assert verified.answer == list(answer)[index].truth
    others = set(ROWS) - {ROWS[index]}
    assert not any(other.encode() in data for other in others)


def test_a_batch_is_among_the_uses_of_each_owner_asked_and_of_nobody_else(
    live: LiveRoom, answer: BatchAnswer
) -> None:
    for owner in ("court", "tax"):
        with live.open(owner, "li") as room:
            found = [use for use in room.list_uses().uses if use.request_id == answer.request_id]
            (use,) = found
            assert (use.kind, use.rows, use.questions, use.subject) == ("batch", (4, 2), 6, None)
            assert use.request is not None
            assert use.request.purpose == "pre-loan"
            verified = verify_use_receipt(room.use_receipt(use), room.profile.trust)
            assert verified.request == use.request
    with live.open("bank-b", "desk") as stranger, pytest.raises(SafeRoomError) as refused:
        stranger.list_uses()
    assert refused.value.reason is Reason.NOT_ALLOWED
    with live.open(STEADY, "self") as subject:
        assert not [use for use in subject.list_uses().uses if use.kind == "batch"]


def rows_of(live: LiveRoom, subject: str, owner: str, request_id: str) -> list[Use]:
    """Give what an owner's enclave shows a subject of a batch."""
    with live.open(subject, "self") as room:
        return [row for row in room.get_holdings(owner).rows if row.request_id == request_id]


def test_a_subject_is_shown_its_row_and_keeps_a_receipt_that_verifies_alone(
    live: LiveRoom, answer: BatchAnswer
) -> None:
    index = ROWS.index(LISTED)
    (row,) = rows_of(live, LISTED, "tax", answer.request_id)
    assert (row.subject, row.institution, row.kind) == (LISTED, "bank-a", "batch")
    assert (row.name, row.params) == (f"entry-{row.index}-row-{index + 1}", LEAST)
    assert (row.answer, row.questions) == (Truth.YES, 1)
    assert {each.feature for each in row.charges} == {VAT}
    assert row.consent is not None
    with live.open(LISTED, "self") as room:
        data = room.use_receipt(row).to_json()
        verified = verify_use_receipt(UseReceipt.from_json(data), room.profile.trust)
    assert verified.row == row.row
    assert not any(other.encode() in data for other in set(ROWS) - {LISTED})


def test_a_batch_that_the_log_does_not_show_hides_nothing_else(
    live: LiveRoom, answer: BatchAnswer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with live.open("bank-a", "desk") as room:
        other = room.check_many("steady-payer", [LISTED], purpose="pre-loan", params=LEAST)
    proven = own_rows._proven

    async def all_but_one(
        session: Session, statement: Envelope, salt: bytes
    ) -> tuple[Recorded, int]:
        lost = load(statement, BatchRelease).request == other.request_id
        return await proven(session, statement, bytes(32) if lost else salt)

    monkeypatch.setattr(own_rows, "_proven", all_but_one)
    with live.open(LISTED, "self") as room:
        held = room.get_holdings("court")
    asked = {row.request_id for row in held.rows}
    assert answer.request_id in asked
    assert other.request_id not in asked
    assert held.unproven == 1


def test_a_row_that_was_refused_is_shown_with_its_reason(
    live: LiveRoom, answer: BatchAnswer
) -> None:
    (row,) = rows_of(live, SILENT, "court", answer.request_id)
    assert (row.reason, row.answer, row.charges) == (Reason.NO_CONSENT, None, ())
    # Asked about twice with the same parameters: the second was refused, and is not shown.
    (row,) = rows_of(live, STEADY, "court", answer.request_id)
    assert (row.reason, row.row and row.row.row.index) == (None, 0)


def test_another_subjects_row_receipt_does_not_verify_under_its_own_name(
    live: LiveRoom, answer: BatchAnswer
) -> None:
    (row,) = rows_of(live, POOR, "tax", answer.request_id)
    assert row.row is not None
    with live.open(POOR, "self") as room:
        receipt = room.use_receipt(row)
        trust = room.profile.trust
    shown = row.row.model_copy(update={"subject": LISTED})
    with pytest.raises(SafeRoomError) as refused:
        verify_use_receipt(receipt.model_copy(update={"row": shown}), trust)
    assert refused.value.reason is Reason.BAD_PROOF
    for lacking in ({"question": None}, {"word": receipt.charter}):
        with pytest.raises(SafeRoomError):
            verify_use_receipt(receipt.model_copy(update=lacking), trust)


def test_a_bank_and_an_owner_are_shown_no_subjects_rows(
    live: LiveRoom, answer: BatchAnswer
) -> None:
    del answer
    for organisation, name in (("bank-a", "desk"), ("tax", "li")):
        with live.open(organisation, name) as room, pytest.raises(SafeRoomError) as refused:
            room.get_holdings("tax")
        assert refused.value.reason is Reason.NOT_ALLOWED


def test_an_owner_adds_up_the_rows_of_batches(live: LiveRoom, answer: BatchAnswer) -> None:
    with live.open("tax", "li") as room:
        before = room.get_usage()
    with live.open("bank-a", "desk") as room:
        room.check_many("steady-payer", ROWS, purpose="pre-loan", params=LEAST)
        room.cost("steady-payer", subject=POOR, purpose="pre-loan", params=LEAST)
    with live.open("tax", "li") as room:
        after = room.get_usage()
    group = next(group for group, total in after.totals.items() if total.refused_rows)
    assert group.institution == "bank-a"
    assert after.totals[group].asked == before.totals[group].asked + 6
    assert after.totals[group].answered == before.totals[group].answered + 4
    assert after.totals[group].refused_rows == before.totals[group].refused_rows + 2
    assert after.priced == before.priced + 1


def test_the_same_batch_again_brings_the_same_bytes(live: LiveRoom) -> None:
    with live.open("bank-a", "desk") as room:
        batch = room.prepare_many("steady-payer", ROWS, purpose="pre-loan", params=LEAST)
        seen: list[tuple[int, int]] = []
        first = room.ask_many(batch, progress=lambda done, whole: seen.append((done, whole)))
        kept = Batch.from_json(batch.to_json())
        again = room.ask_many(kept)
    assert again.receipt == first.receipt
    assert seen[-1] == (len(ROWS), len(ROWS))


def test_rows_with_parameters_of_their_own(live: LiveRoom) -> None:
    rows = [(STEADY, {"least": 5000}), (POOR, {"least": 5000})]
    with live.open("bank-a", "desk") as room:
        answer = room.check_many("paid-enough", rows, purpose="pre-loan")
    assert told(answer) == [Truth.YES, Truth.NO]
    assert answer.params(1) == LEAST


def test_an_asker_who_leaves_finds_its_batch_judged(live: LiveRoom) -> None:
    rows = [make_uscc(40_000_000 + at) for at in range(2 * CHUNK_ROWS)]

    async def leaves() -> Batch:
        async with AsyncRoom.open(live.member("bank-a", "desk")) as room:
            batch = await room.prepare_many("steady-payer", rows, purpose="pre-loan", params=LEAST)
            begun = asyncio.Event()

            def note(done: int, whole: int) -> None:
                assert done <= whole
                begun.set()

            asking = asyncio.create_task(room.ask_many(batch, progress=note))
            await begun.wait()
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
        return batch

    batch = asyncio.run(leaves())
    with live.open("bank-a", "desk") as room:
        assert {row.reason for row in room.ask_many(batch)} == {Reason.NO_CONSENT}
        room.check("steady-payer", subject=STEADY, purpose="pre-loan", params=LEAST)


@pytest.mark.parametrize(
    ("params", "reason"),
    [({"least": "5001"}, Reason.OFF_GRID), ({"most": "5000"}, Reason.OFF_DOMAIN)],
)
def test_a_batch_that_may_not_run_is_refused_as_a_whole(
    live: LiveRoom, params: dict[str, str], reason: Reason
) -> None:
    with live.open("bank-a", "desk") as room, pytest.raises(Refused) as refused:
        room.check_many("steady-payer", ROWS, purpose="pre-loan", params=params)
    assert refused.value.reason is reason
    assert "params." in str(refused.value)


def test_a_room_that_stays_open_follows_a_feature_that_changes(live: LiveRoom) -> None:
    name = "vat_lately"
    with (
        live.open("tax", "li") as owner,
        live.open("bank-a", "desk") as room,
        live.open("bank-a", "desk") as late,
    ):
        owner.put_feature(vat_paid(name=name))
        template = live.propose("paid-enough", name="paid-lately", feature=f"tax.{name}")
        live.approve(template)

        def batch() -> Batch:
            return room.prepare_many(template, ROWS[:1], purpose="pre-loan", params=LEAST)

        def priced() -> Reason | None:
            return room.cost(template, subject=ROWS[0], purpose="pre-loan", params=LEAST).refused

        judged = [Reason.NO_CONSENT]  # nobody gave one for this feature: the rows were looked at
        assert told(room.ask_many(batch())) == told(late.ask_many(batch())) == judged
        owner.put_feature(vat_paid(name=name, version=2))
        with pytest.raises(Refused) as refused:
            room.ask_many(batch())
        assert refused.value.reason is Reason.CERTIFICATE_MISMATCH
        live.approve(template)
        again = batch()
        assert told(room.ask_many(again)) == told(late.ask_many(again)) == judged
        for each in (room, late):  # what was fetched anew is kept
            kept = each.session.views[template].certificate.digest
            assert kept == again.request.certificate
        owner.put_feature(vat_paid(name=name, version=3))
        assert priced() is Reason.CERTIFICATE_MISMATCH
        live.approve(template)
        assert priced() is Reason.NO_CONSENT
        assert told(room.ask_many(batch())) == judged


def test_another_banks_batch_and_a_wrong_purpose_are_refused_by_the_room(live: LiveRoom) -> None:
    with live.open("bank-a", "desk") as room:
        batch = room.prepare_many("steady-payer", ROWS, purpose="pre-loan", params=LEAST)
        with pytest.raises(Refused) as refused:
            room.check_many("paid-enough", ROWS, purpose="in-loan", params=LEAST)
        assert refused.value.reason is Reason.WRONG_PURPOSE
    with live.open("bank-b", "desk") as room, pytest.raises(Refused) as refused:
        room.ask_many(batch)
    assert refused.value.reason is Reason.NOT_ALLOWED


def test_a_row_that_is_no_code_is_named_before_anything_is_sent(live: LiveRoom) -> None:
    with live.open("bank-a", "desk") as room, pytest.raises(SafeRoomError) as refused:
        room.check_many("steady-payer", [STEADY, "no code"], purpose="pre-loan", params=LEAST)
    assert refused.value.reason is Reason.MALFORMED_SUBJECT
    assert refused.value.fields[0].field == "rows[1]"


def test_what_a_batch_leaves_in_the_log_verifies(live: LiveRoom, answer: BatchAnswer) -> None:
    assert len(answer) == len(ROWS)
    with live.open("bank-a", "desk") as room:
        room.verify_log()


def test_nothing_of_a_record_or_an_answer_is_in_the_rooms_files(
    live: LiveRoom, answer: BatchAnswer, tmp_path: Path
) -> None:
    secrets = [part.secret for part in answer.parts]
    records = [chunk.records for part in answer.parts for chunk in part.chunks]
    del tmp_path
    for path in (live.room / "state.db", live.room / "state.db-wal"):
        data = path.read_bytes() if path.exists() else b""
        assert not any(each in data for each in (*secrets, *records))
