"""A formula meets the grids: parameters filled in, every value found among its feature's cuts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, assert_never

from saferoom_proto.formula.shape import FeatureShape
from saferoom_proto.formula.text import format_formula
from saferoom_proto.formula.tree import (
    Among,
    And,
    AtLeast,
    Bound,
    Compare,
    FeatureRef,
    Flag,
    IsCell,
    IsFlag,
    IsIn,
    IsNull,
    Leaf,
    Node,
    Not,
    Operator,
    Or,
    Param,
    leaves,
)
from saferoom_proto.formula.uses import leaf_params, parameters
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.stated import in_form
from saferoom_proto.statements.feature import FeatureKind

_NUMBER: Final = re.compile(r"-?[0-9]{1,38}(?:\.[0-9]{1,38})?", re.ASCII)
"""Plain digits: no exponent, no space, no digits of other scripts, no NaN or Infinity."""

_KINDS: Final[dict[type[Leaf], FeatureKind]] = {
    Compare: FeatureKind.ORDERED,
    IsIn: FeatureKind.CLASSES,
    Flag: FeatureKind.FLAG,
    IsFlag: FeatureKind.FLAG,
}
_HOW: Final = {
    FeatureKind.ORDERED: "ordered: ask it with >= or <",
    FeatureKind.CLASSES: "unordered: ask it with = or IN and its classes",
    FeatureKind.FLAG: "a flag: ask it with IS TRUE or IS FALSE",
    FeatureKind.STATED: "compared with what is stated alone: ask it with = and a parameter",
}


def bind(
    node: Node,
    params: Mapping[str, str | bool],
    shapes: Mapping[FeatureRef, FeatureShape],
) -> Bound:
    """Fill in a formula's parameters and place every comparison on a cut of its feature's grid.

    Args:
        node: the formula.
        params: a value for each of its parameters and for no other name: a number in plain digits,
            a class's name, or a bool for a flag.
        shapes: the shape of each of its features.

    Raises:
        SafeRoomError: `OFF_DOMAIN` for a parameter missing, unknown or of the wrong type;
            `OFF_GRID` for a value that is no threshold or class of its feature; `UNKNOWN_FEATURE`;
            `MALFORMED_FORMULA` for a question that does not fit its feature's kind.
    """
    expected = parameters(node).keys()
    if expected != params.keys():
        odd = sorted(expected ^ params.keys())
        faults = [
            FieldFault(f"params.{name}", "missing" if name in expected else "not a parameter")
            for name in odd
        ]
        raise SafeRoomError(Reason.OFF_DOMAIN, f"parameters {', '.join(odd)}", faults)
    return _Binder(params, shapes).node(node)


def max_cuts(node: Node, shapes: Mapping[FeatureRef, FeatureShape]) -> dict[FeatureRef, int]:
    """The most cuts one request can ask of each feature while the parameters are still free.

    That is the feature's literals and its parameters, each counted once, and never more than its
    grid has; 0 where only `IS NULL` is asked. For the release certificate, which this also checks:
    a literal off its grid is refused now, not when the first bank asks.

    Raises:
        SafeRoomError: as `bind` does.
    """
    asked: dict[FeatureRef, set[int | Param]] = {}
    parameters(node)
    for leaf in leaves(node):
        shape = shape_of(leaf, shapes)
        cuts = asked.setdefault(leaf.feature, set())
        cuts.update(leaf_params(leaf))
        match leaf:
            case Compare(bound=Decimal() as bound):
                cuts.add(_threshold(shape, bound, "check"))
            case IsIn(classes=classes):
                cuts.update(
                    _class(shape, name, "check") for name in classes if isinstance(name, str)
                )
            case Flag() | IsFlag(value=bool()):
                cuts.add(0)
            case _:
                pass
    for feature, cuts in asked.items():
        if shapes[feature].kind is FeatureKind.STATED and len(cuts) > 1:
            rule = f"{feature}: one value is stated at a time"
            raise SafeRoomError(Reason.MALFORMED_FORMULA, rule, (FieldFault("check", rule),))
    return {feature: min(len(cuts), shapes[feature].cuts) for feature, cuts in asked.items()}


def stated(
    node: Node,
    params: Mapping[str, str | bool],
    shapes: Mapping[FeatureRef, FeatureShape],
) -> dict[FeatureRef, str]:
    """Give what a formula with its parameters states, by feature, in the feature's form.

    The bound formula asks whether each of them is the value that is held: cell 1 is yes, 0 no.

    Raises:
        SafeRoomError: as `bind` does; `OFF_DOMAIN` if nothing is left of a value in its form.
    """
    binder = _Binder(params, shapes)
    return {
        leaf.feature: binder.said(leaf)
        for leaf in leaves(node)
        if isinstance(leaf, IsIn) and shapes[leaf.feature].kind is FeatureKind.STATED
    }


def shape_of(leaf: Leaf, shapes: Mapping[FeatureRef, FeatureShape]) -> FeatureShape:
    """The shape of a question's feature, having checked that the question fits it.

    Raises:
        SafeRoomError: `UNKNOWN_FEATURE` or `MALFORMED_FORMULA`.
    """
    shape = shapes.get(leaf.feature)
    if shape is None:
        rule = f"{leaf.feature} is not defined by its owner"
        raise SafeRoomError(Reason.UNKNOWN_FEATURE, rule, (FieldFault("check", rule),))
    if isinstance(leaf, IsNull):
        if not shape.can_be_unknown:
            raise _misfit(leaf, "never unknown: its absence means no")
    elif shape.kind is FeatureKind.STATED:
        if not (isinstance(leaf, IsIn) and _is_one_parameter(leaf)):
            raise _misfit(leaf, _HOW[shape.kind])
    elif _KINDS[type(leaf)] is not shape.kind:
        raise _misfit(leaf, _HOW[shape.kind])
    return shape


@dataclass(frozen=True, slots=True)
class _Binder:
    """Binds one formula with one set of parameters."""

    params: Mapping[str, str | bool]
    shapes: Mapping[FeatureRef, FeatureShape]

    def node(self, node: Node) -> Bound:
        match node:
            case And(parts):
                return And(tuple(self.node(part) for part in parts))
            case Or(parts):
                return Or(tuple(self.node(part) for part in parts))
            case Not(part):
                return Not(self.node(part))
            case _:
                return self._leaf(node)

    def _leaf(self, leaf: Leaf) -> Bound:
        shape = shape_of(leaf, self.shapes)
        match leaf:
            case Compare(feature, op, bound):
                at_least = AtLeast(feature, self._cut(shape, bound))
                return at_least if op == Operator.AT_LEAST else Not(at_least)
            case IsIn(feature) if shape.kind is FeatureKind.STATED:
                self.said(leaf)
                return AtLeast(feature, 0)
            case IsIn(feature, classes):
                return Among(feature, frozenset(self._index(shape, each) for each in classes))
            case Flag(feature):
                return AtLeast(feature, 0)
            case IsFlag(feature, value):
                return IsCell(feature, int(self._flag(value)))
            case IsNull():
                return leaf
            case _:
                assert_never(leaf)

    def said(self, leaf: IsIn) -> str:
        """Give the value that a question of stated values states, in its feature's form."""
        shape = shape_of(leaf, self.shapes)
        (param,) = leaf.classes
        if shape.form is None or not isinstance(param, Param):
            raise _misfit(leaf, _HOW[FeatureKind.STATED])
        said = in_form(self._text(param)[0], shape.form)
        if not said:
            raise _off_domain(param, f"nothing is left of it in the form of {shape.form}")
        return said

    def _cut(self, shape: FeatureShape, bound: Decimal | Param) -> int:
        if isinstance(bound, Decimal):
            return _threshold(shape, bound, "check")
        value, field = self._text(bound)
        if _NUMBER.fullmatch(value) is None:
            raise _off_grid(shape, field, "it is not a number in plain digits")
        return _threshold(shape, Decimal(value), field)

    def _index(self, shape: FeatureShape, name: str | Param) -> int:
        if isinstance(name, str):
            return _class(shape, name, "check")
        value, field = self._text(name)
        return _class(shape, value, field)

    def _flag(self, value: bool | Param) -> bool:
        if isinstance(value, bool):
            return value
        given = self.params[value.name]
        if isinstance(given, bool):
            return given
        raise _off_domain(value, "true or false is expected")

    def _text(self, param: Param) -> tuple[str, str]:
        """A parameter's value, and the field's name for a refusal."""
        given = self.params[param.name]
        if isinstance(given, bool):
            raise _off_domain(param, "text is expected: a number's digits or a class's name")
        return given, f"params.{param.name}"


