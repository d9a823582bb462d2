"""Jobs between the room and an enclave: pieces that pass through, and what the enclave tells."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from saferoom.enclave_wire import fit_request, fitted_from, outbox_entry_from
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


@dataclass(frozen=True, slots=True)
class AskPart:
    """A piece of what an enclave asks of another owner's, which passes through sealed."""

    owner: str
    data: bytes
    last: bool


@dataclass(frozen=True, slots=True)
class GivenPart:
    """A piece of another owner's enclave's answer, which passes through sealed."""

    owner: str
    data: bytes
    last: bool


@dataclass(frozen=True, slots=True)
class OwnerPapers:
    """What an owner's enclave is to be known by: its endorsement in force."""

    owner: str
    endorsement: Envelope


@dataclass(frozen=True, slots=True)
class FitPiece:
    """A request for a training in the room on several owners' columns: it has no label side."""

    request: Envelope


JobTold = JobAnswer | AskPart | OutboxEntry | Judged
"""What an enclave says while it works on a job: pieces, and at last how the job ended.

Of a training in the room at last its word, with what is sealed to the asker.
"""
JobHeard = JobPiece | OwnerPapers | GivenPart | FitPiece
"""What an enclave hears while it works on a job."""


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


def work_request(heard: JobHeard) -> enclave_pb2.WorkOnJobRequest:
    """Pass a piece on as it came."""
    match heard:
        case OwnerPapers():
            return enclave_pb2.WorkOnJobRequest(papers=_papers(heard))
        case GivenPart():
            given = enclave_pb2.GivenPiece(owner=heard.owner, last=heard.last, data=heard.data)
            return enclave_pb2.WorkOnJobRequest(given=given)
        case FitPiece():
            return enclave_pb2.WorkOnJobRequest(fit=fit_request(heard.request))
        case _:
            return enclave_pb2.WorkOnJobRequest(piece=heard)


async def give_requests(
    papers: OwnerPapers, ask: AsyncIterator[bytes]
) -> AsyncIterator[enclave_pb2.GiveToJobRequest]:
    """Write what another owner's enclave asks, behind what that is to be known by."""
    yield enclave_pb2.GiveToJobRequest(papers=_papers(papers))
    async for data in ask:
        yield enclave_pb2.GiveToJobRequest(data=data)


def given_from(message: enclave_pb2.GiveToJobResponse) -> bytes:
    """Take a piece of an enclave's answer to another off the wire."""
    return message.data


def _papers(papers: OwnerPapers) -> enclave_pb2.OwnerPapers:
    return enclave_pb2.OwnerPapers(
        owner=papers.owner,
        endorsement=envelope_to_proto(papers.endorsement),
    )


def told_from(message: enclave_pb2.WorkOnJobResponse) -> JobTold:
    """Take off the wire what an enclave says while it works."""
    match message.WhichOneof("piece"):
        case "joined":
            return JobAnswer(job_pb2.TakePartResponse(joined=message.joined))
        case "message":
            return JobAnswer(job_pb2.TakePartResponse(message=message.message))
        case "ask":
            return AskPart(message.ask.owner, message.ask.data, message.ask.last)
        case "ended":
            return outbox_entry_from(message.ended)
        case "fitted":
            return fitted_from(message.fitted)
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


def end_as_request(papers: OwnerPapers, release: Envelope) -> enclave_pb2.EndJobRequest:
    """Write that a job has ended at another owner's enclave."""
    told = enclave_pb2.EndedElsewhere(release=envelope_to_proto(release), papers=_papers(papers))
    return enclave_pb2.EndJobRequest(elsewhere=told)
