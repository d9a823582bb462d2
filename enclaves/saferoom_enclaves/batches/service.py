"""Batches over gRPC: a header, the rows if they are wanted, and then what comes of them.

Between two chunks the enclave is free for whoever else asks. Whoever leaves ends the
judging after the chunk under way; what was judged stays judged.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Final

from saferoom_enclaves import wire
from saferoom_enclaves.batches.desk import Batch
from saferoom_enclaves.batches.rows import Rows
from saferoom_enclaves.places import Places
from saferoom_enclaves.worker import Worker
from saferoom_proto.batch import ROW_BYTES, chunks_of
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.v1 import enclave_pb2

MOST_AT_ONCE: Final = 8
"""Batches whose rows are held in memory at once: 20 MB each, and as much again while they are
verified. Of one institution at most four, so that there is a place for the next, and the next."""

Responses = AsyncGenerator[enclave_pb2.JudgeBatchResponse]


class BatchCalls:
    """Serves batches.

    Args:
        worker: has the enclave do one thing at a time.
        tick: waits for the next release tick.
    """

    def __init__(self, worker: Worker, tick: Callable[[], Awaitable[None]]) -> None:
        self._worker: Final = worker
        self._tick: Final = tick
        self._places: Final = Places(MOST_AT_ONCE, "batches")

    async def judge(self, pieces: AsyncIterator[enclave_pb2.JudgeBatchRequest]) -> Responses:
        """Judge a batch; its answers come after the word on all of it.

        Raises:
            SafeRoomError: a plain refusal.
        """
        first = await anext(pieces, None)
        if first is None:
            raise SafeRoomError(Reason.MALFORMED, "a batch begins with its header")
        envelope, blinding = wire.batch_header_of(first)
        batch = await self._worker.run(lambda own: own.batches.begin(envelope))
        wanted = batch.answered is None
        yield wire.batch_begun(rows_wanted=wanted)
        if wanted:
            async with aclosing(self._judged(batch, blinding, pieces)) as told:
                async for judged in told:
                    yield wire.batch_progress(judged)
        word = await self._worker.run(lambda own: own.batches.word(batch))
        await self._tick()
        yield wire.batch_verdict(word)
        if batch.progress is not None:
            for number in range(chunks_of(batch.asked.request.rows)):
                yield wire.batch_chunk(number, *await self._chunk(batch, number))

    async def _judged(
        self,
        batch: Batch,
        blinding: bytes,
        pieces: AsyncIterator[enclave_pb2.JudgeBatchRequest],
    ) -> AsyncGenerator[int]:
        """Take the rows and judge them; gives how many are judged after each chunk."""
        # Who has sent no row yet holds no place: else a few who never do would keep all others out.
        first = await anext(pieces, None)
        request = batch.asked.request
        with self._places.place(request.institution):
            packed = await _rows(first, pieces, request.rows * ROW_BYTES)
            # Hashing them takes a second for a million: not where others wait.
            batch.rows = await asyncio.to_thread(Rows, request, blinding, packed)
            while batch.answered is None:
                yield await self._worker.run(lambda own: own.batches.judge_next(batch))

    async def _chunk(self, batch: Batch, number: int) -> tuple[bytes, tuple[bytes, ...]]:
        return await self._worker.run(lambda own: own.batches.chunk(batch, number))


async def _rows(
    first: enclave_pb2.JudgeBatchRequest | None,
    pieces: AsyncIterator[enclave_pb2.JudgeBatchRequest],
    most: int,
) -> bytes:
    """Take the rows, from the first piece on: so many bytes, or fewer where no more come."""
    packed, piece = bytearray(), first
    while piece is not None:
        packed += wire.batch_rows_of(piece)
        if len(packed) > most:
            raise SafeRoomError(Reason.TOO_LARGE, "more rows than were signed")
        piece = None if len(packed) == most else await anext(pieces, None)
    return bytes(packed)
