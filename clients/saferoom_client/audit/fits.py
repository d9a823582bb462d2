"""Trainings in the room: as many as the template allows, each counted, none made twice.

What an enclave kept apart from earlier jobs, and what it measured, the log does not show.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from saferoom_proto.certificate import ReleaseCertificate
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Agreement, FitRelease, JobAdmission, JobRelease, TableRelease

OfNobody = JobAdmission | JobRelease | TableRelease | FitRelease
"""A word that is about nobody alone: there is no consent to it."""


class Fits:
    """What was trained in the room, as the log shows it."""

    def __init__(self) -> None:
        self._requests: Final[set[tuple[str, str]]] = set()
        self._at: Final[dict[tuple[str, str, str], list[datetime]]] = {}

    def take(self, said: FitRelease, certificate: ReleaseCertificate, agreed: Agreement) -> None:
        """Hold a training to those before it of the same institutions.

        Groups that share what they learn are counted together by the enclave; here each by itself,
        so the run that it names is at least what stands in the log.

        Raises:
            SafeRoomError: `CONFLICT` for a request that was trained before; `OVER_BUDGET` for one
                more than the template allows, or one that was counted short.
        """
        if (said.owner, said.request) in self._requests:
            raise SafeRoomError(Reason.CONFLICT, "the same request was trained anew")
        self._requests.add((said.owner, said.request))
        part = certificate.part(said.owner).fit
        if part is None or said.run is None:
            raise SafeRoomError(Reason.CERTIFICATE_MISMATCH, "its certificate is of no training")
        before = self._at.setdefault((said.owner, said.template, agreed.group), [])
        since = said.time - timedelta(days=part.runs.days)
        run = sum(at > since for at in before) + 1
        before.append(said.time)
        if not run <= said.run <= part.runs.most:
            detail = f"it is run {run} of at most {part.runs.most}, and says {said.run}"
            raise SafeRoomError(Reason.OVER_BUDGET, detail)
