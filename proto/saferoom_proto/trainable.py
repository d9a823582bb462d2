"""Which features may be trained on, and which columns of an owner they make."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from saferoom_proto.formula import FeatureRef
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements import Feature, FeatureKind, Fit
from saferoom_proto.statements.training import MOST_COLUMNS, columns_of

MOST_LEVEL = 3
"""Identifiers and details of records (level 4) are never a feature of a model."""
_FIELD = "training.features"


def trained_columns(
    refs: Iterable[FeatureRef], defined: Mapping[FeatureRef, Feature], field: str = _FIELD
) -> list[str]:
    """Name the columns that features become, in order.

    Raises:
        SafeRoomError: `NOT_ALLOWED` for a feature of level 4, of a source, or of stated values;
            `TOO_LARGE`.
    """
    columns: list[str] = []
    for ref in refs:
        if defined[ref].level > MOST_LEVEL or defined[ref].kind is FeatureKind.STATED:
            rule = f"{ref} is of level 4, or compared with stated values: nothing is trained on it"
            raise SafeRoomError(Reason.NOT_ALLOWED, rule, [FieldFault(field, rule)])
        if defined[ref].source is not None:
            rule = f"{ref} is asked of a source, about one subject at a time: no model reads it"
            raise SafeRoomError(Reason.NOT_ALLOWED, rule, [FieldFault(field, rule)])
        columns += columns_of(defined[ref])
    require_columns(len(columns))
    return columns


def require_columns(count: int) -> None:
    """Refuse with `TOO_LARGE` more columns than the room's side may have."""
    if count > MOST_COLUMNS:
        rule = f"its features make {count} columns; at most {MOST_COLUMNS}"
        raise SafeRoomError(Reason.TOO_LARGE, rule, [FieldFault(_FIELD, rule)])


def require_rows(fit: Fit, columns: int) -> None:
    """Refuse with `NOT_ALLOWED` a training in the room that asks for too few rows for its columns.

    Which rows there are is then looked at by the enclave alone.
    """
    for field, asked, fewest in zip(
        ("least_rows", "least_events"),
        (fit.least_rows, fit.least_events),
        fit.fewest(columns),
        strict=True,
    ):
        if asked < fewest:
            rule = f"{asked} is too few for what is fitted: at least {fewest}"
            raise SafeRoomError(Reason.NOT_ALLOWED, rule, [FieldFault(f"fit.{field}", rule)])


def pinned_charter(owner: str, owners: Sequence[str], charters: Mapping[str, str]) -> str | None:
    """Give the charter that an owner's part pins: where there are other owners, and only there.

    Raises:
        SafeRoomError: `BAD_CHARTER` for an owner without one.
    """
    if len(owners) == 1:
        return None
    if owner not in charters:
        raise SafeRoomError(Reason.BAD_CHARTER, f"{owner} has no charter in force")
    return charters[owner]
