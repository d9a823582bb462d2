"""A job of joint training as an institution's participant goes through it with a real enclave."""

from __future__ import annotations

import asyncio
import json
from array import array
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Final, cast

import numpy as np

from saferoom_enclaves.fits.calls import FitCalls
from saferoom_enclaves.jobs.kept import JobRows, Kept
from saferoom_enclaves.jobs.service import JobCalls
from saferoom_enclaves.journal import Judged
from saferoom_enclaves.worker import Worker
from saferoom_models.participant import Brought, Course, Participant
from saferoom_models.psi.terms import AlignmentTerms
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import b64
from saferoom_proto.hpke import SealingKey
from saferoom_proto.job_channel import (
    MOST_ROOM_ITEMS,
    PIECE_BYTES,
    Direction,
    alignment_job_of,
    channel_digest,
    channel_info,
    job_hex,
    open_message,
    seal_message,
)
from saferoom_proto.statements import (
    Bounds,
    Figure,
    JobAdmission,
    JobCancel,
    JobRelease,
    JobRequest,
    Purpose,
    Runs,
    Title,
    Training,
    TrainingMethod,
    load,
    seal_statement,
)
from saferoom_proto.statements.base import fresh_nonce
from saferoom_proto.v1 import enclave_pb2, job_pb2
from saferoom_proto.wire import envelope_from_proto
from simulator.bank import SimBank
from simulator.children import children
from simulator.harness import EnclaveHarness
from simulator.owner import SimOwner
from simulator.sample import Firm, Sample, tax_csv

ROWS: Final = 1300
"""Of the tax office; the bank's set begins somewhat later, and has as many."""
BEGINS: Final = 101
COMMON: Final = ROWS + 1 - BEGINS
LABEL_COLUMNS: Final = 2
FEATURES: Final = ("tax.vat_paid", "tax.arrears", "tax.rating")


def asked(**changes: object) -> Training:
    """Say what is trained; fields can be changed by name."""
    fields: dict[str, object] = {
        "algorithm": TrainingMethod.VERTICAL_LOGISTIC,
        "features": FEATURES,
        "label": Title(en="Default", zh="违约"),
        "label_columns": LABEL_COLUMNS,
        "inverse_ridge": Bounds(least=Decimal("0.01"), most=Decimal(1)),
        "rounds": 25,
        "least_rows": 1000,
        "least_events": 50,
        "releases": (Figure.ROWS, Figure.ROUNDS, Figure.CONVERGENCE),
        "runs": Runs(most=3, days=30),
    }
    return Training.model_validate(fields | changes)


def firms(count: int = ROWS) -> dict[int, Firm]:
    """Make the tax office's firms."""
    draw = np.random.default_rng(7)
    made: dict[int, Firm] = {}
    for serial in range(1, count + 1):
        vat = "" if draw.random() < 0.1 else f"{draw.normal(100_000, 30_000):.2f}"
        rating = "ABCD"[int(draw.integers(4))]
        made[serial] = Firm(vat, arrears=bool(draw.random() < 0.3), rating=rating)
    return made


@dataclass
class JobRoom:
    """The small room with firms enough to train on, and an approved training."""

    said: Sample
    enclave: EnclaveHarness
    template: Envelope
    certificate: Envelope
    worker: Worker = field(init=False)
    calls: JobCalls = field(init=False)

    def __post_init__(self) -> None:
        """Serve the enclave, in the running event loop."""
        self.serve()

    def serve(self) -> None:
        """Serve it, after its start."""
        self.worker = Worker(self.enclave.enclave)
        self.calls = serve_jobs(self.worker)

    @property
    def owner(self) -> SimOwner:
        """Whose enclave it is."""
        return self.enclave.owner

    def kill(self) -> None:
        """Kill the enclave, and serve what it left."""
        self.enclave.kill()
        self.serve()

    def begin(self, request: Envelope) -> Judged:
        """Have a job begin."""
        return self.enclave.enclave.jobs.begin(request)

    def line(self, job: str) -> Line:
        """Give a label side a stream to the enclave."""
        return Line(self.calls, job)

    def left(self, job: str) -> list[Kept]:
        """Name what the enclave still keeps of a job."""
        opened = self.enclave.enclave._require_open()
        rows = JobRows(opened.state)
        return [kept for kept in Kept if rows.get(job, kept)]

    def kept(self, job: str) -> dict[str, list[object]]:
        """Open the room's part of a model, as nobody outside can."""
        state = self.enclave.enclave._require_open().state
        row = state.get("model", state.cipher.find("model", job))
        assert row is not None
        return cast("dict[str, list[object]]", json.loads(row.content[32:]))

    def model(self, job: str) -> dict[str, float]:
        """Open the room's weights by the names of its columns."""
        told = self.kept(job)
        names, weights = cast("list[str]", told["names"]), cast("list[float]", told["weights"])
        return dict(zip(names, weights, strict=True))

    def label_side(
        self, bank: SimBank | None = None, *, begins: int = BEGINS, count: int = ROWS
    ) -> LabelSideOfJob:
        """Bring a bank's customers: so many, from one of the room's on."""
        return LabelSideOfJob(self, bank or self.said.bank, _brought(self.said, begins, count))


