"""Calls that were one too many are made again, later each time, and never past their deadline."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saferoom_client import Refused, Truth
from saferoom_client.aio import AsyncRoom
from saferoom_client.backoff import LONGEST_PAUSE_SECONDS, MOST_TRIES, Pauses
from saferoom_proto.quota import Quota, QuotaError
from saferoom_proto.reasons import Reason, SafeRoomError
from tests.client.fakeroom import Said

FULL = Quota(limit=4, remaining=0)


def too_many(seconds: float) -> QuotaError:
    return QuotaError(FULL, "calls", seconds, "for the operator")


@given(seconds=st.floats(0, 100), seed=st.integers(), left=st.floats(0, 60))
def test_pauses_are_bounded_spread_and_end_before_the_deadline(
    seconds: float, seed: int, left: float
) -> None:
    pauses, now = Pauses(left, random.Random(seed)), 0.0
    for tried in range(MOST_TRIES):
        pause = pauses.next(seconds, now)
        if pause is None:
            return
        assert tried < MOST_TRIES - 1
        expected = max(seconds, min(seconds * 2**tried, LONGEST_PAUSE_SECONDS))
        assert expected <= pause <= 1.5 * expected
        now += pause
        assert now < left
    pytest.fail("it never gave up")


def test_two_callers_that_were_refused_together_do_not_come_again_together() -> None:
    first, second = (Pauses(60, random.Random(seed)).next(1, 0) for seed in (1, 2))
    assert first != second


async def test_a_call_that_was_one_too_many_is_made_again_by_itself(
    room: AsyncRoom, said: Said
) -> None:
    said.refusal, said.refusals = too_many(0.01), 3
    assert (await room.ask(said.case.question())).truth is Truth.YES
    assert said.calls.count("Check") == 4


async def test_it_is_given_up_when_the_time_would_not_suffice(room: AsyncRoom, said: Said) -> None:
    said.refusal = too_many(60)
    began = time.monotonic()
    with pytest.raises(Refused) as refused:
        await room.ask(said.case.question())
    assert time.monotonic() - began < 5
    assert (refused.value.reason, refused.value.retry_seconds) == (Reason.TOO_MANY_REQUESTS, 60)
    assert refused.value.quota == FULL
    assert said.calls.count("Check") == 1


@pytest.mark.parametrize("reason", [Reason.OVER_BUDGET, Reason.NO_CONSENT, Reason.INTERNAL])
async def test_nothing_else_is_made_again(room: AsyncRoom, said: Said, reason: Reason) -> None:
    said.refusal = SafeRoomError(reason)
    with pytest.raises(Refused):
        await room.ask(said.case.question())
    assert said.calls.count("Check") == 1
