"""A training in the room over two owners' columns is carried by the room, between two enclaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import cast

import pytest

from saferoom.evidence import Approved, Recorded
from saferoom.exchange import Judged, OutboxEntry
from saferoom.jobs.carried import Carried, Sides
from saferoom.jobs.fits import FitEnds, FitsOfOwners
from saferoom.jobs.owners import JobOwners
from saferoom.jobs.pieces import FitPiece, JobPiece, JobTold, OwnerPapers
from saferoom.jobs.words import Enclaves as Serving
from saferoom.jobs.words import JobWords
from saferoom.made import Told
from saferoom_enclaves.worker import Worker
from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import (
    FitRelease,
    JobCancel,
    JobOutcome,
    JobRelease,
    load,
    seal_statement,
)
from simulator.harness import EnclaveHarness
from simulator.job import JobRoom, serve_jobs
from simulator.owners_fits import OwnersFits, two_owners
from tests.server.test_job_carried import Enclaves, Near

SIDES = Sides("tax", ("water",))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnersFits]:
    """Give a room with two owners."""
    with two_owners(tmp_path_factory.mktemp("fits")) as made:
        yield made


@dataclass(frozen=True)
class Served:
    """An enclave as it is served."""

    enclave: EnclaveHarness
    calls: object


@dataclass(frozen=True)
class Asked:
    """A request that the room let pass, with what of it is looked at."""

    envelope: Envelope
    template: str = "of two"

    @property
    def request(self) -> Asked:
        """What the room goes by."""
        return self


@dataclass(frozen=True)
class Said:
    """A word, as it was recorded."""

    statement: Envelope


@dataclass
class Room:
    """The room's part: it carries, records in the order in which it hears, and spreads the end."""

    place: OwnersFits
    enclaves: Enclaves = field(init=False)
    recorded: list[str] = field(default_factory=list[str])
    ended: list[JobRelease] = field(default_factory=list[JobRelease])
    ends: Envelope | None = None
    """The request that its institution ends."""

    def __post_init__(self) -> None:
        """Serve both enclaves, in the running event loop."""
        near = {
            each.owner.name: Near(cast("JobRoom", Served(each, serve_jobs(Worker(each.enclave)))))
            for each in (self.place.host, self.place.giver)
        }
        self.enclaves = Enclaves(near)

    def sides(self, template: str) -> Sides:
        """Tell whose enclaves take part."""
        assert template == "of two"
        return SIDES

    def carry(
        self, sides: Sides, first: FitPiece, pieces: AsyncIterator[JobPiece]
    ) -> AsyncGenerator[JobTold]:
        """Carry what the host asks."""
        return Carried(self.enclaves, self.enclaves.papers, sides).told(first, pieces)

    async def begun(self, owner: str, approved: Asked) -> Said:
        """Have a giver let it begin."""
        word = self.place.giver.enclave.jobs.begin(approved.envelope).entry.statement
        self.recorded.append(f"{owner} {word.payload_type.split('.')[2]}")
        return Said(word)

    async def spread(self, sides: Sides, job: str, owner: str, release: Envelope) -> None:
        """End it at the others."""
        assert sides is SIDES
        if owner == "tax":
            jobs, said = self.place.giver.enclave.jobs, load(release, FitRelease)
            # As `JobOwners` does: an institution's own word is brought on as it stands.
            ended = (
                jobs.end_as(self.place.papers_of_host(), release)
                if said.cancel is None
                else jobs.end(self.place.room.cancel(self.ends or release))
            )
            self.ended.append(load(ended.entry.statement, JobRelease))
        assert job

    async def told(self, request: Envelope) -> Told[FitRelease]:
        """Ask, as the service does."""

        async def record(host: str, judged: Judged) -> Recorded[FitRelease]:
            self.recorded.append(f"{host} fit-release")
            return cast("Recorded[FitRelease]", Said(judged.entry.statement))

        fits = FitsOfOwners(
            cast("Serving", self.enclaves), cast("JobOwners", self), cast("JobWords", self)
        )
        return await fits.told(cast("Approved", Asked(request)), record)


