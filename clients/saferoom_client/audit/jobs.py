"""Trainings: none ends with a model that its owners' enclaves did not let begin, so many times."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from saferoom_client.audit.fits import Fits
from saferoom_client.audit.linked import Learners
from saferoom_proto.certificate import ReleaseCertificate
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import FitRelease, JobAdmission, JobRelease, Outcome
from saferoom_proto.statements.training import Runs as Allowed


class Admissions:
    """Which owners' enclaves let which job begin, as the log shows it."""

    def __init__(self) -> None:
        self._admitted: dict[str, set[str]] = {}

    def take(self, said: JobAdmission, certificate: ReleaseCertificate) -> None:
        """Take note that an enclave let a job begin.

        Raises:
            SafeRoomError: `NOT_APPROVED` where a host lets begin what the others did not yet.
        """
        admitted = self._admitted.setdefault(said.request, set())
        part = certificate.part(said.owner).training
        if part is not None and part.host == said.owner:
            self._require(admitted | {said.owner}, certificate)
        admitted.add(said.owner)

    def fitted(self, said: FitRelease, certificate: ReleaseCertificate) -> None:
        """Hold a model that was trained in the room to every other owner's having let it begin.

        Raises:
            SafeRoomError: `NOT_APPROVED`.
        """
        if len(certificate.parts) > 1:
            admitted = self._admitted.setdefault(said.request, set())
            admitted.add(said.owner)
            self._require(admitted, certificate)

    def require(self, said: JobRelease, certificate: ReleaseCertificate) -> None:
        """Hold a job that ended with a model to every owner's having let it begin.

        A training in the room its host lets begin by its word that there is a model.

        Raises:
            SafeRoomError: `NOT_APPROVED`.
        """
        self._require(self._admitted.get(said.request, set()), certificate)

    @staticmethod
    def _require(admitted: set[str], certificate: ReleaseCertificate) -> None:
        for part in certificate.parts:
            if part.owner not in admitted:
                detail = f"the enclave of {part.owner} had not let the job begin"
                raise SafeRoomError(Reason.NOT_APPROVED, detail)


class Runs:
    """How often institutions had which joint training begin, as the log shows it."""

    def __init__(self) -> None:
        self._of: Final[dict[tuple[str, str, str], dict[str, datetime]]] = {}

    def take(self, said: JobAdmission, runs: Allowed, group: str) -> None:
        """Hold a job that begins to those before it; one that is taken up again is no other.

        Groups that share what they learn are counted together by the enclave; here each by itself,
        so the run that it names is at least what stands in the log.

        Raises:
            SafeRoomError: `OVER_BUDGET`.
        """
        begun = self._of.setdefault((said.owner, said.template, group), {})
        if said.request in begun:
            return
        since = said.time - timedelta(days=runs.days)
        run = sum(at > since for at in begun.values()) + 1
        begun[said.request] = said.time
        if not run <= said.run <= runs.most:
            detail = f"it is run {run} of at most {runs.most}, and says {said.run}"
            raise SafeRoomError(Reason.OVER_BUDGET, detail)


class Trainings:
    """Which trainings there were, by jobs and in the room, as the log shows them."""

    def __init__(self) -> None:
        self._admissions: Final = Admissions()
        self._fits: Final = Fits()
        self._runs: Final = Runs()

    def begun(self, said: JobAdmission, certificate: ReleaseCertificate, by: Learners) -> None:
        """Take note that a job begins; of a training in the room it is a giver's run.

        Raises:
            SafeRoomError: as `Admissions.take`, `Fits.take` and `Runs.take`.
        """
        self._admissions.take(said, certificate)
        part = certificate.part(said.owner)
        if part.fit is not None:
            self._fits.take(said, certificate, by)
        elif part.training is not None:
            self._runs.take(said, part.training.runs, by.group)
            self._fits.begun(said, part.training, by)

    def ended(self, said: JobRelease, certificate: ReleaseCertificate) -> None:
        """Hold a job that ended with a model to its beginnings; as `Admissions.require`."""
        self._admissions.require(said, certificate)

    def fitted(self, said: FitRelease, certificate: ReleaseCertificate, by: Learners) -> None:
        """Hold a training in the room to those before it, and a model of it to its beginnings.

        Raises:
            SafeRoomError: as `Fits.take` and `Admissions.fitted`.
        """
        self._fits.take(said, certificate, by)
        if said.outcome is Outcome.ANSWERED:
            self._admissions.fitted(said, certificate)
