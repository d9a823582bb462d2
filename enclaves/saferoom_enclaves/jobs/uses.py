"""What the owner approved of trainings by jobs, derived once and kept until anything changes.

By jobs go joint trainings, and of trainings in the room those of several owners at their givers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from saferoom_enclaves.approved import approved
from saferoom_enclaves.standing import Standing
from saferoom_proto.certificate import OwnerPart, ReleaseCertificate, derive_training_part
from saferoom_proto.fit_part import all_columns, derive_fit_part, require_fitted
from saferoom_proto.formula import FeatureRef
from saferoom_proto.pinned import PinnedFeature
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Figure, Fit, Training
from saferoom_proto.statements.fit import FitPart
from saferoom_proto.statements.training import FitBands, TrainingPart, rows_held_out


@dataclass(frozen=True, slots=True, eq=False)
class ApprovedTraining:
    """A template and certificate of a training that this owner approved.

    Attributes:
        training: what the template asks.
        certificate: what the approvals are of: parts of all owners.
        part: this owner's part of the certificate, with what it says of the training.
        told: the latter.
        features: those it reads, in the template's order.
        approvals: the digests of the approvals that count.
    """

    training: Training | Fit
    certificate: ReleaseCertificate
    part: OwnerPart
    told: TrainingPart | FitPart
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
        return max((len(columns_of_part(each)) for each in parts), default=0)

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of all owners' columns, this one's first."""
        return tuple(name for one in (self.part, *self.others) for name in columns_of_part(one))

    @property
    def bands(self) -> FitBands | None:
        """With how much noise bands of rows held out are told; none where none are."""
        return self.training.bands

    @property
    def measured(self) -> FitBands | None:
        """As `bands`, of a joint training; of one in the room the host's child tells them."""
        return self.bands if isinstance(self.training, Training) else None

    def held_out(self, rows: int) -> int:
        """Say how many of so many common rows train nothing, and are counted."""
        return 0 if self.measured is None else rows_held_out(rows)

    @property
    def releases(self) -> tuple[Figure, ...]:
        """What a last word tells of it in the log; of a training in the room its card does."""
        return self.told.releases if isinstance(self.told, TrainingPart) else ()


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
        training = known.training or known.fit
        if training is None:
            raise SafeRoomError(Reason.NOT_ALLOWED, "the template trains nothing")
        key = (template, certificate)
        if key not in self._derived:
            self._derived[key] = self._run_by(training, template, certificate)
        return self._derived[key]

    def _run_by(self, training: Training | Fit, digest: str, certificate: str) -> ApprovedTraining:
        standing, owner = self._standing, self._standing.charter.charter.owner
        if owner not in training.owners:
            raise SafeRoomError(Reason.CERTIFICATE_MISMATCH, "a template of other owners")
        if certificate not in standing.certificates:
            raise SafeRoomError(Reason.CERTIFICATE_MISMATCH, "an unknown release certificate")
        charters = {owner: standing.charter.digest}

        def derived() -> OwnerPart:
            if isinstance(training, Training):
                return derive_training_part(owner, training, standing.features, charters)
            return derive_fit_part(owner, training, standing.features, charters)

        part, approvals = approved(standing, digest, certificate, derived, lambda own: own)
        known = standing.certificates[certificate]
        told = part.training or part.fit
        if tuple(each.owner for each in known.parts) != training.owners or told is None:
            raise SafeRoomError(Reason.CERTIFICATE_MISMATCH, "the parts of other owners")
        if isinstance(training, Fit):
            require_fitted(training, all_columns(known.parts))
        names = training.features_of(owner)
        features = tuple(standing.features[FeatureRef.parse(name)] for name in names)
        return ApprovedTraining(training, known, part, told, features, approvals)


def columns_of_part(part: OwnerPart) -> tuple[str, ...]:
    """Name the columns of an owner's part of a certificate; none where it trains nothing."""
    told = part.training or part.fit
    return () if told is None else told.columns
