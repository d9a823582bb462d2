"""Trainings in the room that whoever asked for them ends, at a real enclave."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from saferoom_enclaves.fits.desk import BegunFit
from saferoom_enclaves.worker import Worker
from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import (
    FitRelease,
    JobCancel,
    JobOutcome,
    Outcome,
    load,
    seal_statement,
)
from saferoom_proto.v1 import enclave_pb2, job_pb2
from saferoom_proto.wire import envelope_from_proto, envelope_to_proto
from simulator.bank import SimBank
from simulator.fitted import FitRoom, asked
from simulator.job import serve_jobs
from simulator.sample import Approved
from tests.enclaves.slow_fits import SLOW_ROWS

READY = ("saferoom_enclaves.fitting", "slow_fits")


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FitRoom]:
    """Give a room in which each test has a template of its own."""
    made = FitRoom.make(tmp_path_factory.mktemp("ended"), ready=READY)
    yield made
    made.enclave.close()


def slow(room: FitRoom, name: str, **changes: object) -> Approved:
    return room.approved(asked(least_rows=SLOW_ROWS, **changes), name)


def children() -> set[int]:
    """Give the processes under this one's fork servers, those that fit among them."""
    found, more = set[int](), {os.getpid()}
    while more:
        below = {int(each) for pid in more for each in _below(pid)}
        found |= below
        more = below
    return found


def _below(pid: int) -> list[str]:
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return [each for task in tasks for each in (task / "children").read_text().split()]
    except OSError:
        return []


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110 - a process, which sets no event
            await asyncio.sleep(0.01)


class Calls:
    """The enclave's calls about jobs and trainings, as its service makes them."""

    def __init__(self, room: FitRoom) -> None:
        self._room = room
        self.jobs = serve_jobs(Worker(room.enclave.enclave))

    def asks(self, request: Envelope) -> asyncio.Task[FitRelease]:
        """Ask for a training."""

        async def asked() -> FitRelease:
            message = enclave_pb2.FitModelRequest(request=envelope_to_proto(request))
            told = await self.jobs.fits.answer(message)
            return load(envelope_from_proto(told.entry.statement), FitRelease)

        return asyncio.create_task(asked())

    async def state(self, request: Envelope) -> job_pb2.JobStatus:
        """Tell how it stands."""
        told = await self.jobs.tell(enclave_pb2.TellJobsRequest(job=request.digest))
        return told.jobs[0]

    async def ends(self, order: Envelope) -> FitRelease:
        """End it."""
        message = enclave_pb2.EndJobRequest(cancel=envelope_to_proto(order))
        entry = (await self.jobs.end(message)).entry
        said = load(envelope_from_proto(entry.statement), FitRelease)
        # The room records the institution's word before what names it.
        named = entry.order if entry.HasField("order") else None
        assert (said.cancel is None) == (named is None)
        return said

    def run(self, of: Approved, bank: SimBank | None = None) -> int:
        """Tell the how manieth run another one would be."""
        begun = self._room.enclave.enclave.jobs.fits.begin(self._room.request(of, bank))
        assert isinstance(begun, BegunFit)
        with closing(begun):
            return begun.charged.run


@asynccontextmanager
async def under_way(
    room: FitRoom, of: Approved
) -> AsyncGenerator[tuple[Calls, Envelope, set[int]]]:
    """Have a child fit for a minute, until the context ends."""
    calls, request, before = Calls(room), room.request(of), children()
    working = calls.asks(request)
    try:
        await until(lambda: bool(children() - before))
        yield calls, request, children() - before
    finally:
        await calls.ends(room.cancel(request))
        await working
        await until(lambda: not children() - before)


