"""JobService: jobs of joint training."""

# ruff: noqa: ARG002, N802 - the names and signatures are the contract's
from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Final, cast

from saferoom import wire
from saferoom.identity import current_caller
from saferoom.jobs import wire as job_wire
from saferoom.jobs.desk import Jobs
from saferoom.jobs.pieces import JobPiece
from saferoom.made import Made
from saferoom_proto.statements import FitRelease
from saferoom_proto.v1 import job_pb2, job_pb2_grpc


class JobService(job_pb2_grpc.JobServiceServicer):
    """Passes jobs on, and tells of them."""

    def __init__(self, jobs: Jobs, fits: Made[FitRelease]) -> None:
        self._jobs: Final = jobs
        self._fits: Final = fits

    async def SubmitJob(
        self, request: job_pb2.SubmitJobRequest, context: object
    ) -> job_pb2.SubmitJobResponse:
        """Ask for a job."""
        word = await self._jobs.submit(current_caller(), wire.envelope(request.request))
        return job_wire.submitted(word)

    async def TakePart(
        self, request_iterator: object, context: object
    ) -> AsyncIterator[job_pb2.TakePartResponse]:
        """Carry messages."""
        # An asyncio server gives an asyncio iterator.
        pieces = cast("AsyncIterator[JobPiece]", request_iterator)
        async with aclosing(self._jobs.take_part(current_caller(), pieces)) as told:
            async for each in told:
                yield job_wire.part(each)

    async def WatchJob(
        self, request: job_pb2.WatchJobRequest, context: object
    ) -> AsyncIterator[job_pb2.WatchJobResponse]:
        """Tell how a job stands."""
        async with aclosing(self._jobs.watch(current_caller(), request.job)) as told:
            async for status in told:
                yield job_pb2.WatchJobResponse(status=status)

    async def ListJobs(
        self, request: job_pb2.ListJobsRequest, context: object
    ) -> job_pb2.ListJobsResponse:
        """List jobs."""
        return job_pb2.ListJobsResponse(jobs=await self._jobs.list(current_caller()))

    async def CancelJob(
        self, request: job_pb2.CancelJobRequest, context: object
    ) -> job_pb2.CancelJobResponse:
        """End a job."""
        release = await self._jobs.cancel(current_caller(), wire.envelope(request.cancel))
        return job_pb2.CancelJobResponse(release=wire.recorded(release))

    async def TrainInRoom(
        self, request: job_pb2.TrainInRoomRequest, context: object
    ) -> job_pb2.TrainInRoomResponse:
        """Train on owners' columns."""
        asked = wire.envelope(request.request)
        return job_wire.trained(await self._fits.make(current_caller(), asked))
