"""Reports and lists over gRPC: a few at a time, read beside the work."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import closing
from typing import Final

from saferoom_enclaves.journal import Judged
from saferoom_enclaves.places import Turns
from saferoom_enclaves.worker import Worker, to_its_end
from saferoom_proto.dsse import Envelope

AT_ONCE: Final = 2
"""Each takes a child, which loads, features and subjects need too."""
WAITING: Final = 32
"""How many more may wait, of an institution one: for seconds."""


class ReportCalls:
    """Serves requests for reports and lists.

    Args:
        worker: has the enclave do one thing at a time.
        tick: waits for the next release tick.
    """

    def __init__(self, worker: Worker, tick: Callable[[], Awaitable[None]]) -> None:
        self._worker: Final = worker
        self._tick: Final = tick
        self._turns: Final = Turns(AT_ONCE, WAITING, "reports")

    async def answer(self, asked: Envelope, disputes: tuple[Envelope, ...]) -> Judged:
        """Answer a request for a report or a page of a list.

        Raises:
            SafeRoomError: a plain refusal.
        """
        expected = await self._worker.run(lambda own: own.reports.expect(asked))
        if not isinstance(expected, Judged):
            async with self._turns.turn(expected.request.institution):
                # What waits holds no store open; what begins comes to its end.
                expected = await to_its_end(self._read(asked, disputes))
        await self._tick()
        return expected

    async def _read(self, asked: Envelope, disputes: tuple[Envelope, ...]) -> Judged:
        begun = await self._worker.run(lambda own: own.reports.begin(asked, disputes))
        if isinstance(begun, Judged):
            return begun
        with closing(begun):
            sealed = await asyncio.to_thread(begun.read)
            return await self._worker.run(lambda own: own.reports.finish(begun, sealed))
