from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from saferoom.exchange import Judged, OutboxEntry
from saferoom.judging import FEW, MOST_AT_ONCE, JudgeQueue, Outcome
from saferoom_proto.dsse import Envelope, sign
from saferoom_proto.keys import SigningKey
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError

KEY = SigningKey.from_seed(bytes(32))


def question(number: int) -> Envelope:
    return sign("application/vnd.saferoom.check-request.v1+json", f"{number}".encode(), KEY)


def word(request: Envelope) -> Judged:
    return Judged(OutboxEntry(request, bytes(32), int(request.payload)), b"sealed")


class Enclave:
    """Judges in turn, and remembers how many questions each call had."""

    def __init__(self, *failing: int) -> None:
        self.calls: list[int] = []
        self.failing = set(failing)
        self.go = asyncio.Event()
        self.go.set()
        self.broken: Exception | None = None

    async def send(self, requests: Sequence[Envelope]) -> Sequence[Outcome]:
        self.calls.append(len(requests))
        await self.go.wait()
        if self.broken is not None:
            raise self.broken
        return [
            SafeRoomError(Reason.LOCKED) if int(each.payload) in self.failing else word(each)
            for each in requests
        ]


async def test_a_lone_question_goes_at_once() -> None:
    enclave = Enclave()
    queue = JudgeQueue(enclave.send)
    assert (await queue.judge(question(7))).entry.chain_index == 7
    assert enclave.calls == [1]


async def test_what_arrives_meanwhile_shares_the_next_call_and_each_gets_its_own() -> None:
    enclave = Enclave()
    enclave.go.clear()
    queue = JudgeQueue(enclave.send)
    asked: list[asyncio.Task[Judged]] = []

    async def ask(count: int) -> None:
        numbers = range(len(asked), len(asked) + count)
        asked.extend(asyncio.create_task(queue.judge(question(each))) for each in numbers)
        await asyncio.sleep(0.01)

    await ask(1)
    for _ in range(FEW):
        await ask(1)
        assert enclave.calls == [1]
    await ask(1)
    assert enclave.calls == [1, FEW + 1]
    await ask(MOST_AT_ONCE + 5)
    assert enclave.calls == [1, FEW + 1]
    enclave.go.set()
    words = await asyncio.gather(*asked)
    assert [each.entry.chain_index for each in words] == list(range(len(asked)))
    assert enclave.calls == [1, FEW + 1, MOST_AT_ONCE, 5]


async def test_few_that_arrive_meanwhile_go_when_the_call_is_back() -> None:
    enclave = Enclave()
    enclave.go.clear()
    queue = JudgeQueue(enclave.send)
    first = asyncio.create_task(queue.judge(question(0)))
    await asyncio.sleep(0.01)
    second = asyncio.create_task(queue.judge(question(1)))
    await asyncio.sleep(0.01)
    assert enclave.calls == [1]
    enclave.go.set()
    assert [each.entry.chain_index for each in await asyncio.gather(first, second)] == [0, 1]
    assert enclave.calls == [1, 1]


async def test_many_that_come_together_go_in_two_calls_so_that_neither_side_waits() -> None:
    enclave = Enclave()
    enclave.go.clear()
    queue = JudgeQueue(enclave.send)
    asked = [asyncio.create_task(queue.judge(question(each))) for each in range(17)]
    await asyncio.sleep(0.01)
    assert enclave.calls == [8, 9]
    enclave.go.set()
    assert len(await asyncio.gather(*asked)) == 17
    few = [asyncio.create_task(queue.judge(question(each))) for each in range(2 * FEW)]
    await asyncio.gather(*few)
    assert enclave.calls == [8, 9, 2 * FEW]


async def test_one_questions_refusal_is_not_anothers() -> None:
    enclave = Enclave(1)
    queue = JudgeQueue(enclave.send)
    outcomes = await asyncio.gather(
        *(queue.judge(question(each)) for each in range(3)), return_exceptions=True
    )
    assert isinstance(outcomes[1], SafeRoomError)
    assert outcomes[1].reason is Reason.LOCKED
    assert [isinstance(each, Judged) for each in outcomes] == [True, False, True]


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (SafeRoomError(Reason.UNAVAILABLE, "gone", [FieldFault("a", "b")]), Reason.UNAVAILABLE),
        (RuntimeError("secret"), Reason.INTERNAL),
    ],
)
async def test_a_call_that_fails_fails_for_each_of_its_askers_and_the_next_goes_on(
    broken: Exception, reason: Reason
) -> None:
    enclave = Enclave()
    enclave.broken = broken
    queue = JudgeQueue(enclave.send)
    outcomes = await asyncio.gather(
        *(queue.judge(question(each)) for each in range(2)), return_exceptions=True
    )
    errors = [each for each in outcomes if isinstance(each, SafeRoomError)]
    assert [each.reason for each in errors] == [reason, reason]
    assert errors[0] is not errors[1]
    assert "secret" not in str(errors[0])
    enclave.broken = None
    assert (await queue.judge(question(5))).entry.chain_index == 5


async def test_an_enclave_that_answers_too_few_answers_nobody() -> None:
    async def short(requests: Sequence[Envelope]) -> Sequence[Outcome]:
        return [word(each) for each in requests[1:]]

    queue = JudgeQueue(short)
    with pytest.raises(SafeRoomError) as refusal:
        await queue.judge(question(1))
    assert refusal.value.reason is Reason.INTERNAL


async def test_an_asker_that_leaves_does_not_take_the_others_with_it() -> None:
    enclave = Enclave()
    enclave.go.clear()
    queue = JudgeQueue(enclave.send)
    leaving, staying = (asyncio.create_task(queue.judge(question(each))) for each in range(2))
    await asyncio.sleep(0.01)
    leaving.cancel()
    await asyncio.sleep(0)
    enclave.go.set()
    assert (await staying).entry.chain_index == 1
    assert leaving.cancelled()
