"""A bound formula's answer about one subject's cells, and the cuts for which it is charged.

Source: SQL's three-valued logic (ISO/IEC 9075-2, boolean value expression), which is Kleene's:
AND is the minimum, OR the maximum and NOT the mirror of FALSE < UNKNOWN < TRUE.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias, assert_never

from saferoom_proto.formula.tree import (
    Among,
    And,
    AtLeast,
    Bound,
    BoundLeaf,
    FeatureRef,
    IsCell,
    IsNull,
    Not,
    Or,
    bound_leaves,
)
from saferoom_proto.reasons import Reason, SafeRoomError

NULL: Final = "null"
Cut: TypeAlias = int | Literal["null"]
"""What a question asks of a feature: a cut or class by its index (flag: 0), or if it is null."""

_ANSWERS: Final[tuple[bool | None, ...]] = (False, None, True)
"""In Kleene's order, so that a truth is an index."""


def evaluate(node: Bound, cells: Mapping[FeatureRef, int | None]) -> bool | None:
    """The answer for one subject: yes, no, or None where it depends on something unknown.

    Every question is looked at, whatever the others say, so that the work done does not depend on
    the record.

    Args:
        node: the formula.
        cells: the subject's cell of each of the formula's features (`FeatureShape` tells which
            number is which); None is unknown.

    Raises:
        SafeRoomError: `INTERNAL`, if a feature has no cell or a negative one.
    """
    return _ANSWERS[_truth(node, cells)]


def cuts(node: Bound) -> dict[FeatureRef, frozenset[Cut]]:
    """Every cut a formula compares, by feature: what its asker is charged for.

    The answer is a function of the cells between these cuts, so it tells no more than they do. A
    class question is charged each class it names, though `IN ('a', 'b')` alone does not tell a from
    b: what is charged is then the union of what was named, however questions are combined.
    `IS TRUE` and `IS FALSE` ask the flag's one cut. That an answer also tells unknown from known is
    in the price of every feature that can be unknown, and so has no mark here but for `IS NULL`.
    """
    asked: dict[FeatureRef, frozenset[Cut]] = {}
    for leaf in bound_leaves(node):
        match leaf:
            case AtLeast(_, cut):
                new: frozenset[Cut] = frozenset({cut})
            case Among(_, classes):
                new = frozenset(classes)
            case IsCell():
                new = frozenset({0})
            case IsNull():
                new = frozenset({NULL})
            case _:
                assert_never(leaf)
        asked[leaf.feature] = asked.get(leaf.feature, frozenset()) | new
    return asked


def _truth(node: Bound, cells: Mapping[FeatureRef, int | None]) -> int:
    match node:
        case And(parts):
            return min([_truth(part, cells) for part in parts])
        case Or(parts):
            return max([_truth(part, cells) for part in parts])
        case Not(part):
            return len(_ANSWERS) - 1 - _truth(part, cells)
        case _:
            return _ANSWERS.index(_question(node, _cell(node.feature, cells)))


def _question(leaf: BoundLeaf, cell: int | None) -> bool | None:
    """The answer to one question; those of IS are never unknown."""
    match leaf:
        case AtLeast(_, cut):
            return None if cell is None else cell > cut
        case Among(_, classes):
            return None if cell is None else cell in classes
        case IsCell(_, wanted):
            return cell == wanted
        case IsNull(_, negated):
            return (cell is None) != negated
        case _:
            assert_never(leaf)


def _cell(feature: FeatureRef, cells: Mapping[FeatureRef, int | None]) -> int | None:
    if feature not in cells:
        raise SafeRoomError(Reason.INTERNAL, f"no cell given for {feature}")
    cell = cells[feature]
    if cell is not None and cell < 0:
        raise SafeRoomError(Reason.INTERNAL, f"a negative cell given for {feature}")
    return cell
