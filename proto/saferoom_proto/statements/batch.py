"""A batch: one signed request about many subjects, and an enclave's one signed word on it."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field, model_validator

from saferoom_proto.batch import MOST_PARAMETERS, MOST_ROWS
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements.base import (
    Digest,
    Instant,
    Name,
    Nonce,
    Owner,
    Part,
    Payload,
    Purpose,
    Usage,
)
from saferoom_proto.statements.enclave import (
    ChainLink,
    Count,
    Outcome,
    StoreState,
    StreamPosition,
)
from saferoom_proto.statements.request import CheckRequest, ParameterValue, ReplyKey

LONGEST_WINDOW = timedelta(hours=24)
"""From not_before to not_after: a batch may be sent again all night until it is done."""

MOST_SPANS = 256
"""Spans in one release: a batch has at most 245 chunks."""

_Parameters = Annotated[dict[Owner, ParameterValue], Field(max_length=32)]


def _all_different(
    sets: tuple[dict[str, str | bool], ...],
) -> tuple[dict[str, str | bool], ...]:
    if any(one in sets[:at] for at, one in enumerate(sets)):
        raise ValueError("every set of parameters may stand once")
    return sets


class BatchRequest(Payload):
    """A check about many subjects, signed by an institution's key that the agreement names.

    The rows themselves travel beside it (`saferoom_proto.batch`); their root and number are what is
    signed. Each row names one of the sets of parameters by its place.
    """

    KIND: ClassVar[str] = "batch-request"
    SIGNED_BY: ClassVar[Usage] = Usage.INSTITUTION

    institution: Name
    template: Digest
    certificate: Digest
    params: Annotated[
        tuple[_Parameters, ...],
        Field(min_length=1, max_length=MOST_PARAMETERS),
        AfterValidator(_all_different),
    ]
    purpose: Purpose
    rows: Annotated[int, Field(ge=1, le=MOST_ROWS)]
    root: Digest
    """Of the Merkle tree over the rows, each under a blind of its own."""
    nonce: Nonce
    not_before: Instant
    not_after: Instant
    reply_key: ReplyKey
    """Made for this batch: each enclave seals one secret to it."""

    @model_validator(mode="after")
    def _in_order(self) -> BatchRequest:
        if not timedelta() < self.not_after - self.not_before <= LONGEST_WINDOW:
            raise ValueError("not_before is before not_after, by at most 24 hours")
        return self


class Span(Part):
    """Rows that follow each other and were judged on the same grounds."""

    rows: Annotated[int, Field(ge=1, le=MOST_ROWS)]
    charter: Digest
    agreement: Digest
    approvals: tuple[Digest, ...]
    """Empty if the rows were refused before they were looked at."""
    store: StoreState | None
    stream: StreamPosition
    """Where the enclave stood at the last of them."""


class BatchRelease(Payload):
    """An enclave's signed word on a batch: one root over what became of its rows.

    What became of a row is told to the asker alone; its leaf commits to it. How many were answered
    and refused depends on questions and consents only.
    """

    KIND: ClassVar[str] = "batch-release"
    SIGNED_BY: ClassVar[Usage] = Usage.ENCLAVE

    owner: Owner
    request: Digest
    institution: Name
    endorsement: Digest
    charter: Digest
    template: Digest
    certificate: Digest
    agreement: Digest
    outcome: Outcome
    """Refused: the batch as a whole, no row of which was looked at."""
    reason: Reason | None
    answered: Count
    refused: Count
    root: Digest | None
    spans: Annotated[tuple[Span, ...], Field(max_length=MOST_SPANS)]
    stream: StreamPosition
    chain: ChainLink
    time: Instant

    @model_validator(mode="after")
    def _whole(self) -> BatchRelease:
        answered = self.outcome is Outcome.ANSWERED
        if answered != (self.root is not None) or answered == (self.reason is not None):
            raise ValueError("a judged batch has a root and no reason; a refused one the reverse")
        if answered != bool(self.spans):
            raise ValueError("a judged batch has spans; a refused one has none")
        if sum(span.rows for span in self.spans) != self.answered + self.refused:
            raise ValueError("the spans hold every row that was answered or refused, and no other")
        return self

    def span_of(self, index: int) -> Span | None:
        """Give the grounds of a row by its index; none if there is no such row."""
        end = 0
        for span in self.spans:
            end += span.rows
            if index < end:
                return span
        return None


def row_question(request: BatchRequest, subject: str, parameters: int) -> CheckRequest:
    """Give the single question that a row amounts to, to be held to the same rules.

    Raises:
        SafeRoomError: `MALFORMED` for a row that names no set of parameters of its batch.
    """
    if not 0 <= parameters < len(request.params):
        raise SafeRoomError(Reason.MALFORMED, "a row names no parameters of its batch")
    # Its parts were checked where they came from: the request's, and the row's under its root.
    return CheckRequest.model_construct(
        room=request.room,
        institution=request.institution,
        template=request.template,
        certificate=request.certificate,
        subject=subject,
        params=request.params[parameters],
        purpose=request.purpose,
        nonce=request.nonce,
        not_before=request.not_before,
        not_after=request.not_after,
        reply_key=request.reply_key,
    )
