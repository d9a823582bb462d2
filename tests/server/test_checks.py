"""A question's way through the room: answered, repeated, refused, and what is recorded of it."""

from __future__ import annotations

import asyncio
import json

import grpc
import pytest

from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import unb64
from saferoom_proto.reasons import Reason
from saferoom_proto.receipt import verify_recorded
from saferoom_proto.rpc_errors import from_rpc_error, metadata_of
from saferoom_proto.statements import Outcome, Purpose, Refusal, Release, load
from saferoom_proto.v1 import check_pb2, ledger_pb2
from saferoom_proto.wire import Recorded, recorded_from_proto
from tests.server.conftest import INSTITUTION, Ready
from tests.server.room.opened import SECONDS, OpenedRoom, until


async def refusal_of(room: OpenedRoom, bank: str, request: Envelope) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await room.ask(bank, request)
    return caught.value


async def earlier(room: OpenedRoom, bank: str, request: Envelope) -> check_pb2.GetCheckResponse:
    asked = check_pb2.GetCheckRequest(request_id=request.digest)
    return await room.calls(bank).check.GetCheck(asked, timeout=SECONDS)


async def size(room: OpenedRoom) -> int:
    call = room.calls("operator").ledger.GetCheckpoint
    answer = await call(ledger_pb2.GetCheckpointRequest(), timeout=SECONDS)
    return int(answer.checkpoint.split("\n")[1])


def in_the_log(ready: Ready, recorded: Recorded) -> int:
    """Verify that a statement stands in the log; gives its index."""
    digest = recorded.statement.digest
    return verify_recorded(digest, recorded.salt, recorded.proof, ready.sample.world.trust())[1]


async def test_an_answer_comes_recorded_and_sealed_to_its_asker(ready: Ready) -> None:
    question = ready.question()
    answer = await ready.room.ask("bank-a", question)
    assert answer.request_id == question.digest
    (part,) = answer.parts
    recorded = recorded_from_proto(part.release)
    in_the_log(ready, recorded)
    release = load(recorded.statement, Release)
    assert (release.request, release.outcome) == (question.digest, Outcome.ANSWERED)
    assert ready.sample.bank.open(question, "tax", part.sealed).truth == "yes"


async def test_a_template_over_two_owners_returns_both_parts_in_order(ready: Ready) -> None:
    said, room = ready.sample, ready.room
    both = said.approved(
        "both", "tax.vat_paid >= 10000 AND court.dishonest IS FALSE", said.tax, said.court
    )
    await room.tell_all()
    question = said.bank.request(said.world.subject(1), both.template, both.certificate)
    answer = await room.ask("bank-a", question)
    releases = [load(recorded_from_proto(part.release).statement, Release) for part in answer.parts]
    assert [release.owner for release in releases] == ["court", "tax"]


async def test_a_repeat_is_answered_byte_for_byte_and_recorded_once(ready: Ready) -> None:
    question = ready.question()
    first = await ready.room.ask("bank-a", question)
    before = await size(ready.room)
    again = [await ready.room.ask("bank-a", question) for _ in range(3)]
    assert {each.SerializeToString(deterministic=True) for each in again} == {
        first.SerializeToString(deterministic=True)
    }
    assert await size(ready.room) == before


async def test_repeats_at_once_are_judged_once(ready: Ready) -> None:
    question = ready.question()
    before = await size(ready.room)
    answers = await asyncio.gather(*(ready.room.ask("bank-a", question) for _ in range(8)))
    assert len({each.SerializeToString(deterministic=True) for each in answers}) == 1
    assert await size(ready.room) == before + 1


async def test_what_was_answered_stays_answered_while_the_enclave_is_down(ready: Ready) -> None:
    question = ready.question()
    first = await ready.room.ask("bank-a", question)
    ready.room.behave("tax", plain="STALE_HEAD", forget=True)
    again = await ready.room.ask("bank-a", question)
    assert again == first
    error = await refusal_of(ready.room, "bank-a", ready.question())
    assert from_rpc_error(error).reason is Reason.STALE_HEAD