def _is_one_parameter(leaf: IsIn) -> bool:
    return len(leaf.classes) == 1 and isinstance(leaf.classes[0], Param)


def _threshold(shape: FeatureShape, bound: Decimal, field: str) -> int:
    if bound not in shape.grid:
        raise _off_grid(shape, field, "it is not one of the feature's thresholds")
    return shape.grid.index(bound)


def _class(shape: FeatureShape, name: str, field: str) -> int:
    if name not in shape.classes:
        raise _off_grid(shape, field, "it is not one of the feature's classes")
    return shape.classes.index(name)


def _off_grid(shape: FeatureShape, field: str, rule: str) -> SafeRoomError:
    told = f"{shape.ref}: {rule}"
    return SafeRoomError(Reason.OFF_GRID, f"{field}: {told}", (FieldFault(field, told),))


def _off_domain(param: Param, rule: str) -> SafeRoomError:
    field = f"params.{param.name}"
    return SafeRoomError(Reason.OFF_DOMAIN, f"{field}: {rule}", (FieldFault(field, rule),))


def _misfit(leaf: Leaf, rule: str) -> SafeRoomError:
    told = f"{format_formula(leaf)}: {leaf.feature} is {rule}"
    return SafeRoomError(Reason.MALFORMED_FORMULA, told, (FieldFault("check", told),))
