"""Trainings in the room: as many as the template allows, each counted, none made twice.

So is what their bands were charged, and those of joint jobs: epsilon adds up over all models of an
owner, by groups.

What an enclave kept apart from earlier jobs, and what it measured, the log does not show.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from saferoom_client.audit.linked import Learners
from saferoom_proto.certificate import ReleaseCertificate
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import FitRelease, JobAdmission, JobRelease, TableRelease
from saferoom_proto.statements.aggregate import FEWEST_DAYS
from saferoom_proto.statements.fit import FitPart
from saferoom_proto.statements.training import FitBands, TrainingPart

OfNobody = JobAdmission | JobRelease | TableRelease | FitRelease
"""A word that is about nobody alone: there is no consent to it."""


@dataclass(frozen=True, slots=True)
class _Charged:
    at: datetime
    days: int
    bands: FitBands


class Fits:
    """What was trained in the room, as the log shows it."""

    def __init__(self) -> None:
        self._requests: Final[set[tuple[str, str]]] = set()
        self._at: Final[dict[tuple[str, str, str], list[datetime]]] = {}
        self._charged: Final[dict[tuple[str, str], list[_Charged]]] = {}

    def take(
        self, said: FitRelease | JobAdmission, certificate: ReleaseCertificate, by: Learners
    ) -> None:
        """Hold a training to those before it of the same institutions.

        A giver counts it when it lets it begin, the host when it was made.

        Groups that share what they learn are counted together by the enclave; here each by itself,
        so the run that it names is at least what stands in the log.

        Raises:
            SafeRoomError: `CONFLICT` for a request that was trained before; `OVER_BUDGET` for one
                more than the template allows, or one that was counted short, or bands that were
                charged too little or past their cap; `STORE_ROLLED_BACK` where it forgot some.
        """
        if (said.owner, said.request) in self._requests:
            raise SafeRoomError(Reason.CONFLICT, "the same request was trained anew")
        self._requests.add((said.owner, said.request))
        part = certificate.part(said.owner).fit
        if part is None or said.run is None:
            raise SafeRoomError(Reason.CERTIFICATE_MISMATCH, "its certificate is of no training")
        before = self._at.setdefault((said.owner, said.template, by.group), [])
        since = said.time - timedelta(days=part.runs.days)
        run = sum(at > since for at in before) + 1
        before.append(said.time)
        if not run <= said.run <= part.runs.most:
            detail = f"it is run {run} of at most {part.runs.most}, and says {said.run}"
            raise SafeRoomError(Reason.OVER_BUDGET, detail)
        self._take_bands(said, part, by)

    def begun(self, said: JobAdmission, part: TrainingPart, by: Learners) -> None:
        """Hold a joint job to what bands were charged before; one that is taken up is charged once.

        Raises:
            SafeRoomError: as `take`, for bands.
        """
        if (said.owner, said.request) not in self._requests:
            self._requests.add((said.owner, said.request))
            self._take_bands(said, part, by)

    def _take_bands(
        self, said: FitRelease | JobAdmission, part: FitPart | TrainingPart, by: Learners
    ) -> None:
        """Hold what bands were charged to what linked groups were charged before."""
        if part.bands is None and said.privacy is None:
            return
        if part.bands is None or said.privacy is None:
            raise SafeRoomError(
                Reason.CERTIFICATE_MISMATCH, "it says of noise what its template does not"
            )
        days = max(FEWEST_DAYS, part.runs.days)
        before = [
            each
            for linked in by.linked
            for each in self._charged.get((said.owner, linked), ())
            if each.at > said.time - timedelta(days=max(days, each.days))
        ]
        own = _Charged(said.time, part.runs.days, part.bands)
        self._charged.setdefault((said.owner, by.group), []).append(own)
        spent = sum((each.bands.epsilon for each in (*before, own)), Decimal(0))
        cap = min(each.bands.cap for each in (*before, own))
        told = said.privacy
        if told.charged != part.bands.epsilon or max(spent, told.spent) > cap or told.cap > cap:
            detail = f"charged {told.charged}, {spent} spent, and its group may be told {cap}"
            raise SafeRoomError(Reason.OVER_BUDGET, detail)
        if told.spent < spent:
            detail = f"says that {told.spent} is spent, and {spent} had been told by then"
            raise SafeRoomError(Reason.STORE_ROLLED_BACK, detail)
