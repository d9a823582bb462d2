"""The course of a job at an enclave: one message after another, each answered once.

The steps are those of `docs/joint-training.md`, *Through the room*. A message is opened here and
read in a child; what came of it is kept, durably, before its answer leaves. The same message again
is given the same answer.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from saferoom_enclaves.gate import Moment
from saferoom_enclaves.jobs.book import ended_as
from saferoom_enclaves.jobs.charge import ChargedJob
from saferoom_enclaves.jobs.gate import Course, execute_job
from saferoom_enclaves.jobs.ground import JobGround, are_enough
from saferoom_enclaves.jobs.kept import JobRecord, Kept
from saferoom_enclaves.jobs.partners import TrainedOn
from saferoom_enclaves.jobs.work import Aligned, Columns, RefusedError, Trained
from saferoom_enclaves.journal import Judged
from saferoom_proto.encoding import unb64
from saferoom_proto.job_channel import Direction, open_message
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import JobOutcome, JobStep
from saferoom_proto.uscc import SUBJECT_BYTES

OPENING: Final = 2
"""The first message of the training; the two before it align."""
MOST_BREAKS: Final = 3
"""A child that breaks down over one message so often does so because of it."""
MOST_STARTS: Final = 20
"""Each time that an enclave which was started anew takes a job up is an entry of its chain, so that
an older copy is noticed; this bounds what one could answer a second time in between."""
MOST_ASKS: Final = 300
"""A child talks for an hour, so a job of seven days asks other owners 170 times. Each time an
enclave reads and seals up to 120 MB, and answers nobody meanwhile."""


@dataclass(frozen=True, slots=True)
class Due:
    """A message that is due, opened: whose job it is, and what its child works on."""

    record: JobRecord
    charged: ChargedJob
    message: bytes


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer, sealed to the label side; and the last word on the job, if it has ended."""

    number: int
    sealed: bytes
    ended: Judged | None


