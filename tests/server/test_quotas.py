"""What callers are told of their own limits, in headers and refusals, and nothing of others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import grpc
import pytest

from saferoom.limits import RETRY_SECONDS
from saferoom_proto.quota import LIMIT, PUSHBACK, REMAINING, RETRY_AFTER, Quota, QuotaError
from saferoom_proto.reasons import Reason
from saferoom_proto.rpc_errors import from_rpc_error
from saferoom_proto.v1 import check_pb2, identity_pb2
from saferoom_proto.wire import envelope_to_proto
from simulator import sample
from tests.server.conftest import Ready, make_ready
from tests.server.room.opened import Calls, opened, until

LIMITS = "[limits]\ncalls = 40\ncalls_per_caller = 4\n"


@pytest.fixture
async def ready(tmp_path: Path) -> AsyncGenerator[Ready]:
    """Give a room in which a caller may have four calls under way."""
    said = sample("quotas")
    async with opened(tmp_path / "room", said.world, LIMITS) as room:
        yield await make_ready(room, said)


def asked(ready: Ready) -> check_pb2.CheckRequest:
    return check_pb2.CheckRequest(request=envelope_to_proto(ready.question()))


async def quota_of(calls: Calls) -> Quota | None:
    call = calls.identity.WhoAmI(identity_pb2.WhoAmIRequest(), timeout=10)
    await call
    return Quota.of(await call.trailing_metadata())


async def test_every_call_tells_what_more_its_caller_may_have_under_way(ready: Ready) -> None:
    calls = ready.room.calls("bank-a", "desk")
    assert await quota_of(calls) == Quota(limit=4, remaining=3)
    ready.room.behave("tax", delay_seconds=2)
    slow = [asyncio.ensure_future(calls.check.Check(asked(ready), timeout=20)) for _ in range(2)]

    async def both_are_there() -> bool:
        return await quota_of(calls) == Quota(limit=4, remaining=1)

    await until(both_are_there)
    await asyncio.gather(*slow)
    assert await quota_of(calls) == Quota(limit=4, remaining=3)


async def test_one_too_many_is_told_the_limit_and_when_to_come_again(ready: Ready) -> None:
    calls = ready.room.calls("bank-a", "desk")
    ready.room.behave("tax", delay_seconds=2)
    slow = [asyncio.ensure_future(calls.check.Check(asked(ready), timeout=20)) for _ in range(4)]
    await asyncio.sleep(0.3)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await calls.identity.WhoAmI(identity_pb2.WhoAmIRequest(), timeout=10)
    told = dict(caught.value.trailing_metadata())
    assert {name: told[name] for name in (LIMIT, REMAINING, RETRY_AFTER)} == {
        LIMIT: "4",
        REMAINING: "0",
        RETRY_AFTER: "1",
    }
    assert told[PUSHBACK] == str(round(RETRY_SECONDS * 1000))
    assert "4 of your 4 calls are under way." in (caught.value.details() or "")
    refusal = from_rpc_error(caught.value)
    assert isinstance(refusal, QuotaError)
    assert (refusal.reason, refusal.quota) == (Reason.TOO_MANY_REQUESTS, Quota(4, 0))
    assert refusal.retry_seconds == RETRY_SECONDS
    await asyncio.gather(*slow)


async def test_a_refused_call_tells_its_caller_s_quota_too(ready: Ready) -> None:
    calls = ready.room.calls("bank-a", "desk")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await calls.check.GetCheck(
            check_pb2.GetCheckRequest(request_id="sha256:" + "0" * 64), timeout=10
        )
    assert Quota.of(caught.value.trailing_metadata()) == Quota(4, 3)


async def test_what_others_have_under_way_shows_in_no_number(ready: Ready) -> None:
    alone = await quota_of(ready.room.calls("bank-b", "desk"))
    calls = ready.room.calls("bank-a", "desk")
    ready.room.behave("tax", delay_seconds=1)
    slow = [asyncio.ensure_future(calls.check.Check(asked(ready), timeout=20)) for _ in range(4)]
    await asyncio.sleep(0.3)
    assert await quota_of(ready.room.calls("bank-b", "desk")) == alone == Quota(4, 3)
    await asyncio.gather(*slow)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {LIMIT: "4"},
        {LIMIT: "4", REMAINING: "5"},
        {LIMIT: "-1", REMAINING: "-1"},
        {LIMIT: "9" * 30, REMAINING: "1"},
        {LIMIT: "four", REMAINING: "3"},
    ],
)
def test_headers_that_make_no_sense_are_taken_for_none(headers: dict[str, str]) -> None:
    assert Quota.of(headers.items()) is None
