"""What a job under way stands on: that it may go on, the store it began with, rows enough."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from saferoom_enclaves.admit import Rules
from saferoom_enclaves.data import Data
from saferoom_enclaves.gate import Moment
from saferoom_enclaves.jobs.admit import AskedJob, admit_job, identify_job
from saferoom_enclaves.jobs.book import JobBook
from saferoom_enclaves.jobs.charge import ChargedJob, Runs
from saferoom_enclaves.jobs.kept import JobRecord
from saferoom_enclaves.jobs.partners import Partners
from saferoom_enclaves.jobs.uses import ApprovedTraining, ApprovedTrainings
from saferoom_enclaves.jobs.work import Columns, RefusedError
from saferoom_enclaves.journal import Judged
from saferoom_enclaves.requests import Seen
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import JobOutcome, JobRequest
from saferoom_proto.statements.training import MOST_ROWS, OWN_SUMS, SHARE_OF_ROWS
from saferoom_proto.uscc import SUBJECT_BYTES

MOST_NUMBERS: Final = 32 << 20
"""Rows times columns of the room's side: 256 MB."""
MOST_GIVEN: Final = 15 << 20
"""Rows times columns of any one giver: 120 MB, which with its seals is one message."""

_STOPPED: Final = frozenset({Reason.PAUSED, Reason.NOT_APPROVED, Reason.NO_AGREEMENT})
"""What ends a job under way in its owner's name."""


@dataclass(frozen=True, slots=True)
class JobGround:
    """What jobs under way are held to.

    Attributes:
        book: keeps how they stand.
        rules: what requests are held to.
        trainings: what the owner approved.
        runs: counted each when it began.
        data: the store.
        partners: what earlier jobs were trained on.
    """

    book: JobBook
    rules: Rules
    trainings: ApprovedTrainings
    runs: Runs
    data: Data
    partners: Partners

    def allowed(self, record: JobRecord, moment: Moment) -> ChargedJob | Judged:
        """Hold a job under way to what it was held to when it began; else end it."""
        try:
            asked = identify_job(record.request, self.rules.standing, moment.now)
            seen = Seen(None, nonce_taken=False)
            admitted = admit_job(asked, seen, self.rules, self.trainings, moment.now)
        except SafeRoomError as refusal:
            stopped = refusal.reason in _STOPPED
            outcome = JobOutcome.CANCELLED if stopped else JobOutcome.FAILED
            return self.book.end(record, outcome, refusal.reason, moment)
        return self.runs.recall(admitted, record.job, record.run, record.privacy)

    def ended(self, job: str) -> Judged | None:
        """Tell how a job ended while a child worked for it; none if it goes on."""
        record = self.book.stands(job)
        word = self.book.word(record)
        if word is not None:
            return word
        allowed = self.allowed(record, self.book.ready())
        return allowed if isinstance(allowed, Judged) else None

    def require_store(self, record: JobRecord) -> None:
        """Refuse with `CONFLICT` to go on with another store than the job began with."""
        if self.data.opened().state != record.store:
            raise RefusedError(Reason.CONFLICT, "the store was loaded anew: submit another job")

    def wanted(
        self, use: ApprovedTraining, asked: AskedJob, record: JobRecord, common: bytes
    ) -> Columns:
        """Let this owner's columns of the common subjects be read, if these are enough.

        Raises:
            RefusedError: `WITHHELD`: too few; `CONFLICT`: the store was loaded anew.
        """
        self.require_store(record)
        rows, columns = len(common) // SUBJECT_BYTES, len(use.columns)
        if not (
            are_enough(use, asked, common)
            and rows <= MOST_ROWS
            and rows * columns <= MOST_NUMBERS
            and rows * use.most_given <= MOST_GIVEN
        ):
            raise RefusedError(Reason.WITHHELD)
        opened = self.data.opened()
        return Columns(
            opened.held(),
            self.rules.standing.schemas[opened.schema].loaded,
            tuple(pinned.definition for pinned in use.features),
            common,
            len(use.told.columns),
        )


def are_enough(use: ApprovedTraining, asked: AskedJob, common: bytes) -> bool:
    """Tell whether there are as many common subjects as the template and the numbers ask."""
    rows, request = len(common) // SUBJECT_BYTES, asked.request
    if not isinstance(request, JobRequest):
        return rows >= use.training.least_rows
    numbers = max(request.columns + OWN_SUMS, len(use.columns)) * request.rounds
    trained = rows - use.held_out(rows)
    return rows >= use.training.least_rows and trained >= numbers * SHARE_OF_ROWS
