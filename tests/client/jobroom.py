"""An enclave's side of a job behind a small server of its own, which fails where it is told to."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np

from saferoom_client.profile import Profile
from saferoom_client.session import Session
from saferoom_client.training.folder import Admitted, JobFolder, RowsFrom
from saferoom_client.training.machines import begin, take_up
from saferoom_client.training.progress import JobProgress
from saferoom_client.training.table import TrainingTable
from saferoom_client.training.taking_part import Part
from saferoom_models.psi.room_set import RoomSet
from saferoom_models.psi.terms import AlignmentTerms
from saferoom_models.vertical.columns import Prepared, prepare
from saferoom_models.vertical.room_side import RoomSide
from saferoom_models.vertical.terms import Terms
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import b64
from saferoom_proto.hpke import SealingKey
from saferoom_proto.job_channel import (
    MOST_ROOM_ITEMS,
    PIECE_BYTES,
    SECRET_BYTES,
    Direction,
    alignment_job_of,
    job_hex,
    open_message,
    seal_message,
)
from saferoom_proto.keys import SigningKey
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.rpc_errors import Abortable, abort
from saferoom_proto.statements import JobRequest, Purpose, seal_statement
from saferoom_proto.statements.base import fresh_nonce, whole_milliseconds
from saferoom_proto.uscc import make_uscc
from saferoom_proto.v1 import job_pb2, job_pb2_grpc
from saferoom_proto.wire import Recorded, recorded_to_proto

ROWS, COMMON = 1150, 1100


@dataclass
class Faults:
    """What goes wrong, each once, by the number of the message it goes wrong at."""

    cut_before: set[int] = field(default_factory=set)
    """The stream ends before the message reaches the enclave."""
    cut_after: set[int] = field(default_factory=set)
    """The enclave has answered, and the answer is lost."""
    spoilt: set[int] = field(default_factory=set)
    """The answer does not open."""
    ended_at: int | None = None
    """The job is over when this message comes."""
    behind: int = 0
    """How many messages the enclave was put back."""
    oversized: bool = False
    empty: bool = False
    """Pieces come that hold nothing, without end."""


class Enclave(job_pb2_grpc.JobServiceServicer):
    """The room's side of one job."""

    def __init__(self, job: str, request: JobRequest, commitment: str, faults: Faults) -> None:
        self.job, self.faults, self.secret = job, faults, os.urandom(SECRET_BYTES)
        draw = np.random.default_rng(5)
        self.names = [make_uscc(at) for at in range(ROWS - COMMON + 1, ROWS + 50)]
        self.values = draw.normal(size=(len(self.names), 2))
        self.terms = Terms(
            job_hex(job), COMMON, request.columns, 2, rank=request.rank, rounds=request.rounds
        )
        alignment = AlignmentTerms(_named(request), request.items, MOST_ROOM_ITEMS)
        self.set = RoomSet(alignment, self.names, commitment, os.urandom)
        self.side: RoomSide | None = None
        self.columns: Prepared | None = None
        self.next = 0
        self.stored = b""
        self.longest = 0
        self.one_at_a_time = threading.Lock()
        self.release = recorded_to_proto(
            Recorded(seal_statement(request, SigningKey.generate()), b"", "")
        )

    def machine(self, number: int, message: bytes) -> bytes:
        if number == 0:
            return self.set.answer(message)
        if number == 1:
            rows = self.set.learn(message)
            self.columns = prepare(("paid", "late"), self.values[rows])
            self.side = RoomSide(self.terms, self.columns, os.urandom)
            return self.set.release()
        assert self.side is not None
        return self.side.answer(message)

    def take(self, number: int, message: bytes) -> None:
        """Answer a message once; a stream that was cut off may still be at it."""
        with self.one_at_a_time:
            if number == self.next:
                self.stored = self.machine(number, message)
                self.next += 1

    def over(self) -> bool:
        return self.side is not None and self.side.progress.over

    async def TakePart(  # noqa: N802 - the contract's name
        self, request_iterator: object, context: object
    ) -> AsyncIterator[job_pb2.TakePartResponse]:
        pieces = cast("AsyncIterator[job_pb2.TakePartRequest]", request_iterator)
        ending = cast("Abortable", context)
        assert (await anext(pieces)).join.job == self.job
        joined = job_pb2.JobJoined(next=self.next - self.faults.behind)
        yield job_pb2.TakePartResponse(joined=joined)
        if self.over():
            # As the enclave does of a job that has ended: the last answer again, unasked.
            for told in self.answer(self.next - 1):
                yield told
        whole = b""
        async for piece in pieces if not self.over() else _none():
            number = piece.message.number
            whole += piece.message.data
            if not piece.message.last:
                continue
            if number == self.faults.ended_at:
                break
            if number in self.faults.cut_before:
                self.faults.cut_before.remove(number)
                await abort(ending, SafeRoomError(Reason.UNAVAILABLE, "cut"))
            self.longest = max(self.longest, len(whole))
            opened = open_message(self.secret, self.job, Direction.TO_ROOM, number, whole)
            whole = b""
            await asyncio.to_thread(self.take, number, opened)
            assert number == self.next - 1, "only the last message may come again"
            if number in self.faults.cut_after:
                self.faults.cut_after.remove(number)
                await abort(ending, SafeRoomError(Reason.UNAVAILABLE, "cut"))
            while self.faults.empty:
                yield job_pb2.TakePartResponse(message=job_pb2.JobPiece(number=number))
            for told in self.answer(number):
                yield told
        yield job_pb2.TakePartResponse(ended=job_pb2.JobEnded(release=self.release))

    def answer(self, number: int) -> list[job_pb2.TakePartResponse]:
        direction = Direction.TO_LABEL_SIDE
        sealed = seal_message(self.secret, self.job, direction, number, self.stored)
        if number in self.faults.spoilt:
            self.faults.spoilt.remove(number)
            sealed = sealed[:-1] + bytes([sealed[-1] ^ 1])
        if self.faults.oversized:
            sealed += bytes(64 << 20)
        return [
            job_pb2.TakePartResponse(
                message=job_pb2.JobPiece(
                    number=number,
                    last=at + PIECE_BYTES >= len(sealed),
                    data=sealed[at : at + PIECE_BYTES],
                )
            )
            for at in range(0, len(sealed), PIECE_BYTES)
        ]


