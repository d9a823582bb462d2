"""The release plan that a template of tables amounts to, with the features it names.

Derived by the proposer's client, every approver's client, the room and the owner's enclave, and
never written by hand; so is the part of a release certificate that it gives.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Final, assert_never

from saferoom_proto.formula import FeatureRef, FeatureShape, format_number
from saferoom_proto.pinned import PinnedFeature
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements.aggregate import Aggregate, MeasureKind, TableMeasure, TableRules
from saferoom_proto.statements.feature import FeatureKind, StatedForm
from saferoom_proto.tables.plan import (
    Dimension,
    Margin,
    Measure,
    ReleasePlan,
    Variable,
    every_margin,
)
from saferoom_proto.tables.rules import Rules

UNKNOWN: Final = "unknown"
"""The class of those of whom nothing is known, where a feature's absence means that."""

ADDED: Final = frozenset({MeasureKind.SUM, MeasureKind.MEAN})
"""Measures that add a feature's values up."""

COUNTED: Final = frozenset({MeasureKind.COUNT, MeasureKind.HISTOGRAM})
"""Measures that count; of identifiers and record-level detail nothing else is told (level 4)."""

Shapes = Mapping[FeatureRef, FeatureShape]


def plan_of(aggregate: Aggregate, shapes: Shapes, epoch: int = 0) -> ReleasePlan:
    """Derive the plan of a template's tables.

    Args:
        aggregate: what the template asks.
        shapes: the features it names, all of them.
        epoch: of the store that it is about; 0 where only its form matters.

    Raises:
        SafeRoomError: `NOT_ALLOWED` for a feature that no table can have so; `MALFORMED` or
            `TOO_LARGE` if it is no plan; the faults name the field.
    """
    counted = [each.of for each in aggregate.measures if each.kind not in ADDED and each.of]
    names = dict.fromkeys((*aggregate.dimensions, *counted))
    _require_held(aggregate, shapes)
    if aggregate.groups is not None:
        _require_codes(shapes[FeatureRef.parse(aggregate.groups)])
    try:
        return ReleasePlan(
            dimensions=tuple(_dimension(name, shapes) for name in names),
            variables=_variables(aggregate, shapes),
            measures=tuple(map(_measure, aggregate.measures)),
            margins=_margins(aggregate),
            epoch=epoch,
        )
    except SafeRoomError as error:
        faults = [FieldFault(f"aggregate.{each.field}", each.rule) for each in error.fields]
        faults = faults or [FieldFault("aggregate", error.detail)]
        raise SafeRoomError(error.reason, error.detail, faults) from None


def plan_of_sum(aggregate: Aggregate, shapes: Shapes) -> ReleasePlan:
    """Derive the plan of all owners' cells together: its columns have no owner in their names."""

    def short(name: str) -> str:
        return name.partition(".")[2]

    plan = plan_of(aggregate.of(aggregate.owner), shapes)
    return replace(
        plan,
        dimensions=tuple(replace(each, name=short(each.name)) for each in plan.dimensions),
        variables=tuple(replace(each, name=short(each.name)) for each in plan.variables),
        measures=tuple(
            replace(each, of=short(each.of)) if each.of else each for each in plan.measures
        ),
        margins=tuple(tuple(map(short, margin)) for margin in plan.margins),
    )


def rules_of(rules: TableRules) -> Rules:
    """Give the rules of one table by itself; that of the days is the enclave's account's."""
    return Rules(**rules.model_dump(exclude={"days"}))


def classes_of(shape: FeatureShape) -> tuple[str, ...]:
    """Name the classes of a feature's column, in the order of its cells; unknown is the last.

    Raises:
        SafeRoomError: `NOT_ALLOWED` for a feature of which values are stated.
    """
    match shape.kind:
        case FeatureKind.ORDERED:
            cuts = [format_number(each) for each in shape.grid]
            between = (f"{low} to below {high}" for low, high in pairwise(cuts))
            named = (f"below {cuts[0]}", *between, f"{cuts[-1]} or more")
        case FeatureKind.FLAG:
            named = ("false", "true")
        case FeatureKind.CLASSES:
            named = shape.classes
        case FeatureKind.STATED:
            raise _not_so(shape.ref, "values that others state are no column of a table")
        case _:
            assert_never(shape.kind)
    return (*named, UNKNOWN) if shape.can_be_unknown else named


def amount_of(feature: str) -> str:
    """Name the amounts of a feature in a plan, where its classes have the feature's own name."""
    return f"{feature}, added up"


def require_alike(aggregate: Aggregate, pinned: Mapping[FeatureRef, PinnedFeature]) -> None:
    """Refuse a sum of cells that do not mean the same at every owner.

    Raises:
        SafeRoomError: `NOT_ALLOWED`, naming the owner's feature.
    """
    first = aggregate.of(aggregate.owner)
    for owner in aggregate.owners[1:]:
        for like, name in zip(first.told_of, aggregate.of(owner).told_of, strict=True):
            one, other = (pinned[FeatureRef.parse(each)] for each in (like, name))
            if classes_of(one.shape) != classes_of(other.shape):
                raise _not_so(other.shape.ref, f"its classes are others than those of {like}")
            if one.definition.unit != other.definition.unit:
                raise _not_so(other.shape.ref, f"its unit is another than that of {like}")


def _require_codes(shape: FeatureShape) -> None:
    """Refuse what cannot name legal groups."""
    if shape.form is not StatedForm.CODE:
        raise _not_so(shape.ref, "legal groups are named by a feature of stated codes of the store")


def _require_held(aggregate: Aggregate, shapes: Shapes) -> None:
    """Refuse what a provider is asked for: a table counts records that its owner holds."""
    for ref in map(FeatureRef.parse, aggregate.features):
        if shapes[ref].fetched:
            rule = f"{ref} is asked of a source, about one subject at a time: no table counts it"
            raise SafeRoomError(Reason.NOT_ALLOWED, rule, [FieldFault("aggregate", rule)])


def _dimension(name: str, shapes: Shapes) -> Dimension:
    return Dimension(name, classes_of(shapes[FeatureRef.parse(name)]))


def _variables(aggregate: Aggregate, shapes: Shapes) -> tuple[Variable, ...]:
    found: dict[str, Variable] = {}
    for each in aggregate.measures:
        if each.of is None or each.low is None or each.high is None:
            continue
        ref = FeatureRef.parse(each.of)
        if shapes[ref].kind is not FeatureKind.ORDERED:
            raise _not_so(ref, "only the values of an ordered feature are added up")
        named = Variable(amount_of(each.of), float(each.low), float(each.high))
        if found.setdefault(each.of, named) != named:
            fault = FieldFault("measures", f"{ref} has one pair of bounds in all of a plan")
            raise SafeRoomError(Reason.MALFORMED, fault.rule, [fault])
    return tuple(found.values())


def _measure(asked: TableMeasure) -> Measure:
    of = asked.of or ""
    return Measure(asked.kind, amount_of(of) if asked.kind in ADDED else of, asked.classes)


def _margins(aggregate: Aggregate) -> tuple[Margin, ...]:
    if aggregate.ways is not None:
        return every_margin(aggregate.dimensions, aggregate.ways)
    if not all(set(margin) <= set(aggregate.dimensions) for margin in aggregate.margins):
        fault = FieldFault("margins", "a margin is of the plan's own dimensions")
        raise SafeRoomError(Reason.MALFORMED, fault.rule, [fault])
    return aggregate.margins


def _not_so(ref: FeatureRef, rule: str) -> SafeRoomError:
    return SafeRoomError(Reason.NOT_ALLOWED, str(ref), [FieldFault(str(ref), rule)])