async def test_an_enclaves_refusal_is_told_with_its_reason_request_and_owner(
    ready: Ready,
) -> None:
    ready.room.behave("tax", refuse="NO_CONSENT")
    question = ready.question()
    error = await refusal_of(ready.room, "bank-a", question)
    assert from_rpc_error(error).reason is Reason.NO_CONSENT
    assert metadata_of(error) == {"request_id": question.digest, "owner": "tax"}
    (part,) = (await earlier(ready.room, "bank-a", question)).parts
    recorded = recorded_from_proto(part.release)
    in_the_log(ready, recorded)
    release = load(recorded.statement, Release)
    assert (release.outcome, release.reason) == (Outcome.REFUSED, Reason.NO_CONSENT)
    assert part.sealed == b""


async def test_a_value_off_the_grid_is_named_in_the_refusal(ready: Ready) -> None:
    ready.room.behave("tax", refuse="OFF_GRID")
    error = await refusal_of(ready.room, "bank-a", ready.question(minimum="123"))
    told = from_rpc_error(error)
    assert told.reason is Reason.OFF_GRID
    assert [fault.field for fault in told.fields] == ["params.min_vat"]


@pytest.mark.parametrize("reason", ["LOCKED", "STALE_HEAD", "BAD_SIGNATURE", "OUTBOX_WAITING"])
async def test_a_refusal_without_a_verdict_is_recorded_by_the_room(
    ready: Ready, reason: str
) -> None:
    ready.room.behave("tax", plain=reason)
    question = ready.question()
    for _ in range(2):
        error = await refusal_of(ready.room, "bank-a", question)
        assert from_rpc_error(error).reason is Reason(reason)
        assert "its own words" not in str(error)
    (part,) = (await earlier(ready.room, "bank-a", question)).parts
    recorded = recorded_from_proto(part.release)
    in_the_log(ready, recorded)
    refusal = load(recorded.statement, Refusal)
    recorded.statement.verify([ready.sample.world.heads.verify_key])
    assert (refusal.institution, refusal.owner, refusal.reason) == ("bank-a", "tax", reason)


async def test_a_refusal_gives_way_to_the_answer_that_follows_it(ready: Ready) -> None:
    ready.room.behave("tax", plain="LOCKED")
    question = ready.question()
    await refusal_of(ready.room, "bank-a", question)
    ready.room.behave("tax")
    answer = await ready.room.ask("bank-a", question)
    assert (await earlier(ready.room, "bank-a", question)).parts == answer.parts


async def test_another_banks_question_is_refused_and_both_learn_nothing_of_each_other(
    ready: Ready,
) -> None:
    question = ready.question()
    answer = await ready.room.ask("bank-a", question)
    error = await refusal_of(ready.room, "bank-b", question)
    assert from_rpc_error(error).reason is Reason.NOT_ALLOWED
    (part,) = (await earlier(ready.room, "bank-b", question)).parts
    refusal = load(recorded_from_proto(part.release).statement, Refusal)
    assert (refusal.institution, refusal.owner, refusal.reason) == (
        "bank-b",
        None,
        Reason.NOT_ALLOWED,
    )
    assert (await earlier(ready.room, "bank-a", question)).parts == answer.parts


async def test_a_question_nobody_asked_is_unknown(ready: Ready) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await earlier(ready.room, "bank-a", ready.question())
    assert from_rpc_error(caught.value).reason is Reason.UNKNOWN_STATEMENT