async def _none() -> AsyncIterator[job_pb2.TakePartRequest]:
    """Read nothing more."""
    for piece in ():
        yield piece


def _named(request: JobRequest) -> str:
    return alignment_job_of(
        request.template, request.certificate, request.institution, request.nonce
    )


@dataclass
class Played:
    """A job that was signed, and both its ends."""

    folder: JobFolder
    table: TrainingTable
    enclave: Enclave
    stub: job_pb2_grpc.JobServiceStub
    told: list[JobProgress] = field(default_factory=list)

    async def run(self) -> Recorded:
        """Take part as a process started anew does: from what the folder holds."""
        admitted = Admitted(2, self.enclave.secret)
        participant = take_up(self.folder, self.table, admitted.room_columns, None)
        session = cast("Session", SimpleNamespace(jobs=self.stub))
        part = Part(session, self.folder, admitted, participant, self.told.append)
        return await part.run()

    def participant(self) -> object:
        return take_up(self.folder, self.table, 2, None)


def make_folder(tmp_path: Path, table: TrainingTable) -> tuple[JobFolder, str]:
    member = SimpleNamespace(
        folder=tmp_path, signing_key=SigningKey.generate(), typed="saferoom {} -p x".format
    )
    profile = cast("Profile", member)

    now, nonce, key = whole_milliseconds(datetime.now(UTC)), fresh_nonce(), SealingKey.generate()
    digest = "sha256:" + "0d" * 32
    participant, commitment = begin(alignment_job_of(digest, digest, "bank-a", nonce), table, None)
    request = JobRequest.model_validate(
        {
            "room": "room.example/test",
            "institution": "bank-a",
            "template": digest,
            "certificate": digest,
            "purpose": Purpose.PRODUCT_DESIGN,
            "items": len(table.subjects),
            "commitment": f"sha256:{commitment}",
            "columns": len(table.columns),
            "inverse_ridge": Decimal(1),
            "rank": 8,
            "rounds": 25,
            "nonce": nonce,
            "not_before": now,
            "not_after": now + timedelta(days=1),
            "channel_key": b64(key.public),
        }
    )
    envelope: Envelope = seal_statement(request, profile.signing_key)
    rows = RowsFrom(file="rows.csv", label="bad", subject=None, columns=(), digest=table.digest)
    folder = JobFolder.make(
        profile,
        envelope,
        template="risk",
        owner="tax",
        rows=rows,
        channel_key=key,
        state=participant.save(),
    )
    return folder, commitment
