"""What the owner approved of trainings in the room, derived at each request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from saferoom_enclaves.approved import approved, require_known
from saferoom_enclaves.standing import Standing
from saferoom_proto.fit_part import all_columns, derive_fit_part, require_fitted
from saferoom_proto.formula import FeatureRef
from saferoom_proto.owner_part import OwnerPart
from saferoom_proto.pinned import PinnedFeature
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Fit
from saferoom_proto.statements.fit import FitPart


@dataclass(frozen=True, slots=True, eq=False)
class ApprovedFit:
    """A template of a training in the room and its certificate, as approvers signed them.

    Attributes:
        fit: what the template asks.
        part: what the certificate says of it.
        features: this owner's, whose values are columns, in the template's order.
        label: what is foretold.
        approvals: the digests of the approvals that count.
        others: the parts of the other owners, whose columns are opened here.
    """

    fit: Fit
    part: FitPart
    features: tuple[PinnedFeature, ...]
    label: PinnedFeature
    approvals: tuple[str, ...]
    others: tuple[OwnerPart, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of all owners' columns, this one's first."""
        return (*self.part.columns, *all_columns(self.others))

    @property
    def recipes(self) -> dict[str, str]:
        """How each column's feature is computed, by its name: a score reads what was trained on."""
        return {each.definition.full_name: each.definition.recipe_digest for each in self.features}


def approved_fit(standing: Standing, template: str, certificate: str) -> ApprovedFit:
    """Give the approved use of a known template under a certificate, by their digests.

    Raises:
        SafeRoomError: `CERTIFICATE_MISMATCH`, also for a template of another kind, or of which
            another owner is the host; `NOT_APPROVED`.
    """
    require_known(standing, template, certificate)
    owner: Final = standing.charter.charter.owner
    fit = standing.templates[template].fit
    if fit is None or fit.owner != owner:
        raise SafeRoomError(Reason.CERTIFICATE_MISMATCH, "a template of another kind or owner")

    def derived() -> OwnerPart:
        return derive_fit_part(owner, fit, standing.features, {owner: standing.charter.digest})

    part, approvals = approved(standing, template, certificate, derived, lambda own: own)
    parts = standing.certificates[certificate].parts
    if part.fit is None or tuple(each.owner for each in parts) != fit.owners:
        raise SafeRoomError(Reason.CERTIFICATE_MISMATCH, "a part of another kind, or other owners")
    require_fitted(fit, all_columns(parts))
    others = tuple(each for each in parts if each.owner != owner)
    own = fit.features_of(owner)
    features = tuple(standing.features[FeatureRef.parse(name)] for name in own)
    label = standing.features[FeatureRef.parse(fit.label)]
    return ApprovedFit(fit, part.fit, features, label, approvals, others)
