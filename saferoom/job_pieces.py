"""Jobs between the room and an enclave: pieces that pass through, and what the enclave tells."""

from __future__ import annotations

from dataclasses import dataclass

from saferoom.enclave_wire import outbox_entry_from
from saferoom.exchange import Judged, OutboxEntry
from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.v1 import enclave_pb2, job_pb2
from saferoom_proto.wire import envelope_to_proto

JobPiece = job_pb2.TakePartRequest
"""What a label side sends; it passes through the room as it came."""
JobStatus = job_pb2.JobStatus
"""How a job stands; likewise."""
ENDED = frozenset(
    {
        job_pb2.JOB_STATE_RELEASED,
        job_pb2.JOB_STATE_REFUSED,
        job_pb2.JOB_STATE_CANCELLED,
        job_pb2.JOB_STATE_FAILED,
    }
)
"""States that a job stays in."""


@dataclass(frozen=True, slots=True)
class JobAnswer:
    """A piece for the label side, which passes through as it came."""

    piece: job_pb2.TakePartResponse


JobTold = JobAnswer | OutboxEntry
"""What an enclave says while it works on a job: pieces, and at last how the job ended."""


def joined(piece: JobPiece) -> str:
    """Read which job a label side takes part in.

    Raises:
        SafeRoomError: `MALFORMED` if the piece does not say so.
    """
    if piece.WhichOneof("piece") != "join":
        raise SafeRoomError(Reason.MALFORMED, "taking part begins with the job's name")
    return piece.join.job


def begin_request(request: Envelope) -> enclave_pb2.BeginJobRequest:
    """Write a request for a job."""
    return enclave_pb2.BeginJobRequest(request=envelope_to_proto(request))


def begun_from(message: enclave_pb2.BeginJobResponse) -> Judged:
    """Take an enclave's word on a request for a job off the wire."""
    return Judged(outbox_entry_from(message.entry), message.sealed_channel)


def work_request(piece: JobPiece) -> enclave_pb2.WorkOnJobRequest:
    """Pass a piece on as it came."""
    return enclave_pb2.WorkOnJobRequest(piece=piece)


def told_from(message: enclave_pb2.WorkOnJobResponse) -> JobTold:
    """Take off the wire what an enclave says while it works."""
    match message.WhichOneof("piece"):
        case "joined":
            return JobAnswer(job_pb2.TakePartResponse(joined=message.joined))
        case "message":
            return JobAnswer(job_pb2.TakePartResponse(message=message.message))
        case "ended":
            return outbox_entry_from(message.ended)
        case _:
            raise SafeRoomError(Reason.INTERNAL, "the enclave tells nothing known")


def tell_request(job: str) -> enclave_pb2.TellJobsRequest:
    """Ask for a job's state; for all of them without a name."""
    return enclave_pb2.TellJobsRequest(job=job)


def statuses_from(message: enclave_pb2.TellJobsResponse, owner: str) -> list[JobStatus]:
    """Take jobs off the wire, as those of the enclave that told of them."""
    jobs = list(message.jobs)
    for each in jobs:
        each.owner = owner
    return jobs


def end_request(cancel: Envelope) -> enclave_pb2.EndJobRequest:
    """Write an institution's word that a job ends."""
    return enclave_pb2.EndJobRequest(cancel=envelope_to_proto(cancel))