async def test_what_the_room_refuses_reaches_no_enclave(ready: Ready) -> None:
    said, room = ready.sample, ready.room
    room.behave("tax", delay_seconds=30)
    subject, steady = said.world.subject(1), said.steady
    no_such = "sha256:" + "7" * 64
    questions = {
        Reason.WRONG_PURPOSE: said.bank.request(
            subject, steady.template, steady.certificate, purpose=Purpose.SUPERVISION
        ),
        Reason.CERTIFICATE_MISMATCH: said.bank.request(subject, steady.template, no_such),
        Reason.UNKNOWN_STATEMENT: said.bank.request(
            subject, said.bank.template("unheard", "tax.registered"), steady.certificate
        ),
    }
    for reason, question in questions.items():
        error = await refusal_of(room, "bank-a", question)
        assert from_rpc_error(error).reason is reason
        (part,) = (await earlier(room, "bank-a", question)).parts
        assert load(recorded_from_proto(part.release).statement, Refusal).owner is None


async def test_without_an_agreement_there_is_no_question(ready: Ready) -> None:
    said, room = ready.sample, ready.room
    await room.enrol("bank-c", INSTITUTION)
    stranger = said.world.bank("bank-c")
    question = stranger.request(
        said.world.subject(1), said.steady.template, said.steady.certificate
    )
    error = await refusal_of(room, "bank-c", question)
    assert from_rpc_error(error).reason is Reason.NO_AGREEMENT


async def test_what_is_no_request_is_refused_and_not_recorded(ready: Ready) -> None:
    before = await size(ready.room)
    template = ready.sample.steady.template
    error = await refusal_of(ready.room, "bank-a", template)
    assert from_rpc_error(error).reason is Reason.MALFORMED
    assert await size(ready.room) == before


async def test_a_release_that_the_endorsed_enclave_did_not_sign_is_not_passed_on(
    ready: Ready,
) -> None:
    ready.room.behave("tax", foreign=True)
    question = ready.question()
    error = await refusal_of(ready.room, "bank-a", question)
    assert from_rpc_error(error).reason is Reason.BAD_SIGNATURE
    (part,) = (await earlier(ready.room, "bank-a", question)).parts
    assert recorded_from_proto(part.release).statement.payload_type == Refusal.payload_type()


async def test_an_owner_that_refuses_leaves_the_others_answers_to_be_fetched(
    ready: Ready,
) -> None:
    said, room = ready.sample, ready.room
    both = said.approved(
        "both", "tax.vat_paid >= 10000 AND court.dishonest IS FALSE", said.tax, said.court
    )
    await room.tell_all()
    room.behave("tax", refuse="OVER_BUDGET")
    question = said.bank.request(said.world.subject(1), both.template, both.certificate)
    error = await refusal_of(room, "bank-a", question)
    assert from_rpc_error(error).reason is Reason.OVER_BUDGET
    parts = (await earlier(room, "bank-a", question)).parts
    assert [bool(part.sealed) for part in parts] == [True, False]


async def test_the_log_of_the_operator_holds_no_subject_and_no_answer(ready: Ready) -> None:
    question = ready.question()
    answer = await ready.room.ask("bank-a", question)
    ready.room.behave("tax", refuse="NO_CONSENT")
    await refusal_of(ready.room, "bank-a", ready.question())
    await refusal_of(ready.room, "bank-b", question)
    logged = ready.room.log.getvalue()
    payload = json.loads(question.payload)
    for secret in (payload["subject"], payload["nonce"], '"yes"', "min_vat", "100000"):
        assert secret not in logged
    assert unb64(payload["nonce"]).hex() not in logged
    assert answer.parts[0].sealed.hex() not in logged


async def test_a_caller_that_leaves_does_not_undo_what_was_charged(ready: Ready) -> None:
    ready.room.behave("tax", delay_seconds=0.5)
    question = ready.question()
    asking = asyncio.ensure_future(ready.room.ask("bank-a", question))
    await asyncio.sleep(0.2)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking

    async def recorded() -> bool:
        try:
            return bool((await earlier(ready.room, "bank-a", question)).parts)
        except grpc.aio.AioRpcError as error:
            assert from_rpc_error(error).reason is Reason.UNKNOWN_STATEMENT
            return False

    await until(recorded)
    assert len((await ready.room.ask("bank-a", question)).parts) == 1
