"""Jobs over gRPC: a label side's messages come in pieces, and each is answered in turn.

One child at a time works for a job, for as long as its label side listens. A label side that
leaves, or is cut off, joins again and goes on at the first message that was not answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from saferoom_enclaves import job_wire
from saferoom_enclaves.children import jobs as orders
from saferoom_enclaves.children.bounds import Ending
from saferoom_enclaves.children.workshop import ChildError
from saferoom_enclaves.enclave import Enclave
from saferoom_enclaves.job_course import OPENING, Answered, Due
from saferoom_enclaves.job_kept import JobRecord, Kept
from saferoom_enclaves.job_work import JobWork, Partner, RefusedError, places_of
from saferoom_enclaves.places import Places
from saferoom_enclaves.storework import StoreWork
from saferoom_enclaves.worker import Worker, to_its_end
from saferoom_proto.job_channel import alignment_job, job_hex
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import JobRequest, load
from saferoom_proto.v1 import enclave_pb2, job_pb2

AT_ONCE: Final = 4
"""Jobs with a child: half of the children there may be. Of one institution at most two."""
IDLE_SECONDS: Final = 600.0
"""The longest a label side may say nothing before its child goes; it may join again."""
MOST_MESSAGE_BYTES: Final = 128 << 20
"""Of a sealed message. A million points have 32 MB, 300,000 rows of ten columns 90 MB; a child
holds each message to the length that its job's terms give it."""

Pieces = AsyncIterator[enclave_pb2.WorkOnJobRequest]
Responses = AsyncIterator[enclave_pb2.WorkOnJobResponse]
_BROKE: Final = frozenset({Ending.CRASHED, Ending.PROCESSOR_TIME, Ending.TIME})


class JobCalls:
    """Serves jobs.

    Args:
        worker: has the enclave do one thing at a time.
        work: gives children.
    """

    def __init__(self, worker: Worker, work: StoreWork) -> None:
        self._worker: Final = worker
        self._work: Final = work
        self._columns: Final = JobWork(work)
        self._places: Final = Places(AT_ONCE, "jobs")
        self._lines: Final[dict[str, _Line]] = {}
        """By job, who joined last: whoever joined before is not answered any more."""

    async def begin(self, request: enclave_pb2.BeginJobRequest) -> enclave_pb2.BeginJobResponse:
        """Let a job begin, or refuse it."""
        envelope = job_wire.request_of(request)
        return job_wire.begun(await self._worker.run(lambda own: own.jobs.begin(envelope)))

    async def end(self, request: enclave_pb2.EndJobRequest) -> enclave_pb2.EndJobResponse:
        """End a job."""
        cancel = job_wire.cancel_of(request)
        return job_wire.end_response(await self._worker.run(lambda own: own.jobs.end(cancel)))

    async def tell(self, request: enclave_pb2.TellJobsRequest) -> enclave_pb2.TellJobsResponse:
        """Tell how jobs stand."""

        def told(own: Enclave) -> list[job_pb2.JobStatus]:
            jobs = own.jobs
            found = [jobs.stands(request.job)] if request.job else jobs.newest()
            return [job_wire.status(each, jobs.word(each)) for each in found]

        return enclave_pb2.TellJobsResponse(jobs=await self._worker.run(told))

    async def work_on(self, pieces: Pieces) -> Responses:
        """Answer a label side's messages until the job ends, or it leaves.

        Raises:
            SafeRoomError: a plain refusal.
        """
        first = await anext(pieces, None)
        if first is None:
            raise SafeRoomError(Reason.MALFORMED, "taking part begins with the job's name")
        job = job_wire.joined_of(first)
        before, line = self._lines.get(job), _Line(pieces)
        self._lines[job] = line
        try:
            if before is not None:
                await before.end()
            record = await self._worker.run(lambda own: own.jobs.stands(job))
            yield job_wire.joined(record)
            told = self._answers if record.ended is None else self._told_again
            async for response in told(record, line):
                yield response
        finally:
            line.left.set()
            if self._lines.get(job) is line:
                del self._lines[job]

    async def _told_again(self, record: JobRecord, line: _Line) -> Responses:
        """Give a job's last answer, which its label side may lack, and how it ended."""
        del line  # nothing more is heard on it
        last = await self._worker.run(lambda own: own.jobs.course.last_answer(record))
        if last is not None:
            for piece in job_wire.pieces(last.number, last.sealed):
                yield piece
        word = await self._worker.run(lambda own: own.jobs.word(record))
        if word is not None:
            yield job_wire.ended(word)

    async def _answers(self, record: JobRecord, line: _Line) -> Responses:
        """Answer one message after another."""
        with self._places.place(record.institution):
            side = _AtWork(self._worker, self._work, self._columns, record)
            try:
                while (heard := await line.message()) is not None:
                    answered = await to_its_end(side.answer(*heard))
                    for piece in job_wire.pieces(answered.number, answered.sealed):
                        yield piece
                    if answered.ended is not None:
                        yield job_wire.ended(answered.ended)
                        return
            finally:
                await to_its_end(side.close())


