"""What members are told of jobs: an enclave's word only once it is recorded."""

from __future__ import annotations

from saferoom import wire
from saferoom.evidence import Recorded
from saferoom.job_pieces import JobAnswer
from saferoom_proto.v1 import job_pb2


def submitted(word: Recorded[bytes]) -> job_pb2.SubmitJobResponse:
    """Tell an asker an enclave's recorded word, with the channel's sealed secret."""
    return job_pb2.SubmitJobResponse(word=wire.recorded(word), sealed_channel=word.said)


def part(told: JobAnswer | Recorded[None]) -> job_pb2.TakePartResponse:
    """Tell a label side a piece, or the recorded end."""
    if isinstance(told, JobAnswer):
        return told.piece
    return job_pb2.TakePartResponse(ended=job_pb2.JobEnded(release=wire.recorded(told)))
