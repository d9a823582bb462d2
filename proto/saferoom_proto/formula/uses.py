"""What a formula uses: its features, its parameters, and each owner's part of it."""

from __future__ import annotations

from saferoom_proto.formula.text import format_formula
from saferoom_proto.formula.tree import (
    And,
    Compare,
    FeatureRef,
    IsFlag,
    IsIn,
    Leaf,
    Node,
    Param,
    all_of,
    leaves,
)
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError


def features(node: Node) -> frozenset[FeatureRef]:
    """Every feature a formula asks about."""
    return frozenset(leaf.feature for leaf in leaves(node))


def parameters(node: Node) -> dict[str, FeatureRef]:
    """Every parameter of a formula with the feature it is compared with, in order of appearance.

    Raises:
        SafeRoomError: `MALFORMED_FORMULA`, if one is used with two features: its domain is the
            grid of one.
    """
    found: dict[str, FeatureRef] = {}
    for leaf in leaves(node):
        for param in leaf_params(leaf):
            feature = found.setdefault(param.name, leaf.feature)
            if feature != leaf.feature:
                raise _malformed(f"{param} is used with {feature} and with {leaf.feature}")
    return found


def leaf_params(leaf: Leaf) -> tuple[Param, ...]:
    """The parameters in one question."""
    match leaf:
        case Compare(bound=Param() as param) | IsFlag(value=Param() as param):
            return (param,)
        case IsIn(classes=classes):
            return tuple(each for each in classes if isinstance(each, Param))
        case _:
            return ()


def split_by_owner(node: Node) -> dict[str, Node]:
    """Split a formula into its owners' parts, of which it is the conjunction.

    Returns:
        For each owner, in order of appearance, the conjunction of the parts about its features.

    Raises:
        SafeRoomError: `MALFORMED_FORMULA`, naming a part that mixes the features of two owners: no
            enclave alone could tell whether it holds.
    """
    parts: dict[str, list[Node]] = {}
    for conjunct in node.parts if isinstance(node, And) else (node,):
        owners = sorted({feature.owner for feature in features(conjunct)})
        if len(owners) > 1:
            raise _malformed(
                f"{format_formula(conjunct)}: mixes {' and '.join(owners)}; a formula over several"
                " owners is a conjunction of parts of one owner each"
            )
        parts.setdefault(owners[0], []).append(conjunct)
    return {owner: all_of(own) for owner, own in parts.items()}


def _malformed(rule: str) -> SafeRoomError:
    return SafeRoomError(Reason.MALFORMED_FORMULA, rule, (FieldFault("check", rule),))
