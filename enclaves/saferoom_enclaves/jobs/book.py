"""The book of an enclave's jobs: how each stands, in memory and on disk, and its last word."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from saferoom_enclaves.gate import Moment
from saferoom_enclaves.jobs.gate import Ending, JobGate, Named
from saferoom_enclaves.jobs.kept import JobRecord, JobRows
from saferoom_enclaves.journal import Journal, Judged
from saferoom_enclaves.leakage import window_start
from saferoom_enclaves.logs import Log
from saferoom_enclaves.state import State
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import unb64
from saferoom_proto.job_channel import Direction, seal_message
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements import JobOutcome, JobStep

MOST_UNDER_WAY: Final = 16
"""Jobs of one institution that have not ended. Each keeps its part of the store, up to some hundred
megabytes, for the days of its window, and is looked through at every delivery, in 0.1 ms."""
MOST_REMEMBERED: Final = 100
"""Jobs of one group in 36 months: what each was trained on is kept for as long, and every later job
of nearly as many rows is compared with it while nobody is answered. Of 20 columns that is 3 MB and
4 ms for 30,000 rows, 26 MB and 0.1 s for 300,000."""
MOST_TOLD: Final = 100
"""Of one institution's jobs in a list, the newest: their last words are read for it, 0.1 ms each,
and nobody is answered meanwhile."""


class JobBook:
    """Keeps how jobs stand. What writes is done within a transaction of the state, but for `end`.

    Args:
        state: the enclave's database, opened.
        journal: the enclave's chain.
        ready: under what it speaks now; refuses while it may not.
        randomness: gives so many random bytes.
        log: the operator's.
    """

    def __init__(
        self,
        *,
        state: State,
        journal: Journal,
        ready: Callable[[], Moment],
        randomness: Callable[[int], bytes],
        log: Log,
    ) -> None:
        self.state: Final = state
        self.ready: Final = ready
        self.randomness: Final = randomness
        self.rows: Final = JobRows(state)
        self.gate: Final = JobGate(state, journal, randomness)
        self._journal: Final = journal
        self._log: Final = log
        self._records: Final = self.rows.all()

    def stands(self, job: str) -> JobRecord:
        """Give how a job stands.

        Raises:
            SafeRoomError: `UNKNOWN_STATEMENT` for none that began here.
        """
        record = self._records.get(job)
        if record is None:
            raise SafeRoomError(Reason.UNKNOWN_STATEMENT, "no such job")
        return record

    def standing(self) -> Sequence[JobRecord]:
        """Give how all jobs stand, the newest first."""
        return sorted(self._records.values(), key=lambda record: record.began, reverse=True)

    def newest(self) -> Sequence[JobRecord]:
        """Give how jobs stand, the newest first, and of each institution so many."""
        told, found = Counter[str](), list[JobRecord]()
        for record in self.standing():
            told[record.institution] += 1
            if told[record.institution] <= MOST_TOLD:
                found.append(record)
        return found

    def require_room_for(self, institution: str, group: str) -> None:
        """Refuse with `TOO_MANY_REQUESTS` a job beside as many as there may be."""
        records, since = self._records.values(), window_start(self.ready().now)
        remembered = sum(each.group == group and each.began >= since for each in records)
        if remembered >= MOST_REMEMBERED:
            rule = f"{remembered} of your group's in 36 months: wait for the oldest to be let go"
            detail = f"{remembered} jobs of the group {group} are remembered"
            raise SafeRoomError(Reason.TOO_MANY_REQUESTS, detail, [FieldFault("jobs", rule)])
        count = sum(each.institution == institution for each in records if each.ended is None)
        if count >= MOST_UNDER_WAY:
            rule = f"{count} of yours are under way: let one end, or cancel one"
            detail = f"{count} jobs of {institution} under way"
            raise SafeRoomError(Reason.TOO_MANY_REQUESTS, detail, [FieldFault("jobs", rule)])

    def word(self, record: JobRecord) -> Judged | None:
        """Give the last word on a job; none while it is under way."""
        return None if record.ended is None else self._journal.read(record.ended)

    def sealed(self, record: JobRecord, number: int, answer: bytes) -> bytes:
        """Seal an answer to its label side."""
        secret = unb64(record.secret)
        return seal_message(secret, record.job, Direction.TO_LABEL_SIDE, number, answer)

    def end(
        self,
        record: JobRecord,
        outcome: JobOutcome,
        reason: Reason | None,
        moment: Moment,
        cancel: Envelope | None = None,
    ) -> Judged:
        """End a job without a model; one that ended meanwhile stays as it is."""
        known = self.stands(record.job)
        if known.ended is not None:
            return self._journal.read(known.ended)
        with self.state.transaction():
            # Who withheld has not given its columns, others may have: it is the same step for all.
            step = JobStep.ALIGNMENT if reason is Reason.WITHHELD else record.step
            ending = Ending(outcome, step, reason, cancel)
            named = Named(
                record.job,
                record.institution,
                record.template,
                record.certificate,
                record.agreement,
            )
            said = self.gate.end(named, ending, moment).judged
            ended = ended_as(record, outcome, reason, said, moment)
            self.rows.wipe(record.job)
            self.keep(ended.model_copy(update={"secret": ""}))
        self._log.info("job ended", job=record.job, outcome=str(outcome), reason=str(reason))
        return said

    def keep(self, record: JobRecord) -> None:
        """Keep how a job stands."""
        before = self._records.get(record.job)
        self.rows.write(record)
        self._records[record.job] = record
        if before is None:
            self.state.undoing(lambda: self._records.pop(record.job, None))
        else:
            self.state.undoing(lambda: self._records.update({record.job: before}))

    def forget(self, record: JobRecord) -> None:
        """Forget the last answer of a job that has ended."""
        with self.state.transaction():
            self.rows.wipe(record.job)
            self.keep(record.model_copy(update={"secret": ""}))


def ended_as(
    record: JobRecord, outcome: JobOutcome, reason: Reason | None, said: Judged, moment: Moment
) -> JobRecord:
    """Give how a job stands that ended."""
    return record.model_copy(
        update={
            "ended": said.entry.chain_index,
            "outcome": outcome,
            "reason": reason,
            "moved": moment.now,
        }
    )
