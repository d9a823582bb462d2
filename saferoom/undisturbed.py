"""Work that goes on when whoever asked for it leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from functools import partial
from typing import Final, Generic, TypeVar

K = TypeVar("K")
T = TypeVar("T")


class Undisturbed:
    """Keeps work under way to its end: a caller who leaves ends only its own waiting.

    Used where an enclave's word has to be recorded, whoever still waits for it.
    """

    def __init__(self) -> None:
        self._under_way: Final[set[asyncio.Task[object]]] = set()

    async def run(self, work: Coroutine[object, object, T]) -> T:
        """Do some work to its end, and give what it gives, or raise what it raises."""
        task = asyncio.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._finished)
        return await asyncio.shield(task)

    async def run_within(
        self,
        turn: AbstractAsyncContextManager[object],
        work: Callable[[], Coroutine[object, object, T]],
    ) -> T:
        """Wait for a turn, as long as the caller does; then work to the end, and hold it so long.

        So nobody's turn comes before what was begun in the last one is done.
        """
        async with AsyncExitStack() as waiting:
            await waiting.enter_async_context(turn)
            return await self.run(_within(waiting.pop_all(), work))

    async def drain(self, seconds: float) -> None:
        """Wait until all of it is done, and no longer than this."""
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=seconds)

    def _finished(self, task: asyncio.Task[object]) -> None:
        self._under_way.discard(task)
        _look_at(task)


class Shared(Generic[K, T]):
    """Work that is under way once at a time: its repeat waits for what the first one gives.

    A caller who leaves ends only its own waiting.
    """

    def __init__(self) -> None:
        self._tasks: Final[dict[K, asyncio.Task[T]]] = {}

    @property
    def under_way(self) -> Mapping[K, asyncio.Task[T]]:
        """What is."""
        return self._tasks

    async def run(self, key: K, work: Callable[[], Coroutine[object, object, T]]) -> T:
        """Do some work to its end, unless it is being done; give what it gives, or raise."""
        task = self._tasks.get(key)
        if task is None:
            task = self._tasks[key] = asyncio.create_task(work())
            task.add_done_callback(partial(self._finished, key))
        return await asyncio.shield(task)

    async def drain(self, seconds: float) -> None:
        """Wait until all of it is done, and no longer than this."""
        if self._tasks:
            await asyncio.wait(self._tasks.values(), timeout=seconds)

    def _finished(self, key: K, task: asyncio.Task[T]) -> None:
        del self._tasks[key]
        _look_at(task)


async def _within(
    turn: AbstractAsyncContextManager[object], work: Callable[[], Coroutine[object, object, T]]
) -> T:
    async with turn:
        return await work()


def _look_at(task: asyncio.Task[T]) -> None:
    """See how a task ended: its callers may all have left, and then nobody else does."""
    if not task.cancelled():
        task.exception()
