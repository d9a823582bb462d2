"""A request for a price on its way through the room: authorised, told, recorded, and kept apart."""

from __future__ import annotations

import json

import grpc
import pytest

from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import Reason
from saferoom_proto.receipt import verify_recorded
from saferoom_proto.rpc_errors import from_rpc_error, metadata_of
from saferoom_proto.statements import CostEstimate, CostRequest, load, seal_statement
from saferoom_proto.v1 import check_pb2, use_pb2
from saferoom_proto.wire import envelope_from_proto, envelope_to_proto, recorded_from_proto
from tests.server.conftest import Ready
from tests.server.room.opened import SECONDS, Calls, OpenedRoom, until


def inquiry(ready: Ready) -> Envelope:
    return ready.sample.bank.cost_request(ready.question())


async def price(room: OpenedRoom, bank: str, request: Envelope) -> check_pb2.CostResponse:
    message = check_pb2.CostRequest(request=envelope_to_proto(request))
    return await room.calls(bank).check.Cost(message, timeout=SECONDS)


async def refusal_of(room: OpenedRoom, bank: str, request: Envelope) -> Reason:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await price(room, bank, request)
    return from_rpc_error(caught.value).reason


async def listed(calls: Calls) -> list[tuple[str, str]]:
    """Give the words on uses that the caller is shown, with the questions, the newest first."""
    told = await calls.uses.ListUses(use_pb2.ListUsesRequest(limit=100), timeout=SECONDS)
    return [
        (
            recorded_from_proto(each.word).statement.payload_type,
            envelope_from_proto(each.request).digest if each.HasField("request") else "",
        )
        for each in told.uses
    ]


def size(room: OpenedRoom) -> int:
    return room.server.books.ledger.tip().size


async def test_a_price_comes_recorded_and_a_repeat_brings_the_same_bytes(ready: Ready) -> None:
    request = inquiry(ready)
    told = await price(ready.room, "bank-a", request)
    assert told.request_id == request.digest
    (word,) = [recorded_from_proto(each) for each in told.estimates]
    verify_recorded(word.statement.digest, word.salt, word.proof, ready.sample.world.trust())
    estimate = load(word.statement, CostEstimate)
    assert (estimate.owner, estimate.request) == ("tax", request.digest)
    before = size(ready.room)
    assert await price(ready.room, "bank-a", request) == told
    assert size(ready.room) == before


async def test_a_price_is_shown_to_its_subject_and_its_owner_and_nobody_else(ready: Ready) -> None:
    room, world, request = ready.room, ready.sample.world, inquiry(ready)
    await price(room, "bank-a", request)
    shown = [(CostEstimate.payload_type(), request.digest)]
    assert await listed(room.calls("tax")) == shown
    assert await listed(room.subject_calls(world.subject(1))) == shown
    assert not await listed(room.subject_calls(world.subject(2)))
    assert not await listed(room.calls("court"))


async def test_another_bank_s_request_for_a_price_is_refused_and_recorded(ready: Ready) -> None:
    request, before = inquiry(ready), size(ready.room)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await price(ready.room, "bank-b", request)
    assert from_rpc_error(caught.value).reason is Reason.NOT_ALLOWED
    assert metadata_of(caught.value)["request_id"] == request.digest
    assert size(ready.room) == before + 1


async def test_neither_call_takes_the_other_s_request(ready: Ready) -> None:
    room, question = ready.room, ready.question()
    assert await refusal_of(room, "bank-a", question) is Reason.MALFORMED
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await room.ask("bank-a", inquiry(ready))
    assert from_rpc_error(caught.value).reason is Reason.MALFORMED


async def test_a_price_is_no_answer_to_be_fetched_later(ready: Ready) -> None:
    request = inquiry(ready)
    await price(ready.room, "bank-a", request)
    asked = check_pb2.GetCheckRequest(request_id=request.digest)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await ready.room.calls("bank-a").check.GetCheck(asked, timeout=SECONDS)
    assert from_rpc_error(caught.value).reason is Reason.UNKNOWN_STATEMENT


async def test_a_price_that_no_endorsed_enclave_signed_is_not_passed_on(ready: Ready) -> None:
    ready.room.behave("tax", foreign=True)
    assert await refusal_of(ready.room, "bank-a", inquiry(ready)) is Reason.BAD_SIGNATURE


async def test_a_state_of_the_enclave_is_told_as_such(ready: Ready) -> None:
    ready.room.behave("tax", plain="NO_DATA")
    request = inquiry(ready)
    assert await refusal_of(ready.room, "bank-a", request) is Reason.NO_DATA
    ready.room.behave("tax")
    assert len((await price(ready.room, "bank-a", request)).estimates) == 1


async def test_a_template_that_the_room_does_not_know_has_no_price(ready: Ready) -> None:
    request = load(inquiry(ready), CostRequest).model_copy(
        update={"template": "sha256:" + "0" * 64}
    )
    signed = seal_statement(request, ready.sample.bank.key)
    assert await refusal_of(ready.room, "bank-a", signed) is Reason.UNKNOWN_STATEMENT


async def test_a_price_whose_enclave_died_over_it_is_recorded_and_told_when_it_returns(
    ready: Ready,
) -> None:
    room, request = ready.room, inquiry(ready)
    room.behave("tax", exit_in_judge=True)
    assert await refusal_of(room, "bank-a", request) is Reason.UNAVAILABLE

    async def recorded_late() -> bool:
        return "recorded late" in room.log.getvalue()

    await until(recorded_late)
    await room.until_state("tax", "serving")
    before = size(room)
    (word,) = (await price(room, "bank-a", request)).estimates
    assert load(recorded_from_proto(word).statement, CostEstimate).request == request.digest
    assert size(room) == before
    # Recorded from the outbox, which knows no requests: its subject finds it all the same.
    subject = room.subject_calls(ready.sample.world.subject(1))
    assert (CostEstimate.payload_type(), request.digest) in await listed(subject)


async def test_a_price_whose_asker_left_is_recorded_all_the_same(ready: Ready) -> None:
    ready.room.behave("tax", delay_seconds=0.5)
    before = size(ready.room)
    message = check_pb2.CostRequest(request=envelope_to_proto(inquiry(ready)))
    with pytest.raises(grpc.aio.AioRpcError):
        await ready.room.calls("bank-a").check.Cost(message, timeout=0.1)
    kept = ready.room.folder / "enclaves" / "tax" / "kept.json"

    async def proven() -> bool:
        return json.loads(kept.read_text())["proven"] == [0]

    await until(proven)
    assert size(ready.room) == before + 1
