"""A room to train in over two owners' columns: the tax office hosts, and the water works give.

What the server does here is done by `trained`: it brings papers, carries asks, and spreads the end.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from saferoom_enclaves.jobs import between
from saferoom_enclaves.jobs.between import Step
from saferoom_enclaves.jobs.kept import MODELS, JobRows, Kept
from saferoom_enclaves.jobs.peers import Papers
from saferoom_enclaves.jobs.service import JobCalls
from saferoom_enclaves.journal import Judged, OutboxEntry
from saferoom_enclaves.worker import Worker
from saferoom_proto.answer import SALT_BYTES
from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import (
    Absent,
    ColumnType,
    Fit,
    FitRelease,
    JobAdmission,
    JobOutcome,
    JobRelease,
    load,
)
from saferoom_proto.uscc import make_uscc
from saferoom_proto.v1 import enclave_pb2
from saferoom_proto.wire import envelope_from_proto, envelope_to_proto
from simulator.fitted import FEATURES, PURPOSES, FitRoom, asked
from simulator.harness import EnclaveHarness
from simulator.job import serve_jobs
from simulator.owner import SimOwner
from simulator.owners_job import give, papers
from simulator.sample import Approved, column, ordered, schema, table

OF_TWO: Final = ("water.used", *FEATURES, "water.leaks")
WATER_ROWS: Final = 1500
"""Of the water works, from the 51st firm on: some firms are not everybody's."""
FIRST: Final = 51

Carry = Callable[[Step, bytes], bytes]


@dataclass(frozen=True, slots=True)
class Meters:
    """What the water works hold: `used` is not a number where it is unknown."""

    used: NDArray[np.float64]
    leaks: NDArray[np.int64]

    def to_csv(self) -> bytes:
        """Write the water works' table."""
        lines = ["uscc,used,leaks"]
        for at, (used, leaks) in enumerate(zip(self.used, self.leaks, strict=True)):
            told = "" if np.isnan(used) else f"{used:.2f}"
            lines.append(f"{make_uscc(FIRST + at)},{told},{leaks}")
        return "\n".join(lines).encode() + b"\n"


def meters(seed: int = 7) -> Meters:
    """Make meters."""
    draw = np.random.default_rng(seed)
    used = draw.normal(size=WATER_ROWS).round(2)
    used[draw.random(WATER_ROWS) < 0.1] = np.nan
    return Meters(used, draw.integers(0, 5, WATER_ROWS))


def asked_of_two(**changes: object) -> Fit:
    """Say what is trained on both owners' columns; fields can be changed by name."""
    return asked(**({"features": OF_TWO, "least_events": 110} | changes))