def serve_jobs(worker: Worker) -> JobCalls:
    """Serve an enclave's jobs, as its service does."""

    async def tick() -> None:
        """Wait for no tick."""

    return JobCalls(worker, children(), FitCalls(worker, tick))


def job_room(
    enclave: EnclaveHarness, said: Sample, name: str = "default-model", **training: object
) -> JobRoom:
    """Have a training approved, in the running event loop."""
    template, certificate = said.bank.training(name, asked(**training), (Purpose.PRE_LOAN,))
    said.tax.approve(template, certificate.digest)
    enclave.follow()
    return JobRoom(said, enclave, template, certificate)


def job_enclave(said: Sample, folder: Path) -> EnclaveHarness:
    """Make the tax office's enclave, with firms enough."""
    enclave = EnclaveHarness(said.tax, folder)
    enclave.load({"firms": tax_csv(said.world, firms())})
    return enclave


class LabelSideOfJob:
    """A bank's participant: its rows, its keys, and how far it is."""

    def __init__(self, room: JobRoom, bank: SimBank, brought: Brought) -> None:
        self.room, self.bank, self.brought = room, bank, brought
        count = len(brought.identifiers)
        self.nonce = fresh_nonce()
        self.key = SealingKey.generate()
        named = (room.template.digest, room.certificate.digest, bank.name, self.nonce)
        self.alignment = AlignmentTerms(alignment_job_of(*named), count, MOST_ROOM_ITEMS)
        self.side = Participant(self.alignment, self.brought)
        self.commitment = self.side.begin()
        self.secret = b""
        self.envelope: Envelope | None = None
        self.answered: list[tuple[int, bytes]] = []
        """What the room answered, opened."""

    def request(self, **changes: object) -> Envelope:
        """Sign a request for the job; fields can be changed by name."""
        now = self.bank.world.now()
        fields: dict[str, object] = {
            "room": self.bank.world.room,
            "institution": self.bank.name,
            "template": self.room.template.digest,
            "certificate": self.room.certificate.digest,
            "purpose": Purpose.PRE_LOAN,
            "items": len(self.brought.identifiers),
            "commitment": f"sha256:{self.commitment}",
            "columns": len(self.brought.columns),
            "inverse_ridge": Decimal("0.1"),
            "rank": 4,
            "rounds": 20,
            "nonce": self.nonce,
            "not_before": now,
            "not_after": now + timedelta(days=1),
            "channel_key": b64(self.key.public),
        }
        request = JobRequest.model_validate(fields | changes)
        self.envelope = seal_statement(request, self.bank.key)
        return self.envelope

    @property
    def job(self) -> str:
        """The digest of its request."""
        assert self.envelope is not None
        return self.envelope.digest

    def submit(self, **changes: object) -> JobAdmission | JobRelease:
        """Ask for the job, and take the admission."""
        return self.took(self.room.begin(self.request(**changes)))

    def took(self, judged: Judged) -> JobAdmission | JobRelease:
        """Take the enclave's word on the request."""
        statement = judged.entry.statement
        if statement.payload_type == JobRelease.payload_type():
            return load(statement, JobRelease)
        admission, request = load(statement, JobAdmission), load(self.request_made, JobRequest)
        self.secret = self.key.open(
            judged.sealed, info=channel_info(self.job, self.room.owner.name)
        )
        assert channel_digest(self.secret, self.job) == admission.channel
        course = Course(
            job_hex(self.job),
            admission.columns,
            float(request.inverse_ridge),
            request.rank,
            request.rounds,
            measured=admission.privacy is not None,
        )
        self.course = course
        self.side.admit(course)
        return admission

    @property
    def request_made(self) -> Envelope:
        """The request as it was signed."""
        assert self.envelope is not None
        return self.envelope

    def sealed(self) -> bytes:
        """Seal the message that waits."""
        number, message = self.side.number, self.side.waiting
        return seal_message(self.secret, self.job, Direction.TO_ROOM, number, message)

    def cancel(self, **changes: object) -> Envelope:
        """Sign that the job ends."""
        fields: dict[str, object] = {
            "room": self.bank.world.room,
            "institution": self.bank.name,
            "owner": self.room.owner.name,
            "job": self.job,
            "why": "another label is wanted",
            "at": self.bank.world.now(),
        }
        return seal_statement(JobCancel.model_validate(fields | changes), self.bank.key)

    def killed(self) -> None:
        """Take up what was saved, as a new process does."""
        state = self.side.save()
        self.side = Participant.resume(self.alignment, self.brought, self.course, state)

    async def take_part(self, most: int | None = None) -> JobRelease | None:
        """Go through the job, or so many messages of it; gives how it ended, if it has."""
        line = self.room.line(self.job)
        try:
            await line.join()
            while most is None or most > 0:
                if self.side.over:
                    return await line.ended()
                said = await line.exchange(self.side.number, self.sealed())
                if isinstance(said, JobRelease):
                    return said
                self.take(*said)
                most = None if most is None else most - 1
        finally:
            await line.close()
        return None

    def take(self, number: int, sealed: bytes) -> None:
        """Open an answer, and go on."""
        message = open_message(self.secret, self.job, Direction.TO_LABEL_SIDE, number, sealed)
        self.answered.append((number, message))
        self.side.answer(message)


