"""Jobs over gRPC: a label side's messages come in pieces, and each is answered in turn.

One child at a time works for a job, for as long as its label side listens. A label side that
leaves, or is cut off, joins again and goes on at the first message that was not answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import ExitStack, aclosing
from dataclasses import replace
from functools import cache
from typing import Final

from saferoom_enclaves.children import jobs as orders
from saferoom_enclaves.children.bounds import Ending
from saferoom_enclaves.children.workshop import ChildError
from saferoom_enclaves.enclave import Enclave
from saferoom_enclaves.fits.calls import FitCalls
from saferoom_enclaves.jobs import wire as job_wire
from saferoom_enclaves.jobs.between import Kept as Told
from saferoom_enclaves.jobs.between import Step, open_state, seal_state
from saferoom_enclaves.jobs.course import OPENING, Answered, Due
from saferoom_enclaves.jobs.giving import Heard
from saferoom_enclaves.jobs.hosting import OtherEndedError
from saferoom_enclaves.jobs.kept import JobRecord, Kept
from saferoom_enclaves.jobs.line import Line, Pieces
from saferoom_enclaves.jobs.model import part_of_model
from saferoom_enclaves.jobs.others import Brought, Joint, Others, chosen, side_by_side
from saferoom_enclaves.jobs.work import JobWork, Partner, RefusedError, Trained, places_of
from saferoom_enclaves.places import Places
from saferoom_enclaves.storework import StoreWork
from saferoom_enclaves.worker import Worker, to_its_end
from saferoom_proto.job_channel import alignment_job, job_hex
from saferoom_proto.statements import JobRequest, load
from saferoom_proto.v1 import enclave_pb2, job_pb2

AT_ONCE: Final = 4
"""Jobs with a child: half of the children there may be. Of one institution at most two."""

Responses = AsyncGenerator[enclave_pb2.WorkOnJobResponse]
Asks = AsyncIterator[enclave_pb2.GiveToJobRequest]
_BROKE: Final = frozenset({Ending.CRASHED, Ending.PROCESSOR_TIME, Ending.TIME})


class JobCalls:
    """Serves jobs.

    Args:
        worker: has the enclave do one thing at a time.
        work: gives children.
        fits: trains in the room on several owners' columns.
    """

    def __init__(self, worker: Worker, work: StoreWork, fits: FitCalls) -> None:
        self.fits: Final = fits
        self._worker: Final = worker
        self._work: Final = work
        self._columns: Final = JobWork(work)
        self._places: Final = Places(AT_ONCE, "jobs")
        self._giving: Final = Places(AT_ONCE, "columns for other owners' jobs")
        self._lines: Final[dict[str, Line]] = {}
        """By job, who joined last: whoever joined before is not answered any more."""

    async def begin(self, request: enclave_pb2.BeginJobRequest) -> enclave_pb2.BeginJobResponse:
        """Let a job begin, or refuse it."""
        envelope = job_wire.request_of(request)
        return job_wire.begun(await self._worker.run(lambda own: own.jobs.begin(envelope)))

    async def end(self, request: enclave_pb2.EndJobRequest) -> enclave_pb2.EndJobResponse:
        """End a job."""
        cancel = job_wire.cancel_of(request)
        if cancel is not None:
            ended = await self.fits.end(cancel)
            if ended is None:
                ended = await self._worker.run(lambda own: own.jobs.end(cancel))
            return job_wire.end_response(ended)
        papers, release = job_wire.elsewhere_of(request)
        ended = await self._worker.run(lambda own: own.jobs.end_as(papers, release))
        return job_wire.end_response(ended)

    async def give(self, pieces: Asks) -> AsyncGenerator[enclave_pb2.GiveToJobResponse]:
        """Answer what a host's enclave asks of this one, in a job of several owners.

        Raises:
            SafeRoomError: a plain refusal.
        """
        with ExitStack() as until_answered:
            # What is long, or takes long, has a place, and one only.
            @cache
            def place(owner: str) -> None:
                until_answered.enter_context(self._giving.place(owner))

            papers, ask = await job_wire.asked_of(pieces, place)
            heard = await self._worker.run(lambda own: own.jobs.giving.hear(papers, ask))
            if isinstance(heard, Heard) and heard.head.step is Step.COLUMNS:
                place(papers.owner)
            answer = heard if isinstance(heard, bytes) else await to_its_end(self._given(heard))
        for piece in job_wire.answer_pieces(answer):
            yield piece

    async def _given(self, heard: Heard) -> bytes:
        if heard.head.step is not Step.COLUMNS:
            return await self._worker.run(lambda own: own.jobs.giving.answer(heard))
        wanted = await self._worker.run(lambda own: own.jobs.giving.columns(heard))
        if isinstance(wanted, bytes):
            return wanted
        columns = await asyncio.to_thread(self._columns.read_columns, wanted)
        return await self._worker.run(lambda own: own.jobs.giving.read(heard, columns))

    async def tell(self, request: enclave_pb2.TellJobsRequest) -> enclave_pb2.TellJobsResponse:
        """Tell how jobs stand, and trainings in the room."""
        fit = self.fits.under_way.find(request.job)
        if fit is not None:
            return enclave_pb2.TellJobsResponse(jobs=[fit.status()])

        def told(own: Enclave) -> list[job_pb2.JobStatus]:
            jobs = own.jobs
            if request.job:
                record = jobs.stands(request.job)
                return [job_wire.status(record, jobs.word(record))]
            kept = [job_wire.status(each, jobs.word(each)) for each in jobs.newest()]
            return kept + self.fits.under_way.statuses(each.job for each in kept)

        return enclave_pb2.TellJobsResponse(jobs=await self._worker.run(told))

    async def work_on(self, pieces: Pieces) -> Responses:
        """Answer a label side's messages until the job ends, or it leaves; or train in the room.

        Raises:
            SafeRoomError: a plain refusal.
        """
        line = Line(pieces)
        first = await line.first()
        if first.HasField("fit"):
            async with aclosing(self.fits.work_on(first.fit, line)) as told:
                async for response in told:
                    yield response
            return
        job = job_wire.joined_of(first)
        before = self._lines.get(job)
        self._lines[job] = line
        try:
            if before is not None:
                await before.end()
            record = await self._worker.run(lambda own: own.jobs.stands(job))
            yield job_wire.joined(record)
            tell = self._answers if record.ended is None else self._told_again
            async with aclosing(tell(record, line)) as told:
                async for response in told:
                    yield response
        finally:
            line.left.set()
            if self._lines.get(job) is line:
                del self._lines[job]

    async def _told_again(self, record: JobRecord, line: Line) -> Responses:
        """Give a job's last answer, which its label side may lack, and how it ended."""
        del line  # nothing more is heard on it
        last = await self._worker.run(lambda own: own.jobs.course.last_answer(record))
        if last is not None:
            for piece in job_wire.pieces(last.number, last.sealed):
                yield piece
        word = await self._worker.run(lambda own: own.jobs.word(record))
        if word is not None:
            yield job_wire.ended(word)

    async def _answers(self, record: JobRecord, line: Line) -> Responses:
        """Answer one message after another."""
        with self._places.place(record.institution):
            others = Others(self._worker, line)
            side = _AtWork(self._worker, self._work, self._columns, record, others)
            try:
                while (heard := await line.message()) is not None:
                    working = asyncio.ensure_future(side.answer(*heard))
                    async with aclosing(line.asks(working)) as asks:
                        async for ask in asks:
                            yield ask
                    answered = working.result()
                    for piece in job_wire.pieces(answered.number, answered.sealed):
                        yield piece
                    if answered.ended is not None:
                        yield job_wire.ended(answered.ended)
                        return
            finally:
                await to_its_end(side.close())


