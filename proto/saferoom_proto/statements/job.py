"""A job of joint training: who asks for it, that it may begin, and what became of it."""

from __future__ import annotations

import operator
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from saferoom_proto.reasons import Reason
from saferoom_proto.statements.base import (
    Digest,
    Instant,
    Name,
    Nonce,
    OutsideDigest,
    Owner,
    Payload,
    Purpose,
    Text,
    Usage,
)
from saferoom_proto.statements.enclave import ChainLink, Count, StoreState, StreamPosition
from saferoom_proto.statements.feature import Number
from saferoom_proto.statements.request import ReplyKey
from saferoom_proto.statements.tables import PrivacySpent
from saferoom_proto.statements.training import MOST_COLUMNS, MOST_ROUNDS

FEWEST_ITEMS = 100
"""Below this a label side's set could be about single subjects."""
MOST_ITEMS = 1_000_000
"""Of the label side: a set is blinded item by item, some 0.1 ms each."""
LONGEST_WINDOW = timedelta(days=7)
"""From not_before to not_after: a job may be taken up again as long."""


class JobRequest(Payload):
    """A job of joint training, signed by an institution's key that the agreement names.

    Its digest is the job's name. The rows themselves stay with the label side.
    """

    KIND: ClassVar[str] = "job-request"
    SIGNED_BY: ClassVar[Usage] = Usage.INSTITUTION

    institution: Name
    template: Digest
    certificate: Digest
    purpose: Purpose
    items: Annotated[int, Field(ge=FEWEST_ITEMS, le=MOST_ITEMS)]
    """How many subjects the label side's set has."""
    commitment: OutsideDigest
    """To that set, as it will be sent, blinded: another one is refused."""
    columns: Annotated[int, Field(ge=1, le=MOST_COLUMNS)]
    """The label side's."""
    inverse_ridge: Annotated[Number, Field(gt=0)]
    rank: Literal[2, 4, 6, 8]
    """Products into which the logistic function is split; more is more exact, and slower."""
    rounds: Annotated[int, Field(ge=1, le=MOST_ROUNDS)]
    """The most."""
    nonce: Nonce
    not_before: Instant
    not_after: Instant
    channel_key: ReplyKey
    """Made for this job: the channel's secret is sealed to it."""

    @model_validator(mode="after")
    def _in_order(self) -> JobRequest:
        if not timedelta() < self.not_after - self.not_before <= LONGEST_WINDOW:
            raise ValueError("not_before is before not_after, by at most 7 days")
        return self


class JobCancel(Payload):
    """An institution ends a job of its own."""

    KIND: ClassVar[str] = "job-cancel"
    SIGNED_BY: ClassVar[Usage] = Usage.INSTITUTION

    institution: Name
    owner: Owner
    """Whose enclave has it."""
    job: Digest
    why: Text
    at: Instant


class JobOutcome(StrEnum):
    """What became of a job."""

    RELEASED = "released"
    """There is a model: each side has its own weights."""
    REFUSED = "refused"
    """It may not begin; or, without a word on why, what was found withheld it."""
    CANCELLED = "cancelled"
    """Its institution or its owner ended it."""
    FAILED = "failed"
    """It could not go on."""


class JobStep(StrEnum):
    """How far a job came."""

    ADMISSION = "admission"
    ALIGNMENT = "alignment"
    TRAINING = "training"


class JobAdmission(Payload):
    """An enclave's signed word that a job may begin: from here on it counts as a run."""

    KIND: ClassVar[str] = "job-admission"
    SIGNED_BY: ClassVar[Usage] = Usage.ENCLAVE

    owner: Owner
    request: Digest
    institution: Name
    endorsement: Digest
    charter: Digest
    template: Digest
    certificate: Digest
    approvals: Annotated[tuple[Digest, ...], Field(min_length=1)]
    agreement: Digest
    stream: StreamPosition
    store: StoreState
    """The room's columns are of this store, whatever is loaded meanwhile."""
    columns: Annotated[int, Field(ge=1, le=MOST_COLUMNS)]
    """The room's."""
    channel: Digest
    """Commits to the channel's secret, which goes beside this, sealed to the label side."""
    run: Annotated[int, Field(ge=1)]
    """The how manieth it is in its period."""
    chain: ChainLink
    time: Instant
    privacy: Annotated[PrivacySpent | None, Field(exclude_if=operator.not_)] = None
    """Where rows held out are counted: what this job is charged, whatever becomes of it, and what
    bands of this owner's models told its asker's group in the period."""

    @model_validator(mode="after")
    def _charged(self) -> JobAdmission:
        if self.privacy is not None and not self.privacy.within:
            raise ValueError("a job begins within the cap of what bands may tell")
        return self


class JobRelease(Payload):
    """An enclave's signed word on how a job ended, and what it let out beside the messages.

    The room's weights are not here: `model` commits to them, under a salt that stays with them.
    """

    KIND: ClassVar[str] = "job-release"
    SIGNED_BY: ClassVar[Usage] = Usage.ENCLAVE

    owner: Owner
    request: Digest
    institution: Name
    endorsement: Digest
    charter: Digest
    template: Digest
    certificate: Digest
    approvals: tuple[Digest, ...]
    agreement: Digest
    stream: StreamPosition
    store: StoreState | None
    outcome: JobOutcome
    ended_in: JobStep
    reason: Reason | None
    """Why there is no model; none if its institution cancelled it."""
    cancel: Digest | None
    """The institution's word that ended it."""
    rows: Count | None
    """How many were trained on, in tens."""
    rounds: Count | None
    converged: bool | None
    model: Digest | None
    chain: ChainLink
    time: Instant

    @model_validator(mode="after")
    def _whole(self) -> JobRelease:
        released = self.outcome is JobOutcome.RELEASED
        if released != (self.model is not None):
            raise ValueError("a released job has a model, and no other has")
        if released and (self.store is None or not self.approvals):
            raise ValueError("a released job names its approvals and its store")
        if self.outcome is JobOutcome.CANCELLED:
            if (self.reason is None) == (self.cancel is None):
                raise ValueError("a cancelled job names who ended it, or the reason")
        elif self.cancel is not None or released != (self.reason is None):
            raise ValueError(
                "a job without a model has a reason, and only a cancelled one a cancel"
            )
        if not released and (self.rounds, self.converged) != (None, None):
            raise ValueError("rounds and convergence are told of a released job alone")
        return self
