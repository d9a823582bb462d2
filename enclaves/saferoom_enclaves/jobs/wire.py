"""Jobs between protobuf messages and values."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Final

from saferoom_enclaves import wire
from saferoom_enclaves.jobs.kept import JobRecord
from saferoom_enclaves.jobs.peers import Papers
from saferoom_enclaves.journal import Judged
from saferoom_proto.dsse import Envelope
from saferoom_proto.job_channel import MOST_ROOM_ITEMS, PIECE_BYTES
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import JobOutcome, JobStep
from saferoom_proto.uscc import SUBJECT_BYTES
from saferoom_proto.v1 import enclave_pb2, job_pb2
from saferoom_proto.wire import envelope_from_proto

MOST_MESSAGE_BYTES: Final = 128 << 20
"""Of a sealed message. A million points have 32 MB, 300,000 rows of ten columns 90 MB; a child
holds each message to the length that its job's terms give it."""
MOST_ASK_BYTES: Final = MOST_ROOM_ITEMS * SUBJECT_BYTES + (64 << 10)
"""Of what another owner's enclave asks: it names at most so many subjects. A part of a model is
shorter by far: a column has some 200 bytes there, and what stood out in two at once as many."""

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


def cancel_of(request: enclave_pb2.EndJobRequest) -> Envelope | None:
    """Take an institution's word that a job ends off the wire; none if it is another's."""
    return envelope_from_proto(request.cancel) if request.HasField("cancel") else None


def elsewhere_of(request: enclave_pb2.EndJobRequest) -> tuple[Papers, Envelope]:
    """Take another enclave's word that a job has ended off the wire."""
    if not request.HasField("elsewhere"):
        raise SafeRoomError(Reason.MALFORMED, "no word that it ends")
    told = request.elsewhere
    return papers_of(told.papers), envelope_from_proto(told.release)


def papers_of(message: enclave_pb2.OwnerPapers) -> Papers:
    """Take off the wire what another owner's enclave is to be known by."""
    if not message.HasField("endorsement"):
        raise SafeRoomError(Reason.MALFORMED, "papers without an endorsement")
    return Papers(message.owner, envelope_from_proto(message.endorsement))


async def asked_of(
    pieces: AsyncIterator[enclave_pb2.GiveToJobRequest], place: Callable[[str], object]
) -> tuple[Papers, bytes]:
    """Take off the wire what another owner's enclave asks, and what that is to be known by.

    Args:
        pieces: as they come.
        place: has that owner take a place, or refuses: called before a second piece is kept.

    Raises:
        SafeRoomError: `TOO_LARGE`, `MALFORMED`; what `place` refuses with.
    """
    papers: Papers | None = None
    ask = bytearray()
    async for piece in pieces:
        if papers is None:
            papers = papers_of(piece.papers)
        if ask:
            place(papers.owner)
        ask += piece.data
        require_short(ask, MOST_ASK_BYTES)
    if papers is None:
        raise SafeRoomError(Reason.MALFORMED, "an ask begins with papers")
    return papers, bytes(ask)


def given_of(request: enclave_pb2.WorkOnJobRequest, owner: str) -> enclave_pb2.GivenPiece:
    """Read a piece of another enclave's answer."""
    if request.WhichOneof("said") != "given" or request.given.owner != owner:
        raise SafeRoomError(Reason.MALFORMED, f"an answer of {owner}'s enclave is waited for")
    return request.given


def require_short(sealed: bytearray, most: int) -> None:
    """Refuse with `TOO_LARGE` to hear more of a message."""
    if len(sealed) > most:
        detail = f"a message of more than {most} bytes"
        raise SafeRoomError(Reason.TOO_LARGE, detail)


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
    for data, last in _cut(sealed):
        piece = job_pb2.JobPiece(number=number, last=last, data=data)
        yield enclave_pb2.WorkOnJobResponse(message=piece)


def ask_pieces(owner: str, sealed: bytes) -> Iterator[enclave_pb2.WorkOnJobResponse]:
    """Cut an ask to another owner's enclave for the wire."""
    for data, last in _cut(sealed):
        piece = enclave_pb2.AskPiece(owner=owner, last=last, data=data)
        yield enclave_pb2.WorkOnJobResponse(ask=piece)


def answer_pieces(sealed: bytes) -> Iterator[enclave_pb2.GiveToJobResponse]:
    """Cut an answer to another owner's enclave for the wire."""
    for data, _ in _cut(sealed):
        yield enclave_pb2.GiveToJobResponse(data=data)


def _cut(sealed: bytes) -> Iterator[tuple[bytes, bool]]:
    for at in range(0, len(sealed), PIECE_BYTES):
        yield sealed[at : at + PIECE_BYTES], at + PIECE_BYTES >= len(sealed)


def ended(judged: Judged) -> enclave_pb2.WorkOnJobResponse:
    """Put the last word on a job on the wire."""
    return enclave_pb2.WorkOnJobResponse(ended=wire.outbox_entry(judged.entry))


def end_response(judged: Judged) -> enclave_pb2.EndJobResponse:
    """Put the last word on a job that was ended on the wire."""
    return enclave_pb2.EndJobResponse(entry=wire.outbox_entry(judged.entry))


def status(record: JobRecord, word: Judged | None) -> job_pb2.JobStatus:
    """Tell how a job stands."""
    # The round that is over is kept; the next one is under way.
    hosted = record.outcome is None and not record.host  # another's rounds are not known here
    under_way = hosted and record.step is JobStep.TRAINING
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