async def test_one_that_is_trained_is_ended_its_child_killed_and_it_counts(room: FitRoom) -> None:
    of = slow(room, "killed")
    async with under_way(room, of) as (calls, request, child):
        assert (await calls.state(request)).state == job_pb2.JOB_STATE_TRAINING
        order = room.cancel(request)
        said = await calls.ends(order)
        await until(lambda: not children() & child)
        assert (said.outcome, said.reason, said.cancel) == (Outcome.REFUSED, None, order.digest)
        assert (said.run, said.model, said.answer) == (1, None, None)
        # Whoever waited for it, or asks the same again, is told the same; it has ended once.
        assert await calls.asks(request) == said
        assert await calls.ends(room.cancel(request)) == said
        told = await calls.state(request)
        assert (told.state, told.reason) == (job_pb2.JOB_STATE_CANCELLED, "")
    record = room.enclave.enclave.jobs.stands(request.digest)
    assert (record.outcome, record.run) == (JobOutcome.CANCELLED, 1)
    assert calls.run(of) == 2


async def test_one_that_waits_for_its_turn_is_ended_at_once_and_does_not_count(
    room: FitRoom,
) -> None:
    of, other = slow(room, "first"), room.banks[2]
    async with under_way(room, of) as (calls, first, _):
        waits = room.request(of, other)
        waiting = calls.asks(waits)
        await until(lambda: calls.jobs.fits.under_way.find(waits.digest) is not None)
        assert (await calls.state(waits)).state == job_pb2.JOB_STATE_WAITING
        listed = (await calls.jobs.tell(enclave_pb2.TellJobsRequest())).jobs
        assert {first.digest, waits.digest} <= {each.job for each in listed}
        said = await calls.ends(room.cancel(waits, other))
        assert await waiting == said
        assert (said.run, said.approvals, said.privacy) == (None, (), None)
        assert (await calls.state(waits)).state == job_pb2.JOB_STATE_CANCELLED
        assert (await calls.state(first)).state == job_pb2.JOB_STATE_TRAINING
    assert calls.run(of, other) == 1


async def test_nobody_else_ends_it(room: FitRoom) -> None:
    of = slow(room, "guarded")
    async with under_way(room, of) as (calls, request, _):
        forged = load(room.cancel(request), JobCancel)
        for order in (
            room.cancel(request, room.banks[1]),
            seal_statement(forged, room.banks[1].key),
            room.cancel(room.request(of)),
        ):
            with pytest.raises(SafeRoomError) as refused:
                await calls.ends(order)
            assert refused.value.reason in {Reason.BAD_SIGNATURE, Reason.UNKNOWN_STATEMENT}
        assert (await calls.state(request)).state == job_pb2.JOB_STATE_TRAINING


async def test_whoever_lets_its_time_run_out_before_ending_it_has_it_counted(
    room: FitRoom,
) -> None:
    of = slow(room, "late")
    async with under_way(room, of) as (calls, request, _):
        room.world.clock.advance(11 * 60)
        room.enclave.follow()
        said = await calls.ends(room.cancel(request))
        assert (said.reason, said.cancel, said.run) == (Reason.EXPIRED, None, None)
    assert calls.run(of) == 2


async def test_one_that_has_ended_stays_as_it_is(room: FitRoom) -> None:
    of = room.approved(asked(), "over")
    calls, request = Calls(room), room.request(of)
    made = await calls.asks(request)
    assert made.outcome is Outcome.ANSWERED
    assert await calls.ends(room.cancel(request)) == made
    # A service that was started anew has it by its record.
    assert await Calls(room).ends(room.cancel(request)) == made
    assert (await Calls(room).state(request)).state == job_pb2.JOB_STATE_RELEASED


async def test_the_room_that_leaves_one_that_waits_has_it_wait_no_more(room: FitRoom) -> None:
    of, other = slow(room, "left"), room.banks[2]
    async with under_way(room, of) as (calls, *_):
        waits = room.request(of, other)
        waiting = calls.asks(waits)
        await until(lambda: calls.jobs.fits.under_way.find(waits.digest) is not None)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert calls.jobs.fits.under_way.find(waits.digest) is None


async def test_whose_price_alone_was_asked_is_no_job(room: FitRoom) -> None:
    calls, request = Calls(room), room.request(room.approved(asked(), "priced"), price=True)
    assert (await calls.asks(request)).reason is Reason.PRICE_ONLY
    listed = (await calls.jobs.tell(enclave_pb2.TellJobsRequest())).jobs
    assert request.digest not in {each.job for each in listed}