@dataclass
class OwnersFits:
    """The room of one owner's trainings, and a second owner in it."""

    room: FitRoom
    water: SimOwner
    giver: EnclaveHarness
    asked: list[tuple[Step, bytes]] = field(default_factory=list)
    """What the host asked, as it passed through the room."""
    given: list[bytes] = field(default_factory=list)
    """What it was answered."""

    @property
    def host(self) -> EnclaveHarness:
        """The tax office's enclave."""
        return self.room.enclave

    def load(self, held: Meters) -> None:
        """Have meters loaded, in the place of those before."""
        self.giver.load({"meters": held.to_csv()})
        self.follow()

    def follow(self) -> None:
        """Bring both enclaves up to date."""
        self.host.follow()
        self.giver.follow()

    def approved(self, name: str, **changes: object) -> Approved:
        """Have a training proposed, and approved by both owners."""
        template, certificate = self.room.bank.fits(name, asked_of_two(**changes))
        for owner in (self.room.tax, self.water):
            owner.approve(template, certificate.digest)
        self.follow()
        return Approved(template, certificate)

    def begun(self, request: Envelope) -> JobAdmission | JobRelease:
        """Have the giver let it begin, or refuse it."""
        word = self.giver.enclave.jobs.begin(request).entry.statement
        refused = word.payload_type == JobRelease.payload_type()
        return load(word, JobRelease if refused else JobAdmission)

    async def fitted(
        self,
        request: Envelope,
        *,
        ask: Carry = lambda _, sealed: sealed,
        answer: Carry = lambda _, sealed: sealed,
        brings: bool = True,
        by: JobCalls | None = None,
    ) -> Judged:
        """Have the host train, and carry what it asks; either may be altered on its way."""
        calls, theirs = (serve_jobs(Worker(each.enclave)) for each in (self.host, self.giver))
        calls = by or calls
        sent = asyncio.Queue[enclave_pb2.WorkOnJobRequest]()
        if brings:
            sent.put_nowait(enclave_pb2.WorkOnJobRequest(papers=papers(self.giver)))
        fit = enclave_pb2.FitModelRequest(request=envelope_to_proto(request))
        sent.put_nowait(enclave_pb2.WorkOnJobRequest(fit=fit))

        async def pieces() -> AsyncIterator[enclave_pb2.WorkOnJobRequest]:
            while True:
                yield await sent.get()

        sealed = b""
        async for told in calls.work_on(pieces()):
            if told.HasField("fitted"):
                entry = told.fitted.entry
                word = envelope_from_proto(entry.statement)
                return Judged(OutboxEntry(word, entry.salt, entry.chain_index), told.fitted.sealed)
            sealed += told.ask.data
            if not told.ask.last:
                continue
            step = between.read_head(sealed)[0].step
            self.asked.append((step, sealed))
            self.given.append(await give(theirs, papers(self.host), ask(step, sealed)))
            piece = enclave_pb2.GivenPiece(
                owner=told.ask.owner, last=True, data=answer(step, self.given[-1])
            )
            sent.put_nowait(enclave_pb2.WorkOnJobRequest(given=piece))
            sealed = b""
        raise AssertionError("it ended without a word")

    async def fails(self, request: Envelope, **carried: Any) -> Reason | None:
        """Have the host train, and give why nothing came of it; as `fitted`."""
        try:
            await self.fitted(request, **carried)
        except SafeRoomError as refused:
            return refused.reason
        return None

    def seed(self) -> bytes:
        """Say which rows are held out, as nobody outside of the host's enclave can."""
        opened = self.host.enclave._require_open()
        store = opened.data.opened().state.digest
        return opened.state.cipher.find("fit_seed", "tax.arrears", *sorted(OF_TWO), store)

    def spread(self, judged: Judged) -> JobRelease:
        """Tell the giver the host's word, as the room does, and give its own."""
        ended = self.giver.enclave.jobs.end_as(self.papers_of_host(), judged.entry.statement)
        return load(ended.entry.statement, JobRelease)

    def papers_of_host(self) -> Papers:
        """Give what the host's enclave is to be known by."""
        assert self.host.endorsed is not None
        return Papers("tax", self.host.endorsed)

    async def trained(self, request: Envelope) -> tuple[FitRelease, JobRelease]:
        """Ask both enclaves, as the room does: gives the host's word and the giver's."""
        assert isinstance(self.begun(request), JobAdmission)
        judged = await self.fitted(request)
        return self.room.said(judged), self.spread(judged)

    async def reason(self, request: Envelope) -> Reason | None:
        """Ask both, and give why there is no model."""
        said, theirs = await self.trained(request)
        assert (said.reason is None) == (theirs.outcome is JobOutcome.RELEASED)
        return said.reason

    def kept(self, enclave: EnclaveHarness, job: str) -> dict[str, object]:
        """Open a part of a model, as nobody outside can."""
        state = enclave.enclave._require_open().state
        row = state.get(MODELS, state.cipher.find(MODELS, job))
        return {} if row is None else json.loads(row.content[SALT_BYTES:])

    def left(self, job: str) -> list[Kept]:
        """Name what the giver still keeps of a job."""
        rows = JobRows(self.giver.enclave._require_open().state)
        return [kept for kept in Kept if rows.get(job, kept)]


@contextmanager
def two_owners(folder: Path) -> Generator[OwnersFits]:
    """Make the room, until the context ends."""
    room = FitRoom.make(folder)
    water = room.world.owner("water")
    water.publish_schema(
        schema(
            "water",
            table(
                "meters",
                column("used", ColumnType.DOUBLE, 3),
                column("leaks", ColumnType.BIGINT, 2),
            ),
        )
    )
    select = "SELECT uscc AS subject, {} AS value FROM meters"
    water.define(ordered("water", "used", select.format("used"), ("-1", "0", "1")))
    water.define(ordered("water", "leaks", select.format("leaks"), ("1", "3"), absent=Absent.FALSE))
    for bank, group in zip(room.banks, ("ring", "ring", "alone"), strict=True):
        water.agree(bank, PURPOSES, group)
    giver = EnclaveHarness(water, folder, ready=("saferoom_enclaves.columns",))
    with closing(room.enclave), closing(giver):
        made = OwnersFits(room, water, giver)
        made.load(meters())
        yield made
