"""What the owner approved of joint training, derived once and kept until anything changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from saferoom_enclaves.approved import approved
from saferoom_enclaves.standing import Standing
from saferoom_proto.certificate import OwnerPart, ReleaseCertificate, derive_training_part
from saferoom_proto.formula import FeatureRef
from saferoom_proto.pinned import PinnedFeature
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Training
from saferoom_proto.statements.training import TrainingPart


@dataclass(frozen=True, slots=True, eq=False)
class ApprovedTraining:
    """A template and certificate of joint training that this owner approved.

    Attributes:
        training: what the template asks.
        certificate: what the approvals are of: parts of all owners.
        part: this owner's part of the certificate, with what it says of the training.
        told: the latter.
        features: those it reads, in the template's order.
        approvals: the digests of the approvals that count.
    """

    training: Training
    certificate: ReleaseCertificate
    part: OwnerPart
    told: TrainingPart
    features: tuple[PinnedFeature, ...]
    approvals: tuple[str, ...]

    @property
    def others(self) -> tuple[OwnerPart, ...]:
        """The parts of the other owners."""
        return tuple(each for each in self.certificate.parts if each.owner != self.part.owner)

    @property
    def most_given(self) -> int:
        """Say how many columns the giver with the most has; none has any where nobody gives."""
        parts = (each for each in self.certificate.parts if each.owner != self.training.hosted_by)
        return max((len(each.training.columns) for each in parts if each.training), default=0)

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of all owners' columns, this one's first."""
        parts = (each.training for each in (self.part, *self.others))
        return tuple(name for part in parts if part is not None for name in part.columns)


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
            self._derived[key] = self._run_by(known.training, template, certificate)
        return self._derived[key]

    def _run_by(self, training: Training, digest: str, certificate: str) -> ApprovedTraining:
        standing, owner = self._standing, self._standing.charter.charter.owner
        if certificate not in standing.certificates:
            raise SafeRoomError(Reason.CERTIFICATE_MISMATCH, "an unknown release certificate")
        charters = {owner: standing.charter.digest}

        def derived() -> OwnerPart:
            return derive_training_part(owner, training, standing.features, charters)

        part, approvals = approved(standing, digest, certificate, derived, lambda own: own)
        known = standing.certificates[certificate]
        if tuple(each.owner for each in known.parts) != training.owners or not part.training:
            raise SafeRoomError(Reason.CERTIFICATE_MISMATCH, "the parts of other owners")
        names = training.features_of(owner)
        features = tuple(standing.features[FeatureRef.parse(name)] for name in names)
        return ApprovedTraining(training, known, part, part.training, features, approvals)
