"""What an institution asks: a check, a batch of them, its price, tables, a list, a job."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import (
    BatchRequest,
    CheckRequest,
    CostRequest,
    FitRequest,
    JobRequest,
    ListRequest,
    TableRequest,
    load,
)

Question = (
    CheckRequest | BatchRequest | CostRequest | TableRequest | JobRequest | FitRequest | ListRequest
)
OfNobody = BatchRequest | TableRequest | JobRequest | FitRequest | ListRequest
"""Questions that name no subject, or name it in their rows."""

_KINDS: Final[tuple[type[Question], ...]] = (
    CheckRequest,
    BatchRequest,
    CostRequest,
    TableRequest,
    JobRequest,
    FitRequest,
    ListRequest,
)
_BY_TYPE: Final[Mapping[str, type[Question]]] = MappingProxyType(
    {kind.payload_type(): kind for kind in _KINDS}
)


def open_question(envelope: Envelope) -> Question:
    """Open a question, whichever it is; its signature is the caller's to verify.

    Raises:
        SafeRoomError: `MALFORMED`, also for what is no question.
    """
    kind = _BY_TYPE.get(envelope.payload_type)
    if kind is None:
        raise SafeRoomError(Reason.MALFORMED, f"a {envelope.payload_type} is no question")
    return load(envelope, kind)


def subject_of(question: Question) -> str | None:
    """Give whom a question is about; a batch names its subjects in its rows, others nobody."""
    if isinstance(question, OfNobody):
        return None
    return question.subject