class JobCourse:
    """Carries jobs on.

    Args:
        ground: what they are held to.
    """

    def __init__(self, ground: JobGround) -> None:
        self._ground: Final = ground
        self._book: Final = ground.book
        self._carried: Final = set[str]()
        """Jobs that this start of the enclave has begun or taken up."""

    def carries(self, job: str) -> None:
        """Take note that a job is this start's."""
        self._carried.add(job)

    def take(self, job: str, number: int, sealed: bytes) -> Due | Answered:
        """Open a message: the one that is due, or the one before it once more.

        Raises:
            SafeRoomError: `BAD_SEAL` for what does not open at its place; `CONFLICT` for another
                place; a plain refusal. A job that may not go on is ended, and its word answered.
        """
        record = self._book.stands(job)
        moment = self._book.ready()
        if record.host:
            raise SafeRoomError(Reason.CONFLICT, f"its messages go to the enclave of {record.host}")
        if record.ended is not None:
            return self._again(record, number, sealed)
        # Step 1: the job may go on, as it may begin.
        charged = self._ground.allowed(record, moment)
        if isinstance(charged, Judged):
            return Answered(number, b"", charged)
        if number + 1 == record.next:
            return self._again(record, number, sealed)
        if number != record.next:
            raise SafeRoomError(Reason.CONFLICT, f"message {number}; {record.next} is due")
        # Step 2: the message is its label side's, for this place.
        message = open_message(unb64(record.secret), record.job, Direction.TO_ROOM, number, sealed)
        # Step 3: an enclave that was started anew says so in its chain, before it answers anything.
        if job not in self._carried:
            if record.starts >= MOST_STARTS:
                reason = Reason.OVER_BUDGET
                ended = self._book.end(record, JobOutcome.FAILED, reason, moment)
                return Answered(number, b"", ended)
            record = self._taken_up(charged, record, moment)
        # Step 4: one message names whom both sides hold, and is the same until it is answered.
        bound = self._bound(record, message)
        if bound is None:
            reason = Reason.MALFORMED
            return Answered(number, b"", self._book.end(record, JobOutcome.FAILED, reason, moment))
        record = bound
        received = record.model_copy(update={"bytes_in": record.bytes_in + len(sealed)})
        return Due(received, charged, message)

    def stop_unless_allowed(self, record: JobRecord, moment: Moment) -> None:
        """End a job that may not go on."""
        self._ground.allowed(record, moment)

    def part(self, due: Due, kept: Kept) -> bytes:
        """Give what a child works on.

        Raises:
            RefusedError: `CONFLICT`: the store was loaded anew.
        """
        if kept is Kept.CODES and due.record.next == 0:
            self._ground.require_store(due.record)
            return self._ground.data.index().codes
        return self._book.rows.get(due.record.job, kept)

    def asking(self, due: Due) -> None:
        """Count that other owners are to be asked whom they hold, or for their columns.

        Raises:
            RefusedError: `OVER_BUDGET`: that was done as often as may be.
        """
        known = self._book.stands(due.record.job)
        if known.asks >= MOST_ASKS:
            raise RefusedError(Reason.OVER_BUDGET)
        with self._book.state.transaction():
            self._book.keep(known.model_copy(update={"asks": known.asks + 1}))

    def enough(self, due: Due, common: bytes) -> bytes:
        """Give whom label side and host hold, if other owners are to be asked about them.

        Too few of them are nobody: nothing is said of them, and the job ends as by the others.
        """
        admitted = due.charged.admitted
        return common if are_enough(admitted.use, admitted.asked, common) else b""

    def columns(self, due: Due, common: bytes) -> Columns:
        """Let the room's columns of the common subjects be read, if these are enough.

        Raises:
            RefusedError: `WITHHELD`: too few; `CONFLICT`: the store was loaded anew.
        """
        admitted = due.charged.admitted
        return self._ground.wanted(admitted.use, admitted.asked, due.record, common)

    def aligned(self, due: Due, aligned: Aligned, codes: bytes) -> Answered:
        """Keep the first half of an alignment."""
        stopped = self._stopped(due)
        if stopped is not None:
            return stopped
        with self._book.state.transaction():
            self._book.rows.put(due.record.job, Kept.CODES, codes)
            self._book.rows.put(due.record.job, Kept.STATE, aligned.state)
            return self._answered(due, aligned.answer, due.record)

    def released(self, due: Due, aligned: Aligned, common: bytes, columns: bytes) -> Answered:
        """Keep the columns of those whom both sides hold, and let the label side know its rows.

        From here on they count as told: another job, judged meanwhile, is held to them.

        Raises:
            RefusedError: `WITHHELD`: too near to what an earlier job was trained on.
        """
        moment, job = self._book.ready(), due.record.job
        stopped = self._stopped(due)
        if stopped is not None:
            return stopped
        rows = len(common) // SUBJECT_BYTES
        record = due.record.model_copy(update={"step": JobStep.TRAINING, "rows": rows})
        use = due.charged.admitted.use
        trained_on = TrainedOn(common, use.told.columns, columns)
        with self._book.state.transaction():
            self._ground.partners.keep_apart(record.group, job, trained_on, moment.now)
            self._book.rows.wipe(job)
            self._book.rows.put(job, Kept.COLUMNS, columns)
            if use.others:
                self._book.rows.put(job, Kept.CODES, common)
            return self._answered(due, aligned.answer, record)

    def trained(self, due: Due, trained: Trained) -> Answered:
        """Keep what came of a message of the training; with the last one goes the word on it."""
        moment, job = self._book.ready(), due.record.job
        stopped = self._stopped(due)
        if stopped is not None:
            return stopped
        record = due.record.model_copy(update={"round": trained.rounds})
        with self._book.state.transaction():
            if due.record.next == OPENING:
                self._book.rows.put(job, Kept.OPENING, due.message)
            if not trained.over:
                self._book.rows.put(job, Kept.STATE, trained.state)
                return self._answered(due, trained.answer, record)
            sealed = execute_job(due.charged, trained.model)
            rows = record.rows - due.charged.admitted.use.held_out(record.rows)
            course = Course(rows, trained.rounds, trained.converged)
            said = self._book.gate.release(due.charged, sealed, course, moment).judged
            ended = ended_as(record, JobOutcome.RELEASED, None, said, moment)
            answered = self._answered(due, trained.answer, ended)
            self._book.rows.wipe(job, Kept.ANSWER)
        return Answered(answered.number, answered.sealed, said)

    def refused(self, due: Due, reason: Reason) -> Judged:
        """End a job for what a `RefusedError` says."""
        outcome = JobOutcome.REFUSED if reason is Reason.WITHHELD else JobOutcome.FAILED
        return self._book.end(due.record, outcome, reason, self._book.ready())

    def broke(self, due: Due) -> Judged | None:
        """Count that a child broke down over a message; at last the job is over."""
        known = self._book.stands(due.record.job)
        ended = self._book.word(known)
        if ended is not None:
            return ended
        record = known.model_copy(update={"broke": known.broke + 1})
        if record.broke >= MOST_BREAKS:
            return self._book.end(record, JobOutcome.FAILED, Reason.INTERNAL, self._book.ready())
        with self._book.state.transaction():
            self._book.keep(record)
        return None

    def last_answer(self, record: JobRecord) -> Answered | None:
        """Give a job's last answer again, sealed anew; none if there is none any more."""
        answer = self._book.rows.get(record.job, Kept.ANSWER) if record.secret else b""
        if not answer:
            return None
        return Answered(record.next - 1, self._book.sealed(record, record.next - 1, answer), None)

    def _bound(self, record: JobRecord, message: bytes) -> JobRecord | None:
        """Keep which second half of an alignment came first; none if this is another one.

        By other ones a bank could ask for one set after the other, while the answer is kept from
        it, and see how far each comes.
        """
        if record.next != OPENING - 1:
            return record
        seen = _fingerprint(message)
        if record.doubled:
            return record if record.doubled == seen else None
        bound = record.model_copy(update={"doubled": seen})
        with self._book.state.transaction():
            self._book.keep(bound)
        return bound

    def _taken_up(self, charged: ChargedJob, record: JobRecord, moment: Moment) -> JobRecord:
        taken_up = record.model_copy(update={"starts": record.starts + 1})
        with self._book.state.transaction():
            self._book.gate.admit(charged, unb64(record.secret), record.store, moment)
            self._book.keep(taken_up)
        self.carries(record.job)
        return taken_up

    def _stopped(self, due: Due) -> Answered | None:
        """Tell how a job ended while a child worked for it; none if it goes on."""
        word = self._ground.ended(due.record.job)
        return None if word is None else Answered(due.record.next, b"", word)

    def _again(self, record: JobRecord, number: int, sealed: bytes) -> Answered:
        """Give the last answer to its message once more."""
        if number + 1 != record.next or not record.secret:
            return Answered(number, b"", self._book.word(record))
        message = open_message(unb64(record.secret), record.job, Direction.TO_ROOM, number, sealed)
        answer = self._book.rows.get(record.job, Kept.ANSWER)
        if _fingerprint(message) != record.last or not answer:
            raise SafeRoomError(Reason.CONFLICT, f"message {number} was another one before")
        return Answered(number, self._book.sealed(record, number, answer), self._book.word(record))

    def _answered(self, due: Due, answer: bytes, record: JobRecord) -> Answered:
        """Keep an answer, and that its message was answered; within a transaction."""
        number = due.record.next
        known = self._book.stands(record.job)
        if known.next != number or known.ended is not None:
            raise SafeRoomError(Reason.CONFLICT, f"message {number} was answered meanwhile")
        sealed = self._book.sealed(record, number, answer)
        self._book.rows.put(record.job, Kept.ANSWER, answer)
        self._book.keep(
            record.model_copy(
                update={
                    "next": number + 1,
                    "last": _fingerprint(due.message),
                    "bytes_out": record.bytes_out + len(sealed),
                    "moved": self._book.ready().now,
                    "broke": 0,
                    "asks": known.asks,
                }
            )
        )
        return Answered(number, sealed, None)


def _fingerprint(message: bytes) -> str:
    return hashlib.sha256(message).hexdigest()
