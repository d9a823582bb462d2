"""A job is counted before anything is done for it: so many in a period, whatever becomes of each.

An alignment tells a little of who else is there, and so does each job's model. What an institution
ran counts for those that share what they learn.
"""

from __future__ import annotations

from dataclasses import InitVar, dataclass
from datetime import datetime, timedelta
from typing import Final, final

from saferoom_enclaves.band_charges import BandCharges
from saferoom_enclaves.evidence import Evidence, Right
from saferoom_enclaves.jobs.admit import AdmittedJob
from saferoom_enclaves.rowform import read_or_first
from saferoom_enclaves.standing import Standing
from saferoom_enclaves.state import Row, State
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Instant, PrivacySpent
from saferoom_proto.statements.base import Part
from saferoom_proto.statements.training import Runs as Allowed

_TABLE: Final = "job_runs"


class _Charging(Right):
    __slots__ = ()


_JOB_CHARGED: Final = _Charging()


@final
@dataclass(frozen=True, slots=True, eq=False)
class ChargedJob(Evidence):
    """An admitted job that was counted.

    Attributes:
        run: the how manieth it is in its period.
        privacy: what its bands were charged when it began; none where none are told.
    """

    right: InitVar[_Charging]
    admitted: AdmittedJob
    run: int
    privacy: PrivacySpent | None

    def __post_init__(self, right: _Charging) -> None:
        _JOB_CHARGED.require(right)


class _Earlier(Part):
    at: tuple[Instant, ...] = ()


class Runs:
    """Counts jobs by template and group of institutions.

    Args:
        state: the enclave's database, opened. What writes is done within its transactions.
        standing: knows which groups share what they learn.
    """

    def __init__(self, state: State, standing: Standing) -> None:
        self._state: Final = state
        self._standing: Final = standing
        self._bands: Final = BandCharges(state, standing)

    def charge(self, admitted: AdmittedJob, now: datetime) -> ChargedJob:
        """Count a job, and charge what rows held out will tell of it, at a giver as at the host.

        Raises:
            SafeRoomError: `OVER_BUDGET` if as many ran as may, or bands told as much as they may;
                nothing is counted then.
        """
        asked = admitted.asked
        template, group = asked.request.template, asked.agreement.agreement.group
        allowed, bands = admitted.use.training.runs, admitted.use.bands
        run = self.next(template, group, allowed, now)
        privacy = self._bands.pay(bands, allowed.days, group, now)
        self.note(template, group, now)
        self._bands.note(bands, allowed.days, group, now)
        return ChargedJob(_JOB_CHARGED, admitted, run, privacy)

    def next(self, template: str, group: str, allowed: Allowed, now: datetime) -> int:
        """Tell the how manieth another job of a template would be; none is counted.

        Raises:
            SafeRoomError: as `charge`.
        """
        since = now - timedelta(days=allowed.days)
        ran = sum(
            at > since
            for each in self._standing.groups.linked(group)
            for at in self._read(template, each)[0].at
        )
        if self._state.marks.forgotten_until > since:
            # How many ran in a span that a lost copy knew, nobody can tell: all that may have.
            raise SafeRoomError(Reason.OVER_BUDGET, "jobs of a forgotten span count as run")
        if ran >= allowed.most:
            detail = f"{ran} jobs in {allowed.days} days, at most {allowed.most}"
            raise SafeRoomError(Reason.OVER_BUDGET, detail)
        return ran + 1

    def note(self, template: str, group: str, now: datetime) -> None:
        """Count a job."""
        # All are kept, not only those of this period: another template's certificate may ask more.
        earlier, row = self._read(template, group)
        kept = _Earlier(at=(*earlier.at, now)).model_dump_json().encode()
        self._state.put(_TABLE, self._key(template, group), kept, row)

    @staticmethod
    def recall(
        admitted: AdmittedJob, job: str, run: int, privacy: PrivacySpent | None
    ) -> ChargedJob:
        """Give again a job under way that was counted when it began."""
        if job != admitted.asked.job:
            raise SafeRoomError(Reason.INTERNAL, "another job was counted")
        return ChargedJob(_JOB_CHARGED, admitted, run, privacy)

    def _read(self, template: str, group: str) -> tuple[_Earlier, Row | None]:
        row = self._state.get(_TABLE, self._key(template, group))
        return read_or_first(row and row.content, _Earlier), row

    def _key(self, template: str, group: str) -> bytes:
        return self._state.cipher.find(_TABLE, template, group)
