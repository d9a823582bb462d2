"""Owners' parts of a release certificate of a training in the room."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from saferoom_proto.feature_uses import require_defined, use_by
from saferoom_proto.fits import require_room
from saferoom_proto.formula import FeatureRef
from saferoom_proto.owner_part import OwnerPart
from saferoom_proto.pinned import PinnedFeature
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements import Feature, FeatureKind, Fit
from saferoom_proto.statements.fit import FitFigure, FitPart
from saferoom_proto.trainable import (
    pinned_charter,
    require_columns,
    require_rows,
    trained_columns,
)


def derive_fit_part(
    owner: str,
    fit: Fit,
    pinned: Mapping[FeatureRef, PinnedFeature],
    charters: Mapping[str, str],
) -> OwnerPart:
    """Derive the part of an owner whose features a training in the room reads.

    Args:
        owner: whose part.
        fit: what is trained.
        pinned: features by name; this owner's are enough.
        charters: the digests of charters in force by owner; this owner's is enough. Of a training
            of one owner's features none is looked at.

    Raises:
        SafeRoomError: as `derive_training_part`; `NOT_ALLOWED` for a label that is no flag,
            or for too few rows; `TOO_LARGE` for weights that a card has no room for.
    """
    refs = [FeatureRef.parse(name) for name in fit.features_of(owner)]
    read = (*refs, *((FeatureRef.parse(fit.label),) if owner == fit.owner else ()))
    require_defined("fit", read, pinned)
    definitions = {ref: pinned[ref].definition for ref in read}
    columns = trained_columns(refs, definitions, "fit.features")
    if owner == fit.owner:
        _require_flag(read[-1], definitions)
    require_fitted(fit, columns)
    return OwnerPart(
        owner=owner,
        charter=pinned_charter(owner, fit.owners, charters),
        formula="",
        features=tuple(use_by(pinned[ref]) for ref in sorted(read, key=str)),
        answers=0,
        needs_consent=False,
        fit=FitPart.of(fit, tuple(columns)),
    )


def derive_fit_parts(
    fit: Fit, pinned: Mapping[FeatureRef, PinnedFeature], charters: Mapping[str, str]
) -> tuple[OwnerPart, ...]:
    """Derive all owners' parts; as `derive_fit_part`, and for all their columns together."""
    parts = tuple(derive_fit_part(each, fit, pinned, charters) for each in fit.owners)
    require_fitted(fit, all_columns(parts))
    return parts


def all_columns(parts: Iterable[OwnerPart]) -> list[str]:
    """Name the columns of all owners' parts."""
    return [name for part in parts if part.fit is not None for name in part.fit.columns]


def require_fitted(fit: Fit, columns: Sequence[str]) -> None:
    """Refuse so many columns that there may be too few rows for them, or no room on a card.

    Raises:
        SafeRoomError: `NOT_ALLOWED`, `TOO_LARGE`.
    """
    require_columns(len(columns))
    require_rows(fit, len(columns))
    if FitFigure.WEIGHTS in fit.releases:
        require_room(columns)


def _require_flag(label: FeatureRef, definitions: Mapping[FeatureRef, Feature]) -> None:
    trained_columns((label,), definitions, "fit.label")
    kind = definitions[label].kind
    if kind is not FeatureKind.FLAG:
        rule = f"{label} is of kind {kind}; a label is of kind flag, true or false: name such a one"
        raise SafeRoomError(Reason.NOT_ALLOWED, rule, [FieldFault("fit.label", rule)])
