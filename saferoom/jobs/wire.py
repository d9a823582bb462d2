"""What members are told of jobs: an enclave's word only once it is recorded."""

from __future__ import annotations

from saferoom import wire
from saferoom.evidence import Recorded
from saferoom.jobs.desk import Submitted
from saferoom.jobs.pieces import JobAnswer
from saferoom.made import Told
from saferoom_proto.statements import FitRelease
from saferoom_proto.v1 import job_pb2


def submitted(told: Submitted) -> job_pb2.SubmitJobResponse:
    """Tell an asker enclaves' recorded words, with the channel's sealed secret."""
    return job_pb2.SubmitJobResponse(
        word=wire.recorded(told.word),
        sealed_channel=told.word.said,
        others=[wire.recorded(each) for each in told.others],
    )


def trained(told: Told[FitRelease]) -> job_pb2.TrainInRoomResponse:
    """Tell an asker what became of a training in the room."""
    response = job_pb2.TrainInRoomResponse(
        sealed=told.sealed, others=[wire.recorded(each) for each in told.others]
    )
    if told.word is not None:
        response.release.CopyFrom(wire.recorded(told.word))
    return response


def part(told: JobAnswer | Recorded[None]) -> job_pb2.TakePartResponse:
    """Tell a label side a piece, or the recorded end."""
    if isinstance(told, JobAnswer):
        return told.piece
    return job_pb2.TakePartResponse(ended=job_pb2.JobEnded(release=wire.recorded(told)))
