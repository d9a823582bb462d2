"""Tables over gRPC: one request at a time, made beside the work."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import closing
from typing import Final

from saferoom_enclaves.journal import Judged
from saferoom_enclaves.places import Turns
from saferoom_enclaves.worker import Worker, to_its_end
from saferoom_proto.dsse import Envelope

WAITING: Final = 16
"""How many requests may wait for their turn, of an institution one: a minute or two."""


class TableCalls:
    """Serves requests for tables.

    Args:
        worker: has the enclave do one thing at a time.
        tick: waits for the next release tick.
    """

    def __init__(self, worker: Worker, tick: Callable[[], Awaitable[None]]) -> None:
        self._worker: Final = worker
        self._tick: Final = tick
        self._turns: Final = Turns(1, WAITING, "tables")

    async def answer(self, asked: Envelope) -> Judged:
        """Answer a request for tables.

        Raises:
            SafeRoomError: a plain refusal.
        """
        expected = await self._worker.run(lambda own: own.tables.expect(asked))
        if not isinstance(expected, Judged) and expected.request.price:
            # Nothing is made: it waits for nobody's tables.
            expected = await to_its_end(self._made(asked))
        elif not isinstance(expected, Judged):
            async with self._turns.turn(expected.request.institution):
                # What waits holds no store open; what begins comes to its end.
                expected = await to_its_end(self._made(asked))
        await self._tick()
        return expected

    async def _made(self, asked: Envelope) -> Judged:
        begun = await self._worker.run(lambda own: own.tables.begin(asked))
        if isinstance(begun, Judged):
            return begun
        with closing(begun):
            sealed = await asyncio.to_thread(begun.make)
            return await self._worker.run(lambda own: own.tables.finish(begun, sealed))
