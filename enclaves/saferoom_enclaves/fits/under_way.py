"""Trainings in the room that wait for their turn, are under way, or ended lately, by their jobs.

Of how far one is, whether it has begun is told and no more: what its child has come to would tell
of the records.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from saferoom_enclaves.fits.admit import AskedFit
from saferoom_enclaves.fits.desk import BegunFit
from saferoom_enclaves.jobs.line import Line
from saferoom_enclaves.journal import Judged
from saferoom_proto.statements import FitRelease, Outcome, load
from saferoom_proto.v1 import job_pb2

MOST_ENDED: Final = 64
"""Words that are remembered here: one on what was not begun is kept in no job's record."""

_WAITS: Final = job_pb2.JOB_STATE_WAITING
_TRAINS: Final = job_pb2.JOB_STATE_TRAINING
_CANCELLED: Final = job_pb2.JOB_STATE_CANCELLED
_ENDS: Final = {
    Outcome.ANSWERED: job_pb2.JOB_STATE_RELEASED,
    Outcome.REFUSED: job_pb2.JOB_STATE_REFUSED,
}


@dataclass(slots=True, eq=False)
class FitUnderWay:
    """One request.

    Attributes:
        asked: whose it is.
        began: when it came.
        line: of several owners', by which the others are asked.
        working: answers it.
        begun: what is being fitted; none while it waits for its turn.
        word: the word on it; none before.
    """

    asked: AskedFit
    began: datetime
    line: Line | None = None
    working: asyncio.Future[Judged] | None = None
    begun: BegunFit | None = None
    word: Judged | None = None

    def give_up(self) -> None:
        """Have it wait for nothing any more: its turn, a child, another owner's enclave."""
        if self.begun is not None:
            self.begun.over.stop()
        if self.line is not None:
            self.line.stop()
        if self.working is not None:
            self.working.cancel()

    def status(self) -> job_pb2.JobStatus:
        """Tell how it stands."""
        request, moved, reason, release = self.asked.request, self.began, "", ""
        state = _TRAINS if self.begun is not None else _WAITS
        if self.word is not None:
            said = load(self.word.entry.statement, FitRelease)
            state = _ENDS[said.outcome] if said.cancel is None else _CANCELLED
            moved, release = said.time, self.word.entry.statement.digest
            reason = "" if said.reason is None else str(said.reason)
        return job_pb2.JobStatus(
            job=self.asked.job,
            institution=request.institution,
            template=request.template,
            state=state,
            began=_milliseconds(self.began),
            moved=_milliseconds(moved),
            reason=reason,
            release=release,
        )


class FitsUnderWay:
    """Knows them."""

    def __init__(self) -> None:
        self._by_job: Final[dict[str, FitUnderWay]] = {}

    def find(self, job: str) -> FitUnderWay | None:
        """Find one; none that is unknown here."""
        return self._by_job.get(job)

    async def wait_for(self, job: str) -> None:
        """Wait until none of a job is under way."""
        while (fit := self._by_job.get(job)) is not None and fit.working is not None:
            if fit.working.done():
                return
            await asyncio.wait({fit.working})

    def add(self, fit: FitUnderWay) -> None:
        """Know one from now on, and forget the oldest that ended."""
        self._by_job[fit.asked.job] = fit
        ended = [job for job, each in self._by_job.items() if each.word is not None]
        for job in ended[:-MOST_ENDED]:
            del self._by_job[job]

    def drop(self, fit: FitUnderWay) -> None:
        """Forget one that came to no word."""
        if self._by_job.get(fit.asked.job) is fit:
            del self._by_job[fit.asked.job]

    def statuses(self, known: Iterable[str]) -> list[job_pb2.JobStatus]:
        """Tell how those stand that are not known as jobs."""
        jobs = frozenset(known)
        return [each.status() for job, each in self._by_job.items() if job not in jobs]


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
