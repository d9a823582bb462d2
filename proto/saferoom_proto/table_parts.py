"""The parts of a certificate of tables: of one owner's, or of those of a sum over owners."""

from __future__ import annotations

from collections.abc import Mapping

from saferoom_proto.feature_uses import require_defined, use_by
from saferoom_proto.formula import FeatureRef
from saferoom_proto.owner_part import OwnerPart
from saferoom_proto.pinned import MAX_CHECK_LEVEL, PinnedFeature
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements import Aggregate
from saferoom_proto.tables.asked import COUNTED, classes_of, plan_of, require_alike
from saferoom_proto.tables.part import TableColumn, TablePart


def derive_table_part(
    aggregate: Aggregate,
    pinned: Mapping[FeatureRef, PinnedFeature],
    charter: str | None = None,
) -> OwnerPart:
    """Derive the part of the one owner whose features tables are made of.

    Args:
        aggregate: what is asked of this owner (`Aggregate.of`).
        pinned: features by name; this owner's are enough.
        charter: of a sum over owners, the digest of this owner's charter in force.

    Raises:
        SafeRoomError: `UNKNOWN_FEATURE`; `NOT_ALLOWED` for what no table tells of a feature;
            `MALFORMED` or `TOO_LARGE` for what is no plan.
    """
    refs = [FeatureRef.parse(name) for name in aggregate.features]
    require_defined("aggregate", refs, pinned)
    shapes = {ref: pinned[ref].shape for ref in refs}
    plan = plan_of(aggregate, shapes)
    told = [FeatureRef.parse(name) for name in aggregate.told_of]
    detailed = [ref for ref in told if pinned[ref].definition.level > MAX_CHECK_LEVEL]
    if detailed and any(each.kind not in COUNTED for each in aggregate.measures):
        rule = f"{detailed[0]} is of level 4: tables with it count, and tell nothing else"
        raise SafeRoomError(Reason.NOT_ALLOWED, rule, [FieldFault("aggregate.measures", rule)])
    uses = tuple(
        use_by(pinned[ref], len(classes_of(shapes[ref])) if ref in told else 1)
        for ref in sorted(refs, key=str)
    )
    table = TablePart(
        columns=tuple(
            TableColumn(feature=each.name, classes=each.classes) for each in plan.dimensions
        ),
        measures=aggregate.measures,
        tables=len(plan.measures) * len(plan.margins),
        cells=plan.numbers,
        rules=aggregate.rules,
        privacy=aggregate.privacy,
        groups=aggregate.groups,
    )
    return OwnerPart(
        owner=aggregate.owner,
        charter=charter,
        formula="",
        features=uses,
        answers=0,
        needs_consent=False,
        table=table,
    )


def table_parts(
    aggregate: Aggregate,
    pinned: Mapping[FeatureRef, PinnedFeature],
    charters: Mapping[str, str],
) -> tuple[OwnerPart, ...]:
    """Derive the parts of all owners whose features tables are made of.

    Args:
        aggregate: what the template asks.
        pinned: features by name, of all owners.
        charters: of a sum over owners, the digests of the charters in force by owner.

    Raises:
        SafeRoomError: as `derive_table_part`; `BAD_CHARTER` for an owner without a charter;
            `NOT_ALLOWED` for cells that do not mean the same at every owner.
    """
    if not aggregate.owners:
        return (derive_table_part(aggregate, pinned),)
    for owner in aggregate.owners:
        if owner not in charters:
            raise SafeRoomError(Reason.BAD_CHARTER, f"{owner} has no charter in force")
    parts = tuple(
        derive_table_part(aggregate.of(owner), pinned, charters[owner])
        for owner in aggregate.owners
    )
    require_alike(aggregate, pinned)
    return parts
