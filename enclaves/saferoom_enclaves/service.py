"""The enclave's gRPC service: messages to values, values to messages, refusals to statuses.

Answers leave on ticks of the length that the charter sets, after the commit, so that the time at
which one leaves says less about the work behind it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager, closing
from typing import Final, NoReturn, cast

import grpc
from google.protobuf.message import Message

from saferoom_enclaves import wire
from saferoom_enclaves.batches.service import BatchCalls
from saferoom_enclaves.enclave import Enclave
from saferoom_enclaves.fetched.broker import Broker
from saferoom_enclaves.fetched.calls import Fetching
from saferoom_enclaves.fits.calls import FitCalls
from saferoom_enclaves.jobs.service import JobCalls
from saferoom_enclaves.journal import Judged
from saferoom_enclaves.loads import LoadJob, LoadReport
from saferoom_enclaves.logs import Log, places
from saferoom_enclaves.made_calls import MadeCalls
from saferoom_enclaves.places import Turns
from saferoom_enclaves.reports.service import ReportCalls
from saferoom_enclaves.storework import StoreWork
from saferoom_enclaves.tables.desk import BegunTable
from saferoom_enclaves.whereabouts import Whereabouts
from saferoom_enclaves.worker import Worker, to_its_end
from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.rpc_errors import abort
from saferoom_proto.v1 import enclave_pb2, enclave_pb2_grpc, evidence_pb2

UNLOCK_SETTLE_SECONDS: Final = 300.0
"""How long unlocking waits for the features; without them there is no answer anyway."""
DELIVER_SETTLE_SECONDS: Final = 1.0
"""How long a delivery waits for the features that came with it: most are there then, and the next
delivery, which may bring a consent, is not held up by one that takes its time."""

AT_ONCE: Final = 2
"""Subjects read about at a time, and drafts tried: loads and features need children too."""
WAITING: Final = 16
"""How many more of each may wait: they have their turn within a minute or so."""

Context = grpc.aio.ServicerContext[Message, Message]


class EnclaveService(enclave_pb2_grpc.EnclaveServiceServicer):
    """Serves one enclave to the room.

    Args:
        worker: has the enclave do one thing at a time.
        work: gives children, for jobs.
        owner: whose it is.
        log: the operator's.
        changed: is told whether the enclave judges, whenever that may have changed.
        broker: asks providers.
    """

    def __init__(
        self,
        worker: Worker,
        work: StoreWork,
        owner: str,
        log: Log,
        changed: Callable[[bool], Awaitable[None]],
        *,
        broker: Broker,
    ) -> None:
        self._worker: Final = worker
        self._owner: Final = owner
        self._log: Final = log
        self._changed: Final = changed
        self._one_load: Final = asyncio.Lock()
        self._disclosures: Final = Turns(AT_ONCE, WAITING, "disclosures")
        self._trials: Final = Turns(AT_ONCE, WAITING, "trials")
        self._fetching: Final = Fetching(worker, broker, log)
        self._batches: Final = BatchCalls(worker, self._tick)
        self._tables: Final = MadeCalls(
            worker, self._tick, lambda own: own.tables, BegunTable.make, "tables"
        )
        self._fits: Final = FitCalls(worker, self._tick)
        self._jobs: Final = JobCalls(worker, work, self._fits)
        self._reports: Final = ReportCalls(worker, self._tick)
        self._tick_seconds = 0.0

    async def Attest(  # noqa: N802 - the contract's name
        self, request: enclave_pb2.AttestRequest, context: Context
    ) -> enclave_pb2.AttestResponse:
        """Give evidence."""
        async with self._refusing(context, "Attest"):
            nonce, shown = request.nonce, request.shown
            attested = await self._worker.run(lambda own: own.attest(nonce, shown=shown))
            return wire.attest_response(attested)

    async def Unlock(  # noqa: N802
        self, request: enclave_pb2.UnlockRequest, context: Context
    ) -> enclave_pb2.UnlockResponse:
        """Open state and store, or renew the endorsement."""
        async with self._refusing(context, "Unlock"):
            endorsement, sealed = wire.endorsement_of(request), request.sealed_keys
            recoveries = wire.recoveries_of(request)
            await self._worker.run(lambda own: own.unlock(endorsement, sealed, recoveries))
            await self._worker.settle(UNLOCK_SETTLE_SECONDS)
            where = await self._worker.run(Enclave.whereabouts)
            await self._tell(where)
            return enclave_pb2.UnlockResponse(position=wire.position(where))

    async def GetState(  # noqa: N802
        self, request: enclave_pb2.GetStateRequest, context: Context
    ) -> enclave_pb2.GetStateResponse:
        """Tell where the enclave stands."""
        del request  # it has no fields
        async with self._refusing(context, "GetState"):
            where = await self._worker.run(Enclave.whereabouts)
            return enclave_pb2.GetStateResponse(position=wire.position(where))

    async def Deliver(  # noqa: N802
        self, request: enclave_pb2.DeliverRequest, context: Context
    ) -> enclave_pb2.DeliverResponse:
        """Take statements, a head and proofs."""
        async with self._refusing(context, "Deliver"):
            delivery = wire.delivery_of(request)
            acknowledged = await self._worker.run(lambda own: own.deliver(delivery))
            await self._worker.settle(DELIVER_SETTLE_SECONDS)
            where = await self._worker.run(Enclave.whereabouts)
            await self._tell(where)
            return wire.deliver_response(where, acknowledged)

    async def Judge(  # noqa: N802
        self, request: enclave_pb2.JudgeRequest, context: Context
    ) -> enclave_pb2.JudgeResponse:
        """Judge a signed question."""
        request_id = ""
        try:
            question = wire.question_of(request)
            request_id = question.digest
            await self._fetching.prepare(question)
            judged = await self._worker.judge(question)
        except Exception as error:  # noqa: BLE001 - `_refuse` ends the call whatever it was
            await self._refuse(context, "Judge", error, request_id)
        await self._tick()
        return wire.judge_response(judged)

    async def JudgeMany(  # noqa: N802
        self, request: enclave_pb2.JudgeManyRequest, context: Context
    ) -> enclave_pb2.JudgeManyResponse:
        """Judge several signed questions, each for itself."""
        del context  # what fails, fails for one question
        outcomes = await asyncio.gather(*(self._outcome(each) for each in request.requests))
        await self._tick()
        return enclave_pb2.JudgeManyResponse(outcomes=outcomes)

    async def _outcome(self, message: evidence_pb2.Envelope) -> enclave_pb2.JudgeOutcome:
        request_id = ""
        try:
            question = wire.one_of_many(message)
            request_id = question.digest
            # It waits for no source: the others' banks would wait with it.
            await self._fetching.prepare(question, 0.0)
            judged = await self._worker.judge(question)
        except Exception as error:  # noqa: BLE001 - the others are judged all the same
            refusal = self._refusal("JudgeMany", error, request_id)
            return enclave_pb2.JudgeOutcome(refusal=wire.plain_refusal(refusal))
        return enclave_pb2.JudgeOutcome(judged=wire.judge_response(judged))

    async def Disclose(  # noqa: N802
        self, request: enclave_pb2.DiscloseRequest, context: Context
    ) -> enclave_pb2.DiscloseResponse:
        """Show a subject what is held about it."""
        async with self._refusing(context, "Disclose"):
            asked = wire.claim_of(request)
            return wire.disclose_response(await self._disclosed(asked))

    async def _disclosed(self, asked: Envelope) -> Judged:
        claimed = await self._worker.run(lambda own: own.disclosures.expect(asked))
        if isinstance(claimed, Judged):
            return claimed
        async with self._disclosures.turn(claimed.request.subject):
            # What waits holds no store open; what begins is counted, and so comes to its end.
            return await to_its_end(self._read(asked, claimed.request.subject))

    async def _read(self, asked: Envelope, subject: str) -> Judged:
        search = await self._worker.run(lambda own: own.batches.search(subject))
        while not search.done:  # piece by piece: questions that wait go before each
            await self._worker.run(lambda own: own.batches.go_on(search))
        begun = await self._worker.run(lambda own: own.disclosures.begin(asked, search))
        if isinstance(begun, Judged):
            return begun
        with closing(begun):
            sealed = await asyncio.to_thread(begun.collect)
            return await self._worker.run(lambda own: own.disclosures.finish(begun, sealed))

    async def _tick(self) -> None:
        if self._tick_seconds:
            now = asyncio.get_running_loop().time()
            await asyncio.sleep(self._tick_seconds - now % self._tick_seconds)

    async def JudgeBatch(  # noqa: N802
        self, request_iterator: object, context: Context
    ) -> AsyncIterator[enclave_pb2.JudgeBatchResponse]:
        """Judge a batch."""
        pieces = cast("AsyncIterator[enclave_pb2.JudgeBatchRequest]", request_iterator)
        async with (
            self._refusing(context, "JudgeBatch"),
            aclosing(self._batches.judge(pieces)) as told,
        ):
            async for response in told:
                yield response

    async def Tabulate(  # noqa: N802
        self, request: enclave_pb2.TabulateRequest, context: Context
    ) -> enclave_pb2.TabulateResponse:
        """Make tables."""
        async with self._refusing(context, "Tabulate"):
            return wire.tabulate_response(await self._tables.answer(wire.tables_of(request)))

    async def FitModel(  # noqa: N802
        self, request: enclave_pb2.FitModelRequest, context: Context
    ) -> enclave_pb2.FitModelResponse:
        """Train a model in the room."""
        async with self._refusing(context, "FitModel"):
            return await self._fits.answer(request)

    async def Report(  # noqa: N802
        self, request: enclave_pb2.ReportRequest, context: Context
    ) -> enclave_pb2.ReportResponse:
        """Tell what is public of a subject."""
        async with self._refusing(context, "Report"):
            asked, disputes = wire.report_of(request)
            return wire.report_response(await self._reports.answer(asked, disputes))

    async def BeginJob(  # noqa: N802
        self, request: enclave_pb2.BeginJobRequest, context: Context
    ) -> enclave_pb2.BeginJobResponse:
        """Let a job begin."""
        async with self._refusing(context, "BeginJob"):
            return await self._jobs.begin(request)

    async def WorkOnJob(  # noqa: N802
        self, request_iterator: object, context: Context
    ) -> AsyncIterator[enclave_pb2.WorkOnJobResponse]:
        """Carry a job's messages."""
        pieces = cast("AsyncIterator[enclave_pb2.WorkOnJobRequest]", request_iterator)
        async with (
            self._refusing(context, "WorkOnJob"),
            aclosing(self._jobs.work_on(pieces)) as told,
        ):
            async for response in told:
                yield response

    async def GiveToJob(  # noqa: N802
        self, request_iterator: object, context: Context
    ) -> AsyncIterator[enclave_pb2.GiveToJobResponse]:
        """Answer another owner's enclave."""
        pieces = cast("AsyncIterator[enclave_pb2.GiveToJobRequest]", request_iterator)
        async with (
            self._refusing(context, "GiveToJob"),
            aclosing(self._jobs.give(pieces)) as told,
        ):
            async for response in told:
                yield response

    async def TellJobs(  # noqa: N802
        self, request: enclave_pb2.TellJobsRequest, context: Context
    ) -> enclave_pb2.TellJobsResponse:
        """Tell how jobs stand."""
        async with self._refusing(context, "TellJobs"):
            return await self._jobs.tell(request)

    async def EndJob(  # noqa: N802
        self, request: enclave_pb2.EndJobRequest, context: Context
    ) -> enclave_pb2.EndJobResponse:
        """End a job."""
        async with self._refusing(context, "EndJob"):
            return await self._jobs.end(request)

    async def Load(  # noqa: N802
        self, request_iterator: object, context: Context
    ) -> enclave_pb2.LoadResponse:
        """Take a load; one at a time."""
        # An asyncio server gives an asyncio iterator.
        pieces = cast("AsyncIterator[enclave_pb2.LoadRequest]", request_iterator)
        async with self._refusing(context, "Load"), self._one_load:
            return wire.load_response(await self._loaded(pieces))

    async def TellLoad(  # noqa: N802
        self, request: enclave_pb2.TellLoadRequest, context: Context
    ) -> enclave_pb2.TellLoadResponse:
        """Tell how much of a load has arrived before."""
        async with self._refusing(context, "TellLoad"):
            header, sealed_key = wire.load_of(request.header)
            kept = await self._worker.run(lambda own: own.kept_of_load(header, sealed_key))
            return enclave_pb2.TellLoadResponse(kept=kept)

    async def TryFeature(  # noqa: N802
        self, request: enclave_pb2.TryFeatureRequest, context: Context
    ) -> enclave_pb2.TryFeatureResponse:
        """Try a feature's draft."""
        async with self._refusing(context, "TryFeature"):
            order = wire.trial_of(request)
            trial = await self._worker.run(lambda own: own.expect_trial(order))
            async with self._trials.turn(trial.approver):
                verdict = await to_its_end(self._tried(order))
            return enclave_pb2.TryFeatureResponse(sealed_verdict=verdict)

    async def _tried(self, order: Envelope) -> bytes:
        with closing(await self._worker.run(lambda own: own.begin_trial(order))) as trial:
            return await asyncio.to_thread(trial.verdict)

    async def RollbackStore(  # noqa: N802
        self, request: enclave_pb2.RollbackStoreRequest, context: Context
    ) -> enclave_pb2.RollbackStoreResponse:
        """Go back to an earlier snapshot; not while a load is under way."""
        async with self._refusing(context, "RollbackStore"), self._one_load:
            order = wire.rollback_order_of(request)
            job = await self._worker.run(lambda own: own.begin_rollback(order))
            built = await to_its_end(asyncio.to_thread(job.build))
            committed = self._worker.run(lambda own: own.commit_store(built))
            return wire.rollback_response(await to_its_end(committed))

    async def ListOutbox(  # noqa: N802
        self, request: enclave_pb2.ListOutboxRequest, context: Context
    ) -> enclave_pb2.ListOutboxResponse:
        """Give the entries that lack a proof."""
        async with self._refusing(context, "ListOutbox"):
            start = request.start
            return wire.list_outbox_response(await self._worker.run(lambda own: own.outbox(start)))

    async def _loaded(self, pieces: AsyncIterator[enclave_pb2.LoadRequest]) -> LoadReport:
        first = await anext(pieces, None)
        if first is None:
            raise SafeRoomError(Reason.MALFORMED, "a load without a header")
        header, sealed_key, kept = wire.load_header_of(first)
        job = await self._worker.run(lambda own: own.begin_load(header, sealed_key, kept))
        try:
            await to_its_end(asyncio.to_thread(job.take_up))
            async for piece in pieces:
                await to_its_end(asyncio.to_thread(job.add, wire.load_piece_of(piece)))
            return await self._built(job)
        finally:
            job.close()

    async def _built(self, job: LoadJob) -> LoadReport:
        # Shielded: a caller that goes away must not free what the thread is still reading.
        built = await to_its_end(asyncio.to_thread(job.build))
        if isinstance(built, LoadReport):
            return built
        committed = self._worker.run(lambda own: own.commit_store(built))
        entry = await to_its_end(committed)
        job.settled()
        return LoadReport(entry, built.sealed_links)

    async def _tell(self, where: Whereabouts) -> None:
        tick = await self._worker.run(lambda own: own.charter.charter.release_tick_milliseconds)
        self._tick_seconds = tick / 1000
        await self._changed(where.unlocked)

    @asynccontextmanager
    async def _refusing(self, context: Context, method: str) -> AsyncGenerator[None]:
        try:
            yield
        except Exception as error:  # noqa: BLE001 - `_refuse` ends the call whatever it was
            await self._refuse(context, method, error)

    async def _refuse(
        self, context: Context, method: str, error: Exception, request_id: str = ""
    ) -> NoReturn:
        """End a call with a refusal in the catalogue's words."""
        told = {"owner": self._owner} | ({"request_id": request_id} if request_id else {})
        await abort(context, self._refusal(method, error, request_id), told)

    def _refusal(self, method: str, error: Exception, request_id: str) -> SafeRoomError:
        """Log what failed in detail, and give what is told of it."""
        if isinstance(error, SafeRoomError) and error.reason is not Reason.INTERNAL:
            event = {"detail": error.detail}
            self._log.info("plain refusal", method=method, reason=str(error.reason), **event)
            return error
        self._log.error("failed", method=method, request=request_id, places=places(error))
        return SafeRoomError(Reason.INTERNAL)
