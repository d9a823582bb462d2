"""A job of several owners with real enclaves: of two, the tax office hosts and the court gives.

What the server does here is done by `OwnersLine`: it brings papers, and carries asks.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Generator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from saferoom_enclaves.jobs import between
from saferoom_enclaves.jobs.giving import Heard
from saferoom_enclaves.jobs.peers import Papers
from saferoom_enclaves.jobs.service import JobCalls
from saferoom_enclaves.jobs.wire import papers_of
from saferoom_enclaves.journal import Judged
from saferoom_proto.dsse import Envelope
from saferoom_proto.statements import JobOutcome, JobRelease, Purpose, load
from saferoom_proto.v1 import enclave_pb2
from saferoom_proto.wire import envelope_from_proto, envelope_to_proto
from simulator.harness import EnclaveHarness
from simulator.job import BEGINS, FEATURES, JobRoom, LabelSideOfJob, Line, asked, job_enclave
from simulator.sample import Sample, sample

COURT_ROWS: Final = 1250
"""Of the court: fewer than the tax office has, so that some common subjects are not everybody's."""
COMMON_TO_ALL: Final = COURT_ROWS + 1 - BEGINS
OF_TWO: Final = ("court.dishonest", *FEATURES)

Alters = Callable[[bytes], bytes]


@dataclass
class OwnersRoom(JobRoom):
    """One owner's enclave as a host, with others' as givers."""

    givers: Mapping[str, JobRoom] = field(kw_only=True)

    @property
    def court(self) -> JobRoom:
        """The court's."""
        return self.givers["court"]

    def begin(self, request: Envelope) -> Judged:
        """Have a job begin at the givers, and then at the host."""
        for giver in self.givers.values():
            giver.begin(request)
        return super().begin(request)

    def line(self, job: str) -> OwnersLine:
        """Give a label side a stream to the host; what that asks is carried."""
        return OwnersLine(self, job)

    def tell_givers(self, release: Envelope) -> None:
        """Tell the givers what their host said, as the room does."""
        assert self.enclave.endorsed is not None
        own = Papers(self.owner.name, self.enclave.endorsed)
        for giver in self.givers.values():
            giver.enclave.enclave.jobs.end_as(own, release)

    def follow(self) -> None:
        """Bring all enclaves up to date."""
        for room in (self, *self.givers.values()):
            room.enclave.follow()


class OwnersLine(Line):
    """A label side's stream, through a room that carries what the enclaves ask of each other."""

    def __init__(self, room: OwnersRoom, job: str) -> None:
        super().__init__(room.calls, job)
        self._room = room
        self.asked: list[bytes] = []
        """What the host asked, as it passed through the room."""
        self.given: list[bytes] = []
        """What it was answered."""
        self.alters_ask: Alters = bytes
        self.alters_answer: Alters = bytes
        self.papers: Callable[[EnclaveHarness], enclave_pb2.OwnerPapers] = papers

    async def join(self) -> int:
        """Join, with the givers' papers behind it."""
        self.put(enclave_pb2.WorkOnJobRequest(piece=self.joining()))
        for giver in self._room.givers.values():
            self.put(enclave_pb2.WorkOnJobRequest(papers=self.papers(giver.enclave)))
        return (await self.told()).joined.next

    async def through(self, side: LabelSideOfJob, most: int = 100) -> None:
        """Join, and take so many messages of a job's, or all of them."""
        await self.join()
        await self.on(side, most)

    async def on(self, side: LabelSideOfJob, most: int = 100) -> None:
        """Take so many messages of a job's, or all of them, having joined."""
        while most and not side.side.over:
            said = await self.exchange(side.side.number, side.sealed())
            if isinstance(said, JobRelease):
                return
            side.take(*said)
            most -= 1

    async def told(self) -> enclave_pb2.WorkOnJobResponse:
        """Hear what is for the label side; what is for the givers is carried, and a model told."""
        ask = b""
        while (said := await super().told()).WhichOneof("piece") == "ask":
            ask += said.ask.data
            if said.ask.last:
                await self._carry(said.ask.owner, ask)
                ask = b""
        if said.WhichOneof("piece") == "ended":
            word = envelope_from_proto(said.ended.statement)
            if load(word, JobRelease).outcome is JobOutcome.RELEASED:
                self._room.tell_givers(word)
        return said

    async def _carry(self, owner: str, ask: bytes) -> None:
        self.asked.append(ask)
        own = self.papers(self._room.enclave)
        answer = await give(self._room.givers[owner].calls, own, self.alters_ask(ask))
        self.given.append(answer)
        answer = self.alters_answer(answer)
        piece = enclave_pb2.GivenPiece(owner=owner, last=True, data=answer)
        self.put(enclave_pb2.WorkOnJobRequest(given=piece))


