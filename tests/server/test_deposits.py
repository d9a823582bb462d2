"""Bad requests cost their caller deposits, and nobody else anything."""

from __future__ import annotations

import asyncio
import time

import pytest

from saferoom import deposits as module
from saferoom.deposits import Deposits, is_callers_fault
from saferoom.refusals import RequestRefusedError
from saferoom_proto.reasons import Reason, SafeRoomError, TryLaterError


async def good(deposits: Deposits, caller: str = "bank-a") -> None:
    async with deposits.deposit(caller):
        await asyncio.sleep(0)


async def refused(
    deposits: Deposits, reason: Reason = Reason.MALFORMED, caller: str = "bank-a"
) -> None:
    with pytest.raises(SafeRoomError):
        async with deposits.deposit(caller):
            raise SafeRoomError(reason, "made up")


async def test_who_sends_good_requests_never_waits() -> None:
    deposits = Deposits(at_once=2, per_second=0.1)
    began = time.monotonic()
    for _ in range(1000):
        await asyncio.gather(good(deposits), good(deposits))
    assert time.monotonic() - began < 5
    assert deposits.waiting == 0


async def test_who_sends_bad_requests_goes_on_no_faster_than_deposits_grow() -> None:
    seldom = Deposits(at_once=3, per_second=0.05)  # a fourth would wait for twenty seconds
    began = time.monotonic()
    await asyncio.gather(*(refused(seldom) for _ in range(3)))
    assert time.monotonic() - began < 10
    deposits = Deposits(at_once=3, per_second=20)
    began = time.monotonic()
    await asyncio.gather(*(refused(deposits) for _ in range(13)))
    assert time.monotonic() - began > 10 / 20 - 0.05


async def test_good_requests_wait_behind_the_bad_ones_of_their_own_caller_in_their_order() -> None:
    deposits = Deposits(at_once=1, per_second=20)
    await refused(deposits)
    order: list[int] = []

    async def call(number: int) -> None:
        async with deposits.deposit("bank-a"):
            order.append(number)

    # A good one gives its deposit back, so those behind it need not wait for another.
    began = time.monotonic()
    await asyncio.gather(*(call(number) for number in range(50)))
    assert order == list(range(50))
    assert time.monotonic() - began < 1


async def test_another_caller_notices_nothing() -> None:
    deposits = Deposits(at_once=1, per_second=0.1)
    await refused(deposits)
    held = [asyncio.create_task(good(deposits)) for _ in range(100)]
    await asyncio.sleep(0)
    assert (deposits.waiting, deposits.callers_waiting) == (100, 1)
    async with asyncio.timeout(0.5):
        for _ in range(100):
            await good(deposits, "bank-b")
    for each in held:
        each.cancel()
    await asyncio.gather(*held, return_exceptions=True)
    assert deposits.waiting == 0


@pytest.mark.parametrize("reason", [Reason.UNAVAILABLE, Reason.LOCKED, Reason.INTERNAL])
async def test_what_is_the_rooms_own_fault_costs_nothing(reason: Reason) -> None:
    deposits = Deposits(at_once=1, per_second=0.1)
    async with asyncio.timeout(0.5):
        for _ in range(20):
            await refused(deposits, reason)
    assert not is_callers_fault(SafeRoomError(reason))


def test_an_enclave_full_of_others_requests_is_nobodys_fault() -> None:
    full = RequestRefusedError(Reason.TOO_MANY_REQUESTS, request_id="sha256:1", owner="tax")
    assert not is_callers_fault(full)
    assert is_callers_fault(SafeRoomError(Reason.TOO_MANY_REQUESTS))


async def test_who_waits_too_long_is_told_when_to_come_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "LONGEST_WAIT_SECONDS", 0.1)
    deposits = Deposits(at_once=1, per_second=0.1)
    await refused(deposits)
    with pytest.raises(TryLaterError) as told:
        await good(deposits)
    assert told.value.reason is Reason.TOO_MANY_REQUESTS
    assert 5 < told.value.retry_seconds <= 10


async def test_when_too_many_wait_the_next_is_refused_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 3)
    deposits = Deposits(at_once=1, per_second=0.1)
    await refused(deposits)
    held = [asyncio.create_task(good(deposits)) for _ in range(3)]
    await asyncio.sleep(0)
    async with asyncio.timeout(0.5):
        with pytest.raises(TryLaterError):
            await good(deposits)
    for each in held:
        each.cancel()
    await asyncio.gather(*held, return_exceptions=True)


@pytest.mark.parametrize("for_good", [True, False])
async def test_who_leaves_a_call_loses_its_deposit_and_who_leaves_a_stream_does_not(
    for_good: bool,
) -> None:
    deposits = Deposits(at_once=1, per_second=0.1)

    async def call() -> None:
        async with deposits.deposit("bank-a", for_good=for_good):
            await asyncio.sleep(60)

    task = asyncio.create_task(call())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    waiting = asyncio.create_task(good(deposits))
    await asyncio.sleep(0.05)
    assert waiting.done() is not for_good
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)


async def test_a_caller_that_leaves_as_its_turn_comes_gives_the_turn_on() -> None:
    deposits = Deposits(at_once=1, per_second=0.01)
    async with deposits.deposit("bank-a"):
        leaving = asyncio.create_task(good(deposits))
        behind = asyncio.create_task(good(deposits))
        await asyncio.sleep(0)
    leaving.cancel()  # its turn has come; it has not run since
    async with asyncio.timeout(1):
        await behind
    await asyncio.gather(leaving, return_exceptions=True)
    assert deposits.waiting == 0


async def test_accounts_that_are_whole_again_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_KEPT", 10)
    now = [0.0]
    deposits = Deposits(at_once=1, per_second=1, clock=lambda: now[0])
    for number in range(100):
        now[0] += 2
        await refused(deposits, caller=f"subject {number}")
    assert len(deposits._accounts) <= 20
