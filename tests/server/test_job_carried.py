"""What a host's enclave asks of a giver's is carried by the room, between two real enclaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field

import pytest

from saferoom.enclave_wire import outbox_entry_from
from saferoom.exchange import OutboxEntry
from saferoom.jobs import pieces as job_pieces
from saferoom.jobs.carried import Carried, Sides
from saferoom.jobs.pieces import JobAnswer, JobHeard, JobPiece, JobStatus, JobTold, OwnerPapers
from saferoom_enclaves.jobs.kept import Kept
from saferoom_proto.dsse import Envelope
from saferoom_proto.job_channel import PIECE_BYTES
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import JobOutcome, JobRelease, Runs, load
from saferoom_proto.v1 import job_pb2
from simulator.job import JobRoom, LabelSideOfJob
from simulator.owners_job import OwnersRoom, Place, owners_room, two_owners

SIDES = Sides("tax", ("court",))


@dataclass
class Near:
    """An enclave of this process, with the face that the room has of it."""

    room: JobRoom

    @property
    def jobs(self) -> Near:
        """Its work on jobs."""
        return self

    def work_on_job(self, pieces: AsyncIterator[JobHeard]) -> AsyncGenerator[JobTold]:
        """Carry a job's messages."""
        return self._told(pieces)

    async def _told(self, pieces: AsyncIterator[JobHeard]) -> AsyncGenerator[JobTold]:
        requests = (job_pieces.work_request(each) async for each in pieces)
        async for response in self.room.calls.work_on(requests):
            yield job_pieces.told_from(response)

    async def tell_jobs(self, owner: str, job: str) -> Sequence[JobStatus]:
        """Tell how a job stands."""
        told = await self.room.calls.tell(job_pieces.tell_request(job))
        return job_pieces.statuses_from(told, owner)

    async def end_job(self, cancel: Envelope) -> OutboxEntry:
        """End a job by its institution's word."""
        ended = await self.room.calls.end(job_pieces.end_request(cancel))
        return outbox_entry_from(ended.entry)

    async def end_job_as(self, papers: OwnerPapers, release: Envelope) -> OutboxEntry:
        """End a job as it ended at another owner's enclave."""
        ended = await self.room.calls.end(job_pieces.end_as_request(papers, release))
        return outbox_entry_from(ended.entry)

    async def give_to_job(
        self, papers: OwnerPapers, ask: AsyncIterator[bytes]
    ) -> AsyncGenerator[bytes]:
        """Answer what another owner's enclave asks."""
        async for response in self.room.calls.give(job_pieces.give_requests(papers, ask)):
            yield job_pieces.given_from(response)


@dataclass
class Enclaves:
    """The two enclaves; one can be down."""

    by_owner: dict[str, Near]
    down: set[str] = field(default_factory=set[str])

    def serving(self, owner: str) -> Near:
        """Give an owner's enclave."""
        if owner in self.down:
            raise SafeRoomError(Reason.UNAVAILABLE, f"{owner} is down")
        return self.by_owner[owner]

    def papers(self, owner: str) -> OwnerPapers:
        """Give what it is to be known by."""
        return OwnerPapers(owner, self.serving(owner).room.enclave.endorsement())


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Give a room with two owners' firms."""
    with two_owners(tmp_path_factory.mktemp("owners"), "carried") as made:
        yield made


@dataclass
class Line:
    """A label side's line through the room; it may leave while it is owed an answer."""

    enclaves: Enclaves
    side: LabelSideOfJob
    said: asyncio.Queue[JobPiece | None] = field(default_factory=asyncio.Queue[JobPiece | None])

    async def through(self, *, leaves_after: int = 1000) -> JobRelease | None:
        """Go through the job; after so many messages nothing more is said."""
        join = JobPiece(join=job_pb2.JoinJob(job=self.side.job))
        told = Carried(self.enclaves, self.enclaves.papers, SIDES).told(join, self._pieces())
        answer = b""
        async for each in told:
            if isinstance(each, OutboxEntry):
                return load(each.statement, JobRelease)
            assert isinstance(each, JobAnswer)
            answer += each.piece.message.data
            if each.piece.WhichOneof("piece") == "message" and not each.piece.message.last:
                continue
            if answer:
                self.side.take(each.piece.message.number, answer)
                answer = b""
            if leaves_after and not self.side.side.over:
                self._say()
                leaves_after -= 1
            if not leaves_after:
                self.said.put_nowait(None)
        return None

    def _say(self) -> None:
        sealed, number = self.side.sealed(), self.side.side.number
        for at in range(0, len(sealed), PIECE_BYTES):
            data, last = sealed[at : at + PIECE_BYTES], at + PIECE_BYTES >= len(sealed)
            piece = job_pb2.JobPiece(number=number, last=last, data=data)
            self.said.put_nowait(JobPiece(message=piece))

    async def _pieces(self) -> AsyncIterator[JobPiece]:
        while (piece := await self.said.get()) is not None:
            yield piece


def through_the_room(place: Place, name: str) -> tuple[OwnersRoom, Enclaves]:
    room = owners_room(*place, name, runs=Runs(most=9, days=30))
    return room, Enclaves({"tax": Near(room), "court": Near(room.court)})


async def test_a_job_goes_through_the_room_though_a_giver_was_down(place: Place) -> None:
    room, enclaves = through_the_room(place, "carried")
    side = room.label_side()
    side.submit(rounds=1)
    enclaves.down = {"court"}
    with pytest.raises(SafeRoomError) as refused:
        await Line(enclaves, side).through()
    # The word names the enclave that the job waits for; nothing was decided.
    assert refused.value.reason is Reason.UNAVAILABLE
    assert "court" in refused.value.fields[0].rule
    enclaves.down = set()
    release = await Line(enclaves, side).through()
    assert release is not None
    assert release.outcome is JobOutcome.RELEASED
    assert Kept.PART in room.court.left(side.job), "it waits for its host's word"


async def test_a_label_side_that_leaves_still_gets_what_it_is_owed(place: Place) -> None:
    room, enclaves = through_the_room(place, "leaves")
    side = room.label_side()
    side.submit(rounds=1)
    assert await Line(enclaves, side).through(leaves_after=2) is None
    assert side.side.number == 2, "the second answer came, for which the court was asked"