async def give(calls: JobCalls, own: enclave_pb2.OwnerPapers, ask: bytes) -> bytes:
    """Ask an enclave as another owner's, through its own service."""

    async def pieces() -> AsyncIterator[enclave_pb2.GiveToJobRequest]:
        yield enclave_pb2.GiveToJobRequest(papers=own)
        yield enclave_pb2.GiveToJobRequest(data=ask)

    return b"".join([piece.data async for piece in calls.give(pieces())])


def papers(enclave: EnclaveHarness) -> enclave_pb2.OwnerPapers:
    """Give what another owner's enclave is to be known by."""
    return enclave_pb2.OwnerPapers(
        owner=enclave.owner.name,
        endorsement=envelope_to_proto(enclave.endorsement()),
    )


def owners_enclaves(said: Sample, folder: Path) -> tuple[EnclaveHarness, EnclaveHarness]:
    """Make the two enclaves, with firms enough."""
    court = EnclaveHarness(said.court, folder)
    court.load({"judgments": judgments(said)})
    return job_enclave(said, folder), court


Place = tuple[Sample, EnclaveHarness, EnclaveHarness]
"""A room, and the enclaves of the tax office and the court in it."""


@contextmanager
def two_owners(folder: Path, seed: str) -> Generator[Place]:
    """Give a room with two owners' firms, until the context ends."""
    said = sample(seed)
    tax, court = owners_enclaves(said, folder)
    with closing(tax), closing(court):
        yield said, tax, court


def judgments(said: Sample, count: int = COURT_ROWS) -> bytes:
    """Write the court's table: every seventh firm is on its list."""
    codes = [said.world.subject(serial).uscc for serial in range(1, count + 1)]
    rows = (f"{code},{str(at % 7 == 0).lower()}" for at, code in enumerate(codes, start=1))
    lines = ["uscc,dishonest", *rows]
    return "\n".join(lines).encode() + b"\n"


def owners_room(
    said: Sample, tax: EnclaveHarness, court: EnclaveHarness, name: str, **training: object
) -> OwnersRoom:
    """Have a training of both owners' columns approved by both, in the running event loop."""
    of_two = asked(features=OF_TWO, host="tax", **training)
    template, certificate = said.bank.training(name, of_two, (Purpose.PRE_LOAN,))
    for owner in (said.tax, said.court):
        owner.approve(template, certificate.digest)
    giver = JobRoom(said, court, template, certificate)
    room = OwnersRoom(said, tax, template, certificate, givers={"court": giver})
    room.follow()
    return room


def heard_of(
    jobs: OwnersRoom, job: str, step: between.Step, body: bytes
) -> tuple[Heard, between.Ask]:
    """Have the court's enclave open what the host's asks."""
    host, court = (room.enclave.enclave for room in (jobs, jobs.court))
    certificate, now = jobs.certificate.digest, jobs.said.world.now()
    peer = host.jobs._peers.verified(papers_of(papers(jobs.court.enclave)), certificate, now)
    ask = between.make_ask(job, step, "tax", peer, body)
    heard = court.jobs.giving.hear(papers_of(papers(jobs.enclave)), ask.sealed)
    assert isinstance(heard, Heard)
    return heard, ask
