"""Many questions, few calls: what arrives while the enclave is busy goes to it in one call.

A call over gRPC costs either side as much as judging does. A lone question goes at once; under
load those that wait share a call, and in the enclave a commit. Two calls are under way then: while
the enclave judges the one, the room reads, records and answers what came of the other. With one
call at a time all questions went from step to step together, and one processor of two stood still.
A second call for each question that came meanwhile made 2.4 of them a call at 16 in flight, and
either side pay for twice as many calls and commits: it goes once there are more than a few.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from saferoom.exchange import Judged
from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import Reason, SafeRoomError

MOST_AT_ONCE: Final = 64
"""Questions in one call: as many as an enclave judges under one commit."""

Outcome = Judged | SafeRoomError
CALLS: Final = 2
"""Under way at once: one is judged, and what came of the other is recorded meanwhile."""

FEW: Final = 4
"""Questions that are not worth a second call."""

_Waiting = tuple[Envelope, "asyncio.Future[Judged]"]


class JudgeQueue:
    """Questions on their way to one enclave.

    Args:
        send: has the enclave judge some questions; gives what became of each, in their order.
    """

    def __init__(self, send: Callable[[Sequence[Envelope]], Awaitable[Sequence[Outcome]]]) -> None:
        self._send: Final = send
        self._waiting: Final[deque[_Waiting]] = deque()
        self._calls: Final[set[asyncio.Task[None]]] = set()

    @property
    def waiting(self) -> int:
        """How many questions wait for a call."""
        return len(self._waiting)

    async def judge(self, request: Envelope) -> Judged:
        """Have a question judged.

        Raises:
            SafeRoomError: the enclave's refusal without a verdict, or why it was not reached.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Judged] = loop.create_future()
        self._waiting.append((request, answer))
        if len(self._waiting) in (1, FEW + 1):
            # Once every task that is ready now has run: those of one commit come together.
            loop.call_soon(self._start)
        return await answer

    def _start(self) -> None:
        """Start calls for those that wait, as many as there may be."""
        while len(self._waiting) > FEW * len(self._calls) and len(self._calls) < CALLS:
            # All that wait, or half of them where the others are worth a call of their own.
            halves = len(self._waiting) > 2 * FEW and not self._calls
            count = min(len(self._waiting) // (2 if halves else 1), MOST_AT_ONCE)
            batch = [self._waiting.popleft() for _ in range(count)]
            call = asyncio.create_task(self._judge(batch))
            self._calls.add(call)
            call.add_done_callback(self._finished)

    def _finished(self, call: asyncio.Task[None]) -> None:
        self._calls.remove(call)
        self._start()

    async def _judge(self, batch: Sequence[_Waiting]) -> None:
        outcomes = await self._outcomes([request for request, _ in batch])
        for (_, answer), outcome in zip(batch, outcomes, strict=True):
            if answer.done():
                continue  # its asker was cancelled
            if isinstance(outcome, Judged):
                answer.set_result(outcome)
            else:
                answer.set_exception(outcome)

    async def _outcomes(self, requests: Sequence[Envelope]) -> Sequence[Outcome]:
        try:
            outcomes = await self._send(requests)
        except SafeRoomError as error:
            # Each asker gets an error of its own: they are raised in different tasks.
            return [SafeRoomError(error.reason, error.detail, error.fields) for _ in requests]
        except Exception as error:  # noqa: BLE001 - nobody may wait for ever
            detail = f"judging failed: {type(error).__name__}"
            return [SafeRoomError(Reason.INTERNAL, detail) for _ in requests]
        if len(outcomes) != len(requests):
            detail = f"{len(outcomes)} outcomes of {len(requests)} questions"
            return [SafeRoomError(Reason.INTERNAL, detail) for _ in requests]
        return outcomes
