"""What the owner approved of joint training, derived once and kept until anything changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from saferoom_enclaves.standing import Standing
from saferoom_proto.certificate import OwnerPart, PinnedFeature, derive_training_part
from saferoom_proto.formula import FeatureRef
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Returns, Template, Training
from saferoom_proto.statements.training import TrainingPart
from saferoom_proto.verification import verify_approvals


@dataclass(frozen=True, slots=True, eq=False)
class ApprovedTraining:
    """A template and certificate of joint training that this owner approved.

    Attributes:
        training: what the template asks.
        part: this owner's part of the certificate, with what it says of the training.
        told: the latter.
        features: those it reads, in the template's order.
        approvals: the digests of the approvals that count.
    """

    training: Training
    part: OwnerPart
    told: TrainingPart
    features: tuple[PinnedFeature, ...]
    approvals: tuple[str, ...]


class ApprovedTrainings:
    """Derives approved trainings, and keeps each until anything in force changes.

    Args:
        standing: what is in force.
    """

    def __init__(self, standing: Standing) -> None:
        self._standing: Final = standing
        self._generation = -1
        self._derived: dict[tuple[str, str], ApprovedTraining] = {}

    def use(self, template: str, certificate: str) -> ApprovedTraining:
        """Give the approved use of a known template under a certificate, by their digests.

        Raises:
            SafeRoomError: `NOT_ALLOWED` for a template of another kind; `CERTIFICATE_MISMATCH` or
                `NOT_APPROVED`.
        """
        standing = self._standing
        if standing.generation != self._generation:
            self._generation = standing.generation
            self._derived.clear()
        known = standing.templates.get(template)
        if known is None:
            raise SafeRoomError(Reason.NOT_APPROVED, "an unknown template")
        if known.training is None:
            raise SafeRoomError(Reason.NOT_ALLOWED, "the template trains nothing")
        key = (template, certificate)
        if key not in self._derived:
            self._derived[key] = self._run_by(known, known.training, template, certificate)
        return self._derived[key]

    def _run_by(
        self, template: Template, training: Training, digest: str, certificate: str
    ) -> ApprovedTraining:
        standing, owner = self._standing, self._standing.charter.charter.owner
        # Step 1: the certificate is this template's, and this owner's part is what it says.
        known = standing.certificates.get(certificate)
        if known is None:
            raise SafeRoomError(Reason.CERTIFICATE_MISMATCH, "an unknown release certificate")
        stated = (known.template, known.purposes, known.returns)
        if stated != (digest, template.purposes, Returns.PARTS):
            raise SafeRoomError(Reason.CERTIFICATE_MISMATCH, "the certificate of another template")
        try:
            part = derive_training_part(training, standing.features)
        except SafeRoomError as error:
            detail = "this owner's part cannot be derived"
            raise SafeRoomError(Reason.CERTIFICATE_MISMATCH, detail) from error
        if part.owner != owner or part != known.part(owner) or part.training is None:
            raise SafeRoomError(Reason.CERTIFICATE_MISMATCH, "this owner's part is another")
        # Step 2: as many approvers as the charter asks signed these exact bytes.
        given = standing.approvals(digest, certificate)
        approvals = verify_approvals(standing.charter, given, digest, certificate)
        features = tuple(standing.features[FeatureRef.parse(name)] for name in training.features)
        return ApprovedTraining(training, part, part.training, features, approvals)
