"""The owner's part of a release certificate of a training in the room."""

from __future__ import annotations

from collections.abc import Mapping

from saferoom_proto.feature_uses import require_defined, use_by
from saferoom_proto.fits import require_room
from saferoom_proto.formula import FeatureRef
from saferoom_proto.owner_part import OwnerPart
from saferoom_proto.pinned import PinnedFeature
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements import FeatureKind, Fit
from saferoom_proto.statements.fit import FitFigure, FitPart
from saferoom_proto.trainable import require_rows, trained_columns


def derive_fit_part(fit: Fit, pinned: Mapping[FeatureRef, PinnedFeature]) -> OwnerPart:
    """Derive the part of the one owner whose features a training in the room reads.

    Raises:
        SafeRoomError: as `derive_training_part`; `NOT_ALLOWED` for a label that is no flag,
            or for too few rows; `TOO_LARGE` for weights that a card has no room for.
    """
    label = FeatureRef.parse(fit.label)
    refs = [FeatureRef.parse(name) for name in fit.features]
    require_defined("fit", (*refs, label), pinned)
    definitions = {ref: pinned[ref].definition for ref in (*refs, label)}
    columns = trained_columns(refs, definitions, "fit.features")
    trained_columns((label,), definitions, "fit.label")
    if definitions[label].kind is not FeatureKind.FLAG:
        rule = f"{label} is no flag: what is foretold is true or false"
        raise SafeRoomError(Reason.NOT_ALLOWED, rule, [FieldFault("fit.label", rule)])
    require_rows(fit, len(columns))
    if FitFigure.WEIGHTS in fit.releases:
        require_room(columns)
    return OwnerPart(
        owner=fit.owner,
        charter=None,
        formula="",
        features=tuple(use_by(pinned[ref]) for ref in sorted((*refs, label), key=str)),
        answers=0,
        needs_consent=False,
        fit=FitPart.of(fit, tuple(columns)),
    )