async def test_the_givers_begin_the_host_trains_and_each_hears_the_end(place: OwnersFits) -> None:
    room, of = Room(place), place.approved("carried")
    request = place.room.request(of)
    told = await room.told(request)
    assert room.recorded == ["water job-admission", "tax fit-release"]
    assert told.word is not None
    word = load(told.word.statement, FitRelease)
    assert (word.reason, bool(told.sealed), len(told.others)) == (None, True, 1)
    assert [each.outcome for each in room.ended] == [JobOutcome.RELEASED]
    # The same again is told the same.
    again = await room.told(request)
    assert (again.sealed, again.word) == (told.sealed, told.word)


async def test_a_giver_that_refuses_ends_it_before_the_host_is_asked(place: OwnersFits) -> None:
    room, of = Room(place), place.approved("refused", runs={"most": 1, "days": 30})
    place.begun(place.room.request(of))
    told = await room.told(place.room.request(of))
    assert (told.word, told.sealed, room.recorded) == (None, b"", ["water job-release"])
    assert load(told.others[0].statement, JobRelease).reason is Reason.OVER_BUDGET


async def test_nothing_is_counted_while_one_of_them_does_not_serve(place: OwnersFits) -> None:
    room, of = Room(place), place.approved("down")
    for owner in ("tax", "water"):
        room.enclaves.down = {owner}
        with pytest.raises(SafeRoomError) as refused:
            await room.told(place.room.request(of))
        assert refused.value.reason is Reason.UNAVAILABLE
    assert room.recorded == []


async def test_its_asker_ends_it_on_its_way_and_every_enclave_hears_that(
    place: OwnersFits, monkeypatch: pytest.MonkeyPatch
) -> None:
    room, of = Room(place), place.approved("ended")
    room.ends = request = place.room.request(of)
    asked = asyncio.Event()
    give = Near.give_to_job

    async def gives_late(
        near: Near, papers: OwnerPapers, ask: AsyncIterator[bytes]
    ) -> AsyncGenerator[bytes]:
        asked.set()
        await asyncio.sleep(60)
        async for data in give(near, papers, ask):
            yield data

    monkeypatch.setattr(Near, "give_to_job", gives_late)
    making = asyncio.create_task(room.told(request))
    order = place.room.cancel(request)
    ends = FitEnds(
        cast("Serving", room.enclaves),
        cast("JobOwners", room),
        lambda job: making if job == request.digest else None,
    )
    brought: list[str] = []
    end = Near.end_job

    async def is_brought(near: Near, cancel: Envelope) -> OutboxEntry:
        brought.append(cancel.digest)
        return await end(near, cancel)

    monkeypatch.setattr(Near, "end_job", is_brought)
    # The host does not know it yet: it is on its way there. Who says it again meanwhile waits for
    # the same, and has nobody looked for once more.
    place.room.world.clock.advance(1)
    again = place.room.cancel(request)
    assert again.digest != order.digest
    said_twice = (ends.cancel(load(each, JobCancel), each) for each in (order, again))
    ended, other_end = await asyncio.gather(*said_twice)
    assert other_end is ended
    assert set(brought) == {order.digest}
    told = await making
    assert told.word is not None
    assert ended.statement == told.word.statement
    said = load(ended.statement, FitRelease)
    assert (said.cancel, said.reason, told.sealed) == (order.digest, None, b"")
    assert [each.outcome for each in room.ended] == [JobOutcome.CANCELLED]
    ends = FitEnds(cast("Serving", room.enclaves), cast("JobOwners", room), lambda _: None)
    other = load(order, JobCancel).model_copy(update={"job": place.room.request(of).digest})
    with pytest.raises(SafeRoomError) as refused:
        await ends.cancel(other, seal_statement(other, place.room.bank.key))
    assert refused.value.reason is Reason.UNKNOWN_STATEMENT
