"""Trainings of several owners: no enclave ends one with a model that another did not let begin."""

from __future__ import annotations

from typing import Final

from saferoom_client.audit.fits import Fits
from saferoom_client.audit.linked import Learners
from saferoom_proto.certificate import ReleaseCertificate
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import FitRelease, JobAdmission, JobRelease, Outcome


class Admissions:
    """Which owners' enclaves let which job begin, as the log shows it."""

    def __init__(self) -> None:
        self._admitted: dict[str, set[str]] = {}

    def take(self, said: JobAdmission, certificate: ReleaseCertificate) -> None:
        """Take note that an enclave let a job begin; of a job of one owner that is all there is.

        Raises:
            SafeRoomError: `NOT_APPROVED` where a host lets begin what the others did not yet.
        """
        if len(certificate.parts) == 1:
            return
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
        if len(certificate.parts) > 1:
            self._require(self._admitted.get(said.request, set()), certificate)

    @staticmethod
    def _require(admitted: set[str], certificate: ReleaseCertificate) -> None:
        for part in certificate.parts:
            if part.owner not in admitted:
                detail = f"the enclave of {part.owner} had not let the job begin"
                raise SafeRoomError(Reason.NOT_APPROVED, detail)


class Trainings:
    """Which trainings there were, by jobs and in the room, as the log shows them."""

    def __init__(self) -> None:
        self._admissions: Final = Admissions()
        self._fits: Final = Fits()

    def begun(self, said: JobAdmission, certificate: ReleaseCertificate, by: Learners) -> None:
        """Take note that a job begins; of a training in the room it is a giver's run.

        Raises:
            SafeRoomError: as `Admissions.take` and `Fits.take`.
        """
        self._admissions.take(said, certificate)
        if certificate.part(said.owner).fit is not None:
            self._fits.take(said, certificate, by)

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
