"""Trainings in the room over gRPC: one at a time, beside the work.

Over several owners' columns the host's enclave asks the others' while it trains; the room carries
what they say to each other, sealed, as in a joint training. Whoever asked for one may end it: one
that waits for its turn waits no more, and the child of one that is under way is killed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from functools import partial
from typing import Final

from saferoom_enclaves import wire
from saferoom_enclaves.enclave import Enclave
from saferoom_enclaves.fits.desk import BegunFit
from saferoom_enclaves.fits.gate import SealedFit, whole_model
from saferoom_enclaves.fits.under_way import FitsUnderWay, FitUnderWay
from saferoom_enclaves.fits.work import Beside
from saferoom_enclaves.jobs.between import Kept
from saferoom_enclaves.jobs.hosting import OtherEndedError
from saferoom_enclaves.jobs.line import Line
from saferoom_enclaves.jobs.others import Joint, Others, chosen, side_by_side
from saferoom_enclaves.journal import Judged
from saferoom_enclaves.made_calls import MadeCalls
from saferoom_enclaves.worker import Worker
from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import Reason
from saferoom_proto.statements import JobCancel, load
from saferoom_proto.statements.training import MOST_ROWS
from saferoom_proto.uscc import SUBJECT_BYTES
from saferoom_proto.v1 import enclave_pb2

Trainings = MadeCalls[BegunFit, SealedFit | Reason]
_Making = Callable[[BegunFit], Awaitable[SealedFit | Reason | None]]
_ONE_ROUND: Final = Kept(rounds=1, converged=True, asks=0)
"""What a giver is told of the training: there are no messages, and no rounds of them."""


class FitCalls:
    """Serves trainings in the room.

    Args:
        worker: has the enclave do one thing at a time.
        tick: waits for the next release tick.
    """

    def __init__(self, worker: Worker, tick: Callable[[], Awaitable[None]]) -> None:
        self._worker: Final = worker
        self._tick: Final = tick
        self._made: Final[Trainings] = MadeCalls(
            worker, tick, lambda own: own.jobs.fits, BegunFit.make_alone, "trainings"
        )
        self.under_way: Final = FitsUnderWay()
        """How they stand."""

    async def answer(self, request: enclave_pb2.FitModelRequest) -> enclave_pb2.FitModelResponse:
        """Train on this owner's columns alone.

        Raises:
            SafeRoomError: a plain refusal.
        """

        async def alone(begun: BegunFit) -> SealedFit | None:
            return await asyncio.to_thread(begun.make_alone)

        return wire.fit_response(await self._answer(wire.fit_of(request), alone))

    async def work_on(
        self, request: enclave_pb2.FitModelRequest, line: Line
    ) -> AsyncGenerator[enclave_pb2.WorkOnJobResponse]:
        """Train on several owners' columns, and ask the others' enclaves for theirs meanwhile.

        Raises:
            SafeRoomError: a plain refusal.
        """
        beside = partial(self._beside, Others(self._worker, line))
        working: asyncio.Future[Judged] = asyncio.ensure_future(
            self._answer(wire.fit_of(request), beside, line)
        )
        async with aclosing(line.asks(working)) as asks:
            async for ask in asks:
                yield ask
        fitted = wire.fit_response(working.result())
        yield enclave_pb2.WorkOnJobResponse(fitted=fitted)

    async def end(self, order: Envelope) -> Judged | None:
        """End a training by its institution's word: what waits or is under way is given up.

        Returns:
            The word on it, whatever that is; none for one that is unknown here.

        Raises:
            SafeRoomError: as `FitDesk.cancel`.
        """
        fit = self.under_way.find(load(order, JobCancel).job)
        if fit is None:
            return None
        envelope = fit.asked.envelope
        word = await self._worker.run(lambda own: own.jobs.fits.cancel(order, envelope, fit.begun))
        fit.word = word
        fit.give_up()
        return word

    async def _answer(self, envelope: Envelope, make: _Making, line: Line | None = None) -> Judged:
        """Answer a request; it can be looked at and ended meanwhile."""

        def expected(own: Enclave) -> Judged | FitUnderWay:
            asked = own.jobs.fits.expect(envelope)
            return (
                asked if isinstance(asked, Judged) else FitUnderWay(asked, own.jobs.fits.now, line)
            )

        # Step 1: whoever asks the same again waits for the end of what is under way.
        await self.under_way.wait_for(envelope.digest)
        fit = await self._worker.run(expected)
        if isinstance(fit, Judged):
            await self._tick()
            return fit
        if fit.asked.request.price:  # no job, and nothing waits
            return await self._made.answer(envelope, make)
        await self.under_way.wait_for(envelope.digest)
        # Step 2: it waits for its turn, and is carried out.
        fit.working = asyncio.ensure_future(
            self._made.answer(envelope, partial(self._begun, fit, make))
        )
        self.under_way.add(fit)
        try:
            fit.word = await fit.working
        except BaseException:
            if fit.word is None:  # else its institution ended it
                self.under_way.drop(fit)
                raise
        return fit.word

    @staticmethod
    async def _begun(fit: FitUnderWay, make: _Making, begun: BegunFit) -> SealedFit | Reason | None:
        """Have a model fitted, unless it was ended just now."""
        fit.begun = begun
        return None if fit.word is not None else await make(begun)

    async def _beside(self, others: Others, begun: BegunFit) -> SealedFit | Reason | None:
        """Have a model fitted beside what others give; the reason if one of them ended it."""
        charged = begun.charged
        joint = Joint(
            charged.admitted.asked.job,
            charged.admitted.asked.request.certificate,
            charged.admitted.use.others,
            MOST_ROWS,
            lambda _: None,  # it is asked once, or anew with the whole request
        )
        # Step 1: before anything is known: that it waits tells nothing of who is common.
        others.require_all(joint)
        try:
            # Step 2: whom all hold. Too few here are nobody: the others are asked all the same.
            found = begun.enough(await asyncio.to_thread(begun.find))
            common = begun.enough(chosen(found, await others.held(joint, found)))
            if not common:
                return None
            # Step 3: their columns, each after it judged for itself what is trained on.
            brought = await others.columns(joint, common)
            rows = len(common) // SUBJECT_BYTES
            columns = await asyncio.to_thread(side_by_side, b"", rows, brought)
            sealed = await asyncio.to_thread(begun.make, Beside(common, columns))
            # Step 4: each keeps its part, if it still allows it, for when this enclave says so.
            model = None if sealed is None else whole_model(sealed)
            if model is not None:
                await others.keep(joint, _ONE_ROUND, model)
        except OtherEndedError as ended:
            _, reason = ended.ending
            return None if reason is Reason.WITHHELD else reason
        return sealed