class Line:
    """A label side's stream to the enclave's own service, without a wire."""

    def __init__(self, calls: JobCalls, job: str) -> None:
        self._job = job
        self._sent: asyncio.Queue[enclave_pb2.WorkOnJobRequest | None] = asyncio.Queue()
        self._told = aiter(calls.work_on(self._pieces()))

    async def _pieces(self) -> AsyncIterator[enclave_pb2.WorkOnJobRequest]:
        while (piece := await self._sent.get()) is not None:
            yield piece

    async def join(self) -> int:
        """Join; gives the number of the message that is due."""
        self._send(self.joining())
        return (await self.told()).joined.next

    def joining(self) -> job_pb2.TakePartRequest:
        """Give what a label side says first."""
        return job_pb2.TakePartRequest(join=job_pb2.JoinJob(job=self._job))

    def _send(self, piece: job_pb2.TakePartRequest) -> None:
        self.put(enclave_pb2.WorkOnJobRequest(piece=piece))

    def put(self, request: enclave_pb2.WorkOnJobRequest) -> None:
        """Send anything."""
        self._sent.put_nowait(request)

    async def told(self) -> enclave_pb2.WorkOnJobResponse:
        """Hear what the enclave says to its label side."""
        return await anext(self._told)

    def say(self, number: int, sealed: bytes) -> None:
        """Send a message in pieces."""
        for at in range(0, len(sealed), PIECE_BYTES):
            data = sealed[at : at + PIECE_BYTES]
            last = at + PIECE_BYTES >= len(sealed)
            piece = job_pb2.JobPiece(number=number, last=last, data=data)
            self._send(job_pb2.TakePartRequest(message=piece))

    async def hear(self) -> tuple[int, bytes] | JobRelease:
        """Hear an answer, or how the job ended."""
        sealed = b""
        while True:
            told = await self.told()
            if told.WhichOneof("piece") == "ended":
                return load(envelope_from_proto(told.ended.statement), JobRelease)
            sealed += told.message.data
            if told.message.last:
                return told.message.number, sealed

    async def exchange(self, number: int, sealed: bytes) -> tuple[int, bytes] | JobRelease:
        """Send a message, and hear what comes of it."""
        self.say(number, sealed)
        return await self.hear()

    async def ended(self) -> JobRelease:
        """Hear how the job ended, whatever is said before."""
        while not isinstance(said := await self.hear(), JobRelease):
            pass
        return said

    async def close(self) -> None:
        """Leave."""
        self._sent.put_nowait(None)
        closing = getattr(self._told, "aclose", None)
        if closing is not None:
            await closing()


def _brought(said: Sample, begins: int, count: int) -> Brought:
    draw = np.random.default_rng(11)
    held = firms()
    serials: Sequence[int] = range(begins, begins + count)
    columns = draw.normal(size=(count, LABEL_COLUMNS))
    odds = columns @ np.array([0.9, -0.6]) - 0.6
    for at, serial in enumerate(serials):
        if (firm := held.get(serial)) is not None:
            odds[at] += 1.2 * firm.arrears + 0.5 * (firm.rating == "D")
    labels = (draw.random(count) < 1 / (1 + np.exp(-odds))).astype(int)
    return Brought(
        [said.world.subject(serial).uscc for serial in serials],
        labels.tolist(),
        {f"own_{at}": array("d", columns[:, at]) for at in range(LABEL_COLUMNS)},
    )
