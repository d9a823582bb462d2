"""How what is not a formula uses features, as an owner's part of a release certificate says it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from saferoom_proto.formula import FeatureRef
from saferoom_proto.owner_part import FeatureUse
from saferoom_proto.pinned import PinnedFeature
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements.feature import CONSENT_FROM_LEVEL


def use_by(pinned: PinnedFeature, cells: int = 1, *, charged: bool = False) -> FeatureUse:
    """Say how something else than a formula uses a feature, charged or not."""
    definition = pinned.definition
    return FeatureUse(
        feature=definition.full_name,
        digest=pinned.digest,
        level=definition.level,
        family=definition.family,
        most_cells=cells,
        charged=charged and definition.level >= CONSENT_FROM_LEVEL,
    )


def require_defined(
    field: str, refs: Iterable[FeatureRef], pinned: Mapping[FeatureRef, PinnedFeature]
) -> None:
    """Refuse with `UNKNOWN_FEATURE` what an owner did not define."""
    faults = [
        FieldFault(field, f"{ref} is not defined by its owner") for ref in refs if ref not in pinned
    ]
    if faults:
        raise SafeRoomError(Reason.UNKNOWN_FEATURE, faults[0].rule, faults)