class _AtWork:
    """The enclave's side of one job, while its label side listens."""

    def __init__(
        self,
        worker: Worker,
        work: StoreWork,
        columns: JobWork,
        record: JobRecord,
        others: Others,
    ) -> None:
        self.job: Final = record.job
        self._worker: Final = worker
        self._columns: Final = columns
        self._record: Final = record
        self._request: Final = load(record.request, JobRequest)
        self._partner: Final = Partner(work)
        self._others: Final = others
        self._trains = False
        self._brought: Brought | None = None
        """Other owners' columns, from when they come until a child has them."""
        self._state_key = b""
        """Of a job of several owners: it takes all givers to have it."""

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
        except OtherEndedError as ended:
            at_giver = ended
            word = await self._worker.run(lambda own: own.jobs.hosting.ended(due, at_giver))
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
        several = bool(due.charged.admitted.use.others)
        if several and due.record.next:
            # Before anything is known: that the job waits tells nothing of who is common.
            self._others.require_all(self._joint(due))
        if not self._partner.is_there:
            order = orders.Align(
                job=alignment_job(self._request),
                label_items=self._request.items,
                commitment=self._request.commitment.partition(":")[2],
                narrowed=several,
            )
            state = await self._part(due, Kept.STATE)
            await asyncio.to_thread(self._partner.align, order, codes, state)
        aligned = await asyncio.to_thread(self._partner.aligned, due.message)
        if due.record.next == 0:
            return await self._worker.run(lambda own: own.jobs.course.aligned(due, aligned, codes))
        common, places = places_of(aligned, codes), b""
        if several:
            found = common
            common = await self._worker.run(lambda own: own.jobs.course.enough(due, found))
            places = await self._others.held(self._joint(due), common)
            common = chosen(common, places)
        wanted = await self._worker.run(lambda own: own.jobs.course.columns(due, common))
        columns = await asyncio.to_thread(self._columns.read_columns, wanted)
        if several:
            # The others judge for themselves, before the label side is told anything.
            self._brought = await self._others.columns(self._joint(due), common)
            aligned = await asyncio.to_thread(self._partner.aligned, places)
        # The next child knows columns, and none of these subjects.
        await self.close()
        return await self._worker.run(
            lambda own: own.jobs.course.released(due, aligned, common, columns)
        )

    async def _train(self, due: Due) -> Answered:
        several = bool(due.charged.admitted.use.others)
        if several and (self._trains or self._brought is not None):
            await self._others.go_on(self._joint(due))
        if not self._trains:
            await self._begin_to_train(due, several=several)
        trained = await asyncio.to_thread(self._partner.trained, due.message)
        if several and trained.over:
            trained = await self._kept(due, trained)
        elif several:
            trained = replace(trained, state=seal_state(self._state_key, trained.state))
        return await self._worker.run(lambda own: own.jobs.course.trained(due, trained))

    async def _kept(self, due: Due, trained: Trained) -> Trained:
        """Have the other owners keep their parts of the model; gives what is the host's own."""
        asks = await self._worker.run(lambda own: own.jobs.stands(due.record.job).asks)
        told = Told(rounds=max(1, trained.rounds), converged=trained.converged, asks=asks)
        await self._others.keep(self._joint(due), told, trained.model)
        own = due.charged.admitted.use.told.columns
        return replace(trained, model=part_of_model(trained.model, own))

    @staticmethod
    def _joint(due: Due) -> Joint:
        admitted = due.charged.admitted
        return Joint(
            due.record.job,
            due.record.certificate,
            admitted.use.others,
            admitted.asked.items,
            lambda own: own.jobs.course.asking(due),
        )

    async def _begin_to_train(self, due: Due, *, several: bool) -> None:
        request, record, bands = self._request, due.record, due.charged.admitted.use.measured
        order = orders.Train(
            job=job_hex(record.job),
            names=record.columns,
            rows=record.rows,
            label_columns=request.columns,
            inverse_ridge=float(request.inverse_ridge),
            rank=request.rank,
            rounds=request.rounds,
            epsilon=None if bands is None else bands.epsilon,
        )
        columns = await self._part(due, Kept.COLUMNS)
        opening = await self._part(due, Kept.OPENING)
        state = await self._part(due, Kept.STATE)
        if several:
            common = await self._part(due, Kept.CODES)
            brought = self._brought or await self._others.columns(self._joint(due), common)
            self._state_key, self._brought = brought.key, None
            columns = await asyncio.to_thread(side_by_side, columns, record.rows, brought)
            state = open_state(self._state_key, state) if state else b""
        await asyncio.to_thread(self._partner.train, order, columns, opening, state)
        self._trains = True

    async def _part(self, due: Due, kept: Kept) -> bytes:
        return await self._worker.run(lambda own: own.jobs.course.part(due, kept))
