"""What is kept of a job while it is under way, sealed row by row; and the little that stays."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import Field

from saferoom_enclaves.rowform import read_part
from saferoom_enclaves.state import State
from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import Reason
from saferoom_proto.statements import (
    Digest,
    Instant,
    JobOutcome,
    JobStep,
    Name,
    PrivacySpent,
    StoreState,
)
from saferoom_proto.statements.base import Base64, FeatureName, Part
from saferoom_proto.suite import suite_of

_RECORDS: Final = "job"
_PARTS: Final = "job_part"
MODELS: Final = "model"
"""The table of what stays of models: a salt, and the room's part as its child wrote it."""
_MODEL_LABEL: Final = b"saferoom model v1\0"
_Count = Annotated[int, Field(ge=0)]


class Kept(StrEnum):
    """A part of a job's state: it goes when the job ends."""

    CODES = "codes"
    """The room's subjects, as the alignment began with them. Of a job of several owners, once they
    are known, the common ones: a host asks for the others' columns again when it is started anew,
    and a giver gives them again; before, a giver's are those that its host has found there."""
    STATE = "state"
    """The child's, after the last message: the newest only."""
    OPENING = "opening"
    """The label side's first message of the training, which its state goes with."""
    COLUMNS = "columns"
    """The room's numbers, row by row."""
    ANSWER = "answer"
    """The last one: it is given again, and stays until the job's window is over."""
    PART = "part"
    """A giver's: its part of the model, with what its host told of the training, until the host has
    said that there is one."""


class JobRecord(Part):
    """How a job stands.

    Attributes:
        job: its digest.
        envelope: its request, as it was signed.
        institution, template, certificate: as the request says.
        agreement: under which it began.
        group: its institution's, when it began.
        secret: the channel's; empty once nothing more is to be said.
        columns: the names of the room's columns.
        recipes: how each feature was computed, by its name, in the template's order; a model
            reads what it was trained on.
        store: of which the room's side is.
        run: the how manieth it is in its period.
        privacy: what its bands were charged; none where none are told.
        began: when it was admitted.
        moved: when its last message was answered, or it ended.
        not_after: when its window is over.
        step: how far it is.
        next: the number of the first message that was not answered.
        last: the fingerprint of the message before it, opened; empty before the first.
        doubled: the fingerprint of the second half of its alignment, opened, once it came.
        rows: common subjects; 0 before they are known.
        round: the last one that is over; 0 before its end.
        rounds: the most.
        bytes_in, bytes_out: of sealed messages.
        broke: how often a child broke down over its message that is due.
        starts: how often an enclave that was started anew took it up.
        asks: how often other owners were to be asked, anew after each break, whom they hold, or
            for their columns.
        ended: the entry of the chain that is the last word on it.
        outcome: what became of it; none while it is under way.
        reason: why there is no model.
        host: of a job of several owners whose enclave has the room's side, where that is not this
            one; empty where it is. `secret` is then this owner's share of the key under which the
            host keeps its state, `last` the fingerprint of whom the host asked for, and then of
            whose columns were given.
    """

    job: Digest
    envelope: str
    institution: Name
    template: Digest
    certificate: Digest
    agreement: Digest
    group: Name
    secret: Base64
    columns: tuple[str, ...]
    recipes: dict[FeatureName, Digest] = Field(default_factory=dict)
    store: StoreState
    run: _Count
    privacy: PrivacySpent | None = None
    began: Instant
    moved: Instant
    not_after: Instant
    step: JobStep = JobStep.ALIGNMENT
    next: _Count = 0
    last: str = ""
    doubled: str = ""
    rows: _Count = 0
    round: _Count = 0
    rounds: _Count
    bytes_in: _Count = 0
    bytes_out: _Count = 0
    broke: _Count = 0
    starts: _Count = 0
    asks: _Count = 0
    ended: _Count | None = None
    outcome: JobOutcome | None = None
    reason: Reason | None = None
    host: Name | Literal[""] = ""

    @property
    def request(self) -> Envelope:
        """What its institution signed."""
        return Envelope.from_text(self.envelope)


class JobRows:
    """The rows of jobs.

    Args:
        state: the enclave's database, opened. What writes is done within its transactions.
    """

    def __init__(self, state: State) -> None:
        self._state: Final = state

    def all(self) -> dict[str, JobRecord]:
        """Read every job; outside of transactions."""
        records = (read_part(row.content, JobRecord) for row in self._state.found(_RECORDS))
        return {record.job: record for record in records}

    def write(self, record: JobRecord) -> None:
        """Write how a job stands."""
        key = self._state.cipher.find(_RECORDS, record.job)
        self._state.put(
            _RECORDS, key, record.model_dump_json().encode(), self._state.get(_RECORDS, key)
        )

    def put(self, job: str, kept: Kept, content: bytes) -> None:
        """Write a part, in the place of the one before."""
        key = self._key(job, kept)
        self._state.put(_PARTS, key, content, self._state.get(_PARTS, key))

    def get(self, job: str, kept: Kept) -> bytes:
        """Read a part; nothing if there is none."""
        row = self._state.get(_PARTS, self._key(job, kept))
        return b"" if row is None else row.content

    def wipe(self, job: str, *stays: Kept) -> None:
        """Empty every part but those that stay."""
        for kept in Kept:
            if kept not in stays and self.get(job, kept):
                self.put(job, kept, b"")

    def _key(self, job: str, kept: Kept) -> bytes:
        return self._state.cipher.find(_PARTS, job, kept)


def model_digest(job: str, kept: bytes) -> str:
    """Commit to a job's model, as it is kept: its salt keeps the weights from being guessed."""
    return suite_of(job).digest(_MODEL_LABEL + kept)
