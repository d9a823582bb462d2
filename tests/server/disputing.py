"""What subjects and owners hand in about disputes, and what they are shown of them."""

from __future__ import annotations

from collections.abc import Awaitable

import grpc
import pytest

from saferoom import pages
from saferoom_proto.dsse import Envelope
from saferoom_proto.keys import SigningKey
from saferoom_proto.reasons import Reason
from saferoom_proto.rpc_errors import from_rpc_error
from saferoom_proto.v1 import subject_pb2
from saferoom_proto.wire import envelope_to_proto, recorded_from_proto
from tests.server.conftest import Ready
from tests.server.room.opened import SECONDS, Calls


async def reason_of(call: Awaitable[object]) -> Reason:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return from_rpc_error(caught.value).reason


async def refusal_of(call: Awaitable[object]) -> tuple[Reason, str]:
    """Give a refusal's reason, and what it says of a field."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    error = from_rpc_error(caught.value)
    return error.reason, " ".join(fault.rule for fault in error.fields)


def disputed(
    ready: Ready, serial: int = 1, key: SigningKey | None = None, /, **changes: object
) -> Envelope:
    """Have a subject dispute a field; fields can be changed, and another key may sign."""
    return ready.sample.world.subject(serial).dispute(key, **changes)


def dispute(calls: Calls, said: Envelope) -> Awaitable[subject_pb2.OpenDisputeResponse]:
    message = subject_pb2.OpenDisputeRequest(dispute=envelope_to_proto(said))
    return calls.subject.OpenDispute(message, timeout=SECONDS)


def answer(calls: Calls, said: Envelope) -> Awaitable[subject_pb2.AnswerDisputeResponse]:
    message = subject_pb2.AnswerDisputeRequest(answer=envelope_to_proto(said))
    return calls.subject.AnswerDispute(message, timeout=SECONDS)


def withdraw(calls: Calls, said: Envelope) -> Awaitable[subject_pb2.WithdrawDisputeResponse]:
    message = subject_pb2.WithdrawDisputeRequest(withdrawal=envelope_to_proto(said))
    return calls.subject.WithdrawDispute(message, timeout=SECONDS)


async def disputes(calls: Calls) -> list[str]:
    found: list[str] = []
    message = subject_pb2.ListDisputesRequest()
    while True:
        told = await calls.subject.ListDisputes(message, timeout=SECONDS)
        assert len(told.disputes) <= pages.PAGE
        found[:0] = [recorded_from_proto(each).statement.digest for each in told.disputes]
        if not told.next:
            return found
        message = subject_pb2.ListDisputesRequest(before=told.next)
