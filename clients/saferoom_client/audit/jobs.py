"""Jobs of several owners: no enclave ends one with a model that another owner did not let begin."""

from __future__ import annotations

from saferoom_proto.certificate import ReleaseCertificate
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import JobAdmission, JobRelease


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

    def require(self, said: JobRelease, certificate: ReleaseCertificate) -> None:
        """Hold a job that ended with a model to every owner's having let it begin.

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
