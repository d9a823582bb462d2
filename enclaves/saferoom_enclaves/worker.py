"""What an enclave does, one thing after another: what arrives meanwhile shares the next commit."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from itertools import groupby
from typing import Final, TypeVar, cast

from saferoom_enclaves.enclave import Enclave
from saferoom_enclaves.journal import Judged
from saferoom_proto.dsse import Envelope
from saferoom_proto.groupcommit import GroupCommit
from saferoom_proto.reasons import Reason, SafeRoomError

MOST_QUESTIONS: Final = 64
"""Judged under one commit: beyond this the work outweighs the shared wait for the disk."""

MOST_WAITING: Final = 1024
"""Questions under way before callers wait at the door: about a second of work."""

T = TypeVar("T")
_Task = Callable[[Enclave], object]


class Worker:
    """Gives an asyncio service an enclave that does one thing at a time.

    Whatever is no question is done in a thread, and questions that come meanwhile wait for that one
    thing, and for no other; questions alone are judged in the event loop itself, where the disk
    lets it (`GroupCommit`).

    Made in a running event loop.

    Args:
        enclave: from now on nobody else's.
    """

    def __init__(self, enclave: Enclave) -> None:
        self._enclave: Final = enclave
        self._commits: Final[GroupCommit[Envelope | _Task, object]] = GroupCommit(
            self._do,
            capacity=MOST_WAITING,
            largest_batch=MOST_QUESTIONS,
            name="enclave",
            brief=_only_questions,
        )

    @property
    def asks_sources(self) -> bool:
        """Whether a question may need a record that must be fetched first."""
        return self._enclave.asks_sources

    async def judge(self, question: Envelope) -> Judged:
        """Have a question judged, together with others; durable when it returns.

        Raises:
            SafeRoomError: a plain refusal.
        """
        return cast("Judged", await self._commits.submit(question))

    async def run(self, task: Callable[[Enclave], T]) -> T:
        """Have something else done, in the order of such calls; questions that wait go before."""
        return cast("T", await self._commits.submit(task))

    async def settle(self, seconds: float) -> None:
        """Wait until the enclave's features are computed, or for so long; others go on."""
        await asyncio.to_thread(self._enclave.settle, seconds)

    async def close(self) -> None:
        """Finish what was accepted, and close the enclave."""
        await self._commits.close()
        self._enclave.close()

    def _do(self, items: Sequence[Envelope | _Task]) -> list[object]:
        outcomes: list[object] = []
        for is_question, run in groupby(items, lambda item: isinstance(item, Envelope)):
            if is_question:
                outcomes += self._judge(cast("list[Envelope]", list(run)))
            else:
                outcomes += [self._run(cast("_Task", task)) for task in run]
        return outcomes

    def _judge(self, questions: list[Envelope]) -> Sequence[object]:
        try:
            return self._enclave.judge(questions)
        except SafeRoomError as error:
            return [SafeRoomError(error.reason, error.detail) for _ in questions]
        except Exception as error:  # noqa: BLE001 - each waiter gets its own, from one cause
            refusals = [SafeRoomError(Reason.INTERNAL, "not committed") for _ in questions]
            for refusal in refusals:
                refusal.__cause__ = error
            return refusals

    def _run(self, task: _Task) -> object:
        try:
            return task(self._enclave)
        except Exception as error:  # noqa: BLE001 - the waiter's own, and not the batch's
            return error


def _only_questions(items: Sequence[Envelope | _Task]) -> bool:
    return all(isinstance(item, Envelope) for item in items)


async def to_its_end(work: Awaitable[T]) -> T:
    """Wait for something that must end before its inputs are freed, even when cancelled."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            with suppress(asyncio.CancelledError):  # again: it must end all the same
                await asyncio.wait([task])
        raise
