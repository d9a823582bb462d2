"""Trainings in the room over gRPC: one at a time, beside the work.

Over several owners' columns the host's enclave asks the others' while it trains; the room carries
what they say to each other, sealed, as in a joint training.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from functools import partial
from typing import Final

from saferoom_enclaves import wire
from saferoom_enclaves.fits.desk import BegunFit
from saferoom_enclaves.fits.gate import SealedFit, whole_model
from saferoom_enclaves.fits.work import Beside
from saferoom_enclaves.jobs.between import Kept
from saferoom_enclaves.jobs.hosting import OtherEndedError
from saferoom_enclaves.jobs.line import Line
from saferoom_enclaves.jobs.others import Joint, Others, chosen, side_by_side
from saferoom_enclaves.journal import Judged
from saferoom_enclaves.made_calls import MadeCalls
from saferoom_enclaves.worker import Worker
from saferoom_proto.reasons import Reason
from saferoom_proto.statements.training import MOST_ROWS
from saferoom_proto.uscc import SUBJECT_BYTES
from saferoom_proto.v1 import enclave_pb2

Trainings = MadeCalls[BegunFit, SealedFit | Reason]
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
        self._made: Final[Trainings] = MadeCalls(
            worker, tick, lambda own: own.jobs.fits, BegunFit.make_alone, "trainings"
        )

    async def answer(self, request: enclave_pb2.FitModelRequest) -> enclave_pb2.FitModelResponse:
        """Train on this owner's columns alone.

        Raises:
            SafeRoomError: a plain refusal.
        """
        return wire.fit_response(await self._made.answer(wire.fit_of(request)))

    async def work_on(
        self, request: enclave_pb2.FitModelRequest, line: Line
    ) -> AsyncGenerator[enclave_pb2.WorkOnJobResponse]:
        """Train on several owners' columns, and ask the others' enclaves for theirs meanwhile.

        Raises:
            SafeRoomError: a plain refusal.
        """
        beside = partial(self._beside, Others(self._worker, line))
        working: asyncio.Future[Judged] = asyncio.ensure_future(
            self._made.answer(wire.fit_of(request), beside)
        )
        try:
            async for ask in line.asks(working):
                yield ask
        finally:
            line.stop()
        fitted = wire.fit_response(working.result())
        yield enclave_pb2.WorkOnJobResponse(fitted=fitted)

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
