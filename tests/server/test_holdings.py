"""A subject's request on its way through the room: whose it is, and that it is recorded."""

from __future__ import annotations

import grpc
import pytest

from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import Reason
from saferoom_proto.receipt import verify_recorded
from saferoom_proto.rpc_errors import from_rpc_error
from saferoom_proto.statements import Disclosure, load
from saferoom_proto.v1 import subject_pb2, use_pb2
from saferoom_proto.wire import envelope_to_proto, recorded_from_proto
from tests.server.conftest import Ready
from tests.server.room.opened import SECONDS, Calls, until


async def held(calls: Calls, request: Envelope) -> subject_pb2.GetHoldingsResponse:
    message = subject_pb2.GetHoldingsRequest(request=envelope_to_proto(request))
    return await calls.subject.GetHoldings(message, timeout=SECONDS)


async def refused(calls: Calls, request: Envelope) -> Reason:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await held(calls, request)
    return from_rpc_error(caught.value).reason


async def looked(calls: Calls) -> list[str]:
    """Give the requests of a caller's uses."""
    told = await calls.uses.ListUses(use_pb2.ListUsesRequest(limit=100), timeout=SECONDS)
    words = [recorded_from_proto(each.word).statement for each in told.uses]
    return [load(each, Disclosure).request for each in words]


async def test_what_an_enclave_shows_is_recorded_and_passed_on_as_it_came(ready: Ready) -> None:
    subject = ready.sample.world.subject(1)
    request = subject.claim("tax")
    calls = ready.room.subject_calls(subject)
    told = await held(calls, request)
    assert told.sealed == b"sealed"
    recorded = recorded_from_proto(told.disclosure)
    disclosure = load(recorded.statement, Disclosure)
    assert (disclosure.request, disclosure.subject) == (request.digest, subject.uscc)
    digest, trust = recorded.statement.digest, ready.sample.world.trust()
    verify_recorded(digest, recorded.salt, recorded.proof, trust)
    assert await looked(calls) == await looked(ready.room.calls("tax")) == [request.digest]


async def test_a_subject_asks_for_itself_only(ready: Ready) -> None:
    victim, other = ready.sample.world.subject(1), ready.sample.world.subject(2)
    calls = ready.room.subject_calls(other)
    assert await refused(calls, victim.claim("tax")) is Reason.NOT_ALLOWED
    assert await refused(ready.room.calls("bank-a"), victim.claim("tax")) is Reason.NOT_ALLOWED
    assert await refused(ready.room.calls("tax"), victim.claim("tax")) is Reason.NOT_ALLOWED
    assert await looked(ready.room.subject_calls(victim)) == []


async def test_an_owner_that_is_not_there_is_said_to_be_so(ready: Ready) -> None:
    subject = ready.sample.world.subject(1)
    calls = ready.room.subject_calls(subject)
    assert await refused(calls, subject.claim("water")) is Reason.UNKNOWN_STATEMENT


async def test_what_was_shown_before_a_crash_is_recorded_after_it(ready: Ready) -> None:
    subject = ready.sample.world.subject(1)
    request = subject.claim("tax")
    calls = ready.room.subject_calls(subject)
    ready.room.behave("tax", exit_in_judge=True)
    assert await refused(calls, request) is Reason.UNAVAILABLE

    async def recorded_late() -> bool:
        return await looked(calls) == [request.digest]

    await until(recorded_late)
