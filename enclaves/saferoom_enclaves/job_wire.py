"""Jobs between protobuf messages and values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from saferoom_enclaves import wire
from saferoom_enclaves.job_kept import JobRecord
from saferoom_enclaves.journal import Judged
from saferoom_proto.dsse import Envelope
from saferoom_proto.job_channel import PIECE_BYTES
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import JobOutcome, JobStep
from saferoom_proto.v1 import enclave_pb2, job_pb2
from saferoom_proto.wire import envelope_from_proto

_OUTCOMES: Final = {
    JobOutcome.RELEASED: job_pb2.JOB_STATE_RELEASED,
    JobOutcome.REFUSED: job_pb2.JOB_STATE_REFUSED,
    JobOutcome.CANCELLED: job_pb2.JOB_STATE_CANCELLED,
    JobOutcome.FAILED: job_pb2.JOB_STATE_FAILED,
}
_STEPS: Final = {
    JobStep.ADMISSION: job_pb2.JOB_STATE_ALIGNING,
    JobStep.ALIGNMENT: job_pb2.JOB_STATE_ALIGNING,
    JobStep.TRAINING: job_pb2.JOB_STATE_TRAINING,
}


def request_of(request: enclave_pb2.BeginJobRequest) -> Envelope:
    """Take a request for a job off the wire."""
    if not request.HasField("request"):
        raise SafeRoomError(Reason.MALFORMED, "no request")
    return envelope_from_proto(request.request)


def cancel_of(request: enclave_pb2.EndJobRequest) -> Envelope:
    """Take an institution's word that a job ends off the wire."""
    if not request.HasField("cancel"):
        raise SafeRoomError(Reason.MALFORMED, "no cancel")
    return envelope_from_proto(request.cancel)


def joined_of(request: enclave_pb2.WorkOnJobRequest) -> str:
    """Read which job a label side takes part in."""
    if request.piece.WhichOneof("piece") != "join":
        raise SafeRoomError(Reason.MALFORMED, "taking part begins with the job's name")
    return request.piece.join.job


def piece_of(request: enclave_pb2.WorkOnJobRequest) -> job_pb2.JobPiece:
    """Read a piece of a message."""
    if request.piece.WhichOneof("piece") != "message":
        raise SafeRoomError(Reason.MALFORMED, "messages follow the job's name")
    return request.piece.message


def begun(judged: Judged) -> enclave_pb2.BeginJobResponse:
    """Put the word on a request on the wire."""
    return enclave_pb2.BeginJobResponse(
        entry=wire.outbox_entry(judged.entry), sealed_channel=judged.sealed
    )


def joined(record: JobRecord) -> enclave_pb2.WorkOnJobResponse:
    """Tell where a job stands."""
    return enclave_pb2.WorkOnJobResponse(joined=job_pb2.JobJoined(next=record.next))


def pieces(number: int, sealed: bytes) -> Iterator[enclave_pb2.WorkOnJobResponse]:
    """Cut a sealed message for the wire."""
    for at in range(0, len(sealed), PIECE_BYTES):
        data = sealed[at : at + PIECE_BYTES]
        piece = job_pb2.JobPiece(number=number, last=at + PIECE_BYTES >= len(sealed), data=data)
        yield enclave_pb2.WorkOnJobResponse(message=piece)


def ended(judged: Judged) -> enclave_pb2.WorkOnJobResponse:
    """Put the last word on a job on the wire."""
    return enclave_pb2.WorkOnJobResponse(ended=wire.outbox_entry(judged.entry))


def end_response(judged: Judged) -> enclave_pb2.EndJobResponse:
    """Put the last word on a job that was ended on the wire."""
    return enclave_pb2.EndJobResponse(entry=wire.outbox_entry(judged.entry))


def status(record: JobRecord, word: Judged | None) -> job_pb2.JobStatus:
    """Tell how a job stands."""
    # The round that is over is kept; the next one is under way.
    under_way = record.outcome is None and record.step is JobStep.TRAINING
    return job_pb2.JobStatus(
        job=record.job,
        institution=record.institution,
        template=record.template,
        state=_STEPS[record.step] if record.outcome is None else _OUTCOMES[record.outcome],
        messages=record.next,
        round=min(record.round + under_way, record.rounds),
        rounds=record.rounds,
        bytes_in=record.bytes_in,
        bytes_out=record.bytes_out,
        began=int(record.began.timestamp() * 1000),
        moved=int(record.moved.timestamp() * 1000),
        reason="" if record.reason is None else str(record.reason),
        release="" if word is None else word.entry.statement.digest,
    )
