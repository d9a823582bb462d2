"""Batches in the room: an asker that reads slowly, or leaves, holds up nobody's enclave."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from types import SimpleNamespace
from typing import cast

import pytest

from saferoom.batches.desk import Batches, Judge, Judges, Piece
from saferoom.batches.pieces import BatchPiece
from saferoom.checks import Checks
from saferoom.evidence import Approved, Caller, Recorded
from saferoom.exchange import (
    BatchBegun,
    BatchChunk,
    BatchProgress,
    BatchTold,
    BatchVerdict,
    BatchWord,
    OutboxEntry,
)
from saferoom.gist import BatchGist
from saferoom.limits import Limits
from saferoom.outbox import Outbox
from saferoom.refusals import Refusals
from saferoom_proto.batch import Row
from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.v1 import batch_pb2
from saferoom_proto.wire import envelope_to_proto
from simulator import sample
from simulator.batch import SimBatch, batch_of
from tests.server.room.opened import until

CHUNKS = 200
"""Far more than wait for a slow asker."""


class Enclave:
    """Judges every batch once it may, with progress after each of many chunks."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.go.set()
        self.left = 0

    @property
    def outbox(self) -> Outbox:
        return cast("Outbox", None)

    async def judge_batch(self, pieces: AsyncIterator[BatchPiece]) -> AsyncGenerator[BatchTold]:
        await anext(pieces)
        yield BatchBegun(rows_wanted=True)
        async for _ in pieces:
            pass
        await self.go.wait()
        for number in range(CHUNKS):
            yield BatchProgress(number + 1)
        yield BatchVerdict(cast("OutboxEntry", None), b"secret")
        for number in range(CHUNKS):
            yield BatchChunk(number, b"", ())
        self.left += 1


class Room(Batches):
    """Batches with two stand-in enclaves; what is recorded is only noted."""

    def __init__(self, idle_seconds: float = 30.0) -> None:
        self.enclaves = {"court": Enclave(), "tax": Enclave()}
        self.limits = Limits(16, 4)
        self.recorded: list[str] = []
        super().__init__(
            checks=cast("Checks", self),
            judges=cast("Judges", self),
            refusals=cast("Refusals", None),
            limits=self.limits,
            idle_seconds=idle_seconds,
        )

    def serving(self, owner: str) -> Judge:
        return self.enclaves[owner]

    async def authorise(
        self, caller: Caller, envelope: Envelope, request: BatchGist, *kinds: str
    ) -> Approved:
        assert kinds == ("Check", "Score")
        return Approved(caller, envelope, request, tuple(self.enclaves))

    async def _record(
        self, owner: str, approved: Approved, verdict: BatchVerdict, outbox: Outbox
    ) -> Recorded[BatchWord]:
        self.recorded.append(owner)
        return cast("Recorded[BatchWord]", None)

    async def all_recorded(self) -> bool:
        return sorted(self.recorded) == ["court", "tax"]


@pytest.fixture
def batch() -> SimBatch:
    """Give a signed batch of one row."""
    room = sample("batches")
    return batch_of(room.bank, room.steady, [Row(room.world.subject(1).uscc, 0)])


def asked(room: Room, batch: SimBatch) -> AsyncGenerator[Piece]:
    async def pieces() -> AsyncIterator[BatchPiece]:
        header = batch_pb2.BatchHeader(request=envelope_to_proto(batch.envelope))
        yield BatchPiece(header=header)
        yield BatchPiece(rows=batch.packed)

    caller = cast("Caller", SimpleNamespace(organisation="bank-a"))
    return room.check_many(caller, pieces())


async def test_a_word_is_recorded_whether_or_not_its_asker_reads_on(batch: SimBatch) -> None:
    room = Room()
    room.enclaves["tax"].go.clear()
    async with aclosing(asked(room, batch)) as told:
        for _ in range(3):
            await anext(told)
        await asyncio.sleep(0.1)  # the court's chunks fill all that may wait
        assert room.recorded == ["court"]
        room.enclaves["tax"].go.set()
        await until(room.all_recorded)


async def test_an_asker_that_takes_nothing_is_told_nothing_more(batch: SimBatch) -> None:
    room = Room(idle_seconds=0.2)

    async def read_on_late() -> None:
        async with aclosing(asked(room, batch)) as told:
            await anext(told)
            await anext(told)
            await asyncio.sleep(1)
            async for _ in told:
                pass

    with pytest.raises(SafeRoomError) as refusal:
        await read_on_late()
    assert refusal.value.reason is Reason.DEADLINE
    assert await room.all_recorded()
    assert room.limits.in_use == 0


async def test_an_asker_that_leaves_keeps_its_place_until_the_enclaves_are_done(
    batch: SimBatch,
) -> None:
    room = Room()
    for each in room.enclaves.values():
        each.go.clear()
    async with aclosing(asked(room, batch)) as told:
        await anext(told)  # begun
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await anext(told)  # the rows are there; nothing is judged yet
    assert room.limits.in_use == 1
    for each in room.enclaves.values():
        each.go.set()

    async def free() -> bool:
        return room.limits.in_use == 0

    await until(free)
    assert await room.all_recorded()


async def test_who_reads_all_of_it_is_told_all_of_it(batch: SimBatch) -> None:
    room = Room()
    told = [piece async for piece in asked(room, batch)]
    assert sum(isinstance(each, BatchChunk) for _, each in told) == 2 * CHUNKS
    assert await room.all_recorded()
    await room.drain(5)
    assert room.limits.in_use == 0
    assert [each.left for each in room.enclaves.values()] == [1, 1]