class _Line:
    """What a label side says, until another one of its job joins."""

    def __init__(self, pieces: Pieces) -> None:
        self._pieces: Final = pieces
        self._superseded: Final = asyncio.Event()
        self.left: Final = asyncio.Event()

    async def end(self) -> None:
        """Hear nothing more, and wait until what is under way is done."""
        self._superseded.set()
        await self.left.wait()

    async def message(self) -> tuple[int, bytes] | None:
        """Put a sealed message together; none if the label side has nothing more to say.

        Raises:
            SafeRoomError: `CONFLICT` once another one joined; `DEADLINE`; `MALFORMED` or
                `TOO_LARGE` for what is no message.
        """
        sealed, number = bytearray(), -1
        while True:
            request = await self._heard()
            if request is None:
                if sealed:
                    raise SafeRoomError(Reason.MALFORMED, "a message that was cut off")
                return None
            piece = job_wire.piece_of(request)
            if sealed and piece.number != number:
                raise SafeRoomError(Reason.MALFORMED, "pieces of two messages")
            number = piece.number
            sealed += piece.data
            if len(sealed) > MOST_MESSAGE_BYTES:
                detail = f"a message of more than {MOST_MESSAGE_BYTES} bytes"
                raise SafeRoomError(Reason.TOO_LARGE, detail)
            if piece.last:
                return number, bytes(sealed)

    async def _heard(self) -> enclave_pb2.WorkOnJobRequest | None:
        piece = asyncio.ensure_future(anext(self._pieces, None))
        superseded = asyncio.ensure_future(self._superseded.wait())
        try:
            done, _ = await asyncio.wait(
                {piece, superseded}, timeout=IDLE_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
            if superseded in done:
                raise SafeRoomError(Reason.CONFLICT, "its label side joined anew")
            if piece not in done:
                raise SafeRoomError(Reason.DEADLINE, "the label side says nothing")
            return piece.result()
        finally:
            for each in (piece, superseded):
                each.cancel()


class _AtWork:
    """The enclave's side of one job, while its label side listens."""

    def __init__(
        self, worker: Worker, work: StoreWork, columns: JobWork, record: JobRecord
    ) -> None:
        self.job: Final = record.job
        self._worker: Final = worker
        self._columns: Final = columns
        self._record: Final = record
        self._request: Final = load(record.request, JobRequest)
        self._partner: Final = Partner(work)
        self._trains = False

    async def close(self) -> None:
        """Let the child go."""
        await asyncio.to_thread(self._partner.close)

    async def answer(self, number: int, sealed: bytes) -> Answered:
        """Answer one message."""
        job = self.job
        taken = await self._worker.run(lambda own: own.jobs.course.take(job, number, sealed))
        if isinstance(taken, Answered):
            return taken
        due = taken
        try:
            if due.record.next >= OPENING:
                return await self._train(due)
            return await self._align(due)
        except RefusedError as refusal:
            reason = refusal.reason
            word = await self._worker.run(lambda own: own.jobs.course.refused(due, reason))
            return Answered(due.record.next, b"", word)
        except ChildError as error:
            await self.close()
            self._trains = False
            if error.ending in _BROKE:
                word = await self._worker.run(lambda own: own.jobs.course.broke(due))
                if word is not None:
                    return Answered(due.record.next, b"", word)
            raise

    async def _align(self, due: Due) -> Answered:
        codes = await self._part(due, Kept.CODES)
        if not self._partner.is_there:
            order = orders.Align(
                job=alignment_job(self._request),
                label_items=self._request.items,
                commitment=self._request.commitment.partition(":")[2],
            )
            state = await self._part(due, Kept.STATE)
            await asyncio.to_thread(self._partner.align, order, codes, state)
        aligned = await asyncio.to_thread(self._partner.aligned, due.message)
        if due.record.next == 0:
            return await self._worker.run(lambda own: own.jobs.course.aligned(due, aligned, codes))
        common = places_of(aligned, codes)
        wanted = await self._worker.run(lambda own: own.jobs.course.columns(due, common))
        columns = await asyncio.to_thread(self._columns.read_columns, wanted)
        # The next child knows columns, and none of these subjects.
        await self.close()
        return await self._worker.run(
            lambda own: own.jobs.course.released(due, aligned, common, columns)
        )

    async def _train(self, due: Due) -> Answered:
        if not self._trains:
            request, record = self._request, due.record
            order = orders.Train(
                job=job_hex(record.job),
                names=record.columns,
                rows=record.rows,
                label_columns=request.columns,
                inverse_ridge=float(request.inverse_ridge),
                rank=request.rank,
                rounds=request.rounds,
            )
            columns = await self._part(due, Kept.COLUMNS)
            opening = await self._part(due, Kept.OPENING)
            state = await self._part(due, Kept.STATE)
            await asyncio.to_thread(self._partner.train, order, columns, opening, state)
            self._trains = True
        trained = await asyncio.to_thread(self._partner.trained, due.message)
        return await self._worker.run(lambda own: own.jobs.course.trained(due, trained))

    async def _part(self, due: Due, kept: Kept) -> bytes:
        return await self._worker.run(lambda own: own.jobs.course.part(due, kept))
