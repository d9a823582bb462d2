"""What the room reads of a question and of an enclave's word on it: as much as it goes by.

Both are read whole and strictly by those who rely on them, the enclave and the asker. The room
routes the one and records the other; reading them whole took a fifth of its time for a check.
"""

from __future__ import annotations

from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from saferoom_proto.batch import MOST_ROWS
from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements import (
    BatchRequest,
    CheckRequest,
    CostRequest,
    Digest,
    FitRequest,
    JobRequest,
    ListRequest,
    Name,
    Outcome,
    Purpose,
    Release,
    TableRequest,
)
from saferoom_proto.statements.base import field_faults

_ShortText = Annotated[str, StringConstraints(max_length=1000)]


class _Gist(BaseModel):
    # What else stands there is for others to judge.
    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")


class RequestGist(_Gist):
    """Who asks about whom, by which template and certificate, for which purpose."""

    room: _ShortText
    institution: Name
    template: Digest
    certificate: Digest
    subject: _ShortText
    purpose: Purpose


class BatchGist(RequestGist):
    """The same of a batch, which names its subjects in its rows; and how many those are."""

    subject: _ShortText = ""
    rows: Annotated[int, Field(ge=1, le=MOST_ROWS)]


class JobGist(RequestGist):
    """The same of a job, which is about nobody alone."""

    subject: _ShortText = ""


class TableGist(RequestGist):
    """The same of a request for tables or a list, which name nobody."""

    subject: _ShortText = ""


class ReleaseGist(_Gist):
    """Whose word it is, on which request, and what became of it."""

    room: _ShortText
    owner: _ShortText
    request: Digest
    institution: Name
    endorsement: Digest
    consent: Digest | None
    outcome: Outcome
    reason: Reason | None


G = TypeVar("G", bound=_Gist)


def request_gist(envelope: Envelope) -> RequestGist:
    """Read what the room goes by in a question.

    Raises:
        SafeRoomError: `MALFORMED`; the faults name the fields.
    """
    return _read(envelope, CheckRequest.payload_type(), RequestGist)


def cost_gist(envelope: Envelope) -> RequestGist:
    """Read the same in a request for what a question would cost.

    Raises:
        SafeRoomError: `MALFORMED`; the faults name the fields.
    """
    return _read(envelope, CostRequest.payload_type(), RequestGist)


def batch_gist(envelope: Envelope) -> BatchGist:
    """Read what the room goes by in a batch.

    Raises:
        SafeRoomError: `MALFORMED`; the faults name the fields.
    """
    return _read(envelope, BatchRequest.payload_type(), BatchGist)


def job_gist(envelope: Envelope) -> JobGist:
    """Read what the room goes by in a request for a job.

    Raises:
        SafeRoomError: `MALFORMED`; the faults name the fields.
    """
    return _read(envelope, JobRequest.payload_type(), JobGist)


def table_gist(envelope: Envelope) -> TableGist:
    """Read what the room goes by in a request for tables.

    Raises:
        SafeRoomError: `MALFORMED`; the faults name the fields.
    """
    return _read(envelope, TableRequest.payload_type(), TableGist)


def list_gist(envelope: Envelope) -> TableGist:
    """Read what the room goes by in a request for a page of a list.

    Raises:
        SafeRoomError: `MALFORMED`; the faults name the fields.
    """
    return _read(envelope, ListRequest.payload_type(), TableGist)


def fit_gist(envelope: Envelope) -> JobGist:
    """Read what the room goes by in a request for a training in the room.

    Raises:
        SafeRoomError: `MALFORMED`; the faults name the fields.
    """
    return _read(envelope, FitRequest.payload_type(), JobGist)


def release_gist(envelope: Envelope) -> ReleaseGist:
    """Read what the room goes by in an enclave's word; who signed it is the caller's to verify.

    Raises:
        SafeRoomError: `MALFORMED`; the faults name the fields.
    """
    return _read(envelope, Release.payload_type(), ReleaseGist)


def _read(envelope: Envelope, payload_type: str, kind: type[G]) -> G:
    if envelope.payload_type != payload_type:
        fault = FieldFault("payloadType", f"expected {payload_type}")
        raise SafeRoomError(Reason.MALFORMED, fault.rule, [fault])
    try:
        return kind.model_validate_json(envelope.payload)
    except ValidationError as error:
        raise SafeRoomError(Reason.MALFORMED, payload_type, field_faults(error)) from None
