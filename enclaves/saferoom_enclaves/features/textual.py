"""Which expressions of a feature's SQL are text: DuckDB would read text as anything, and stumble.

Compared with a number, a date or a truth, or in a condition's place, text is cast without a word,
and the first value that is none fails the feature for everybody. `TRY_CAST` says what is meant.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum, auto
from typing import Final

from saferoom_enclaves.features.tree import Node, Scope
from saferoom_proto.statements.feature import ColumnType


class Kind(Enum):
    """What an expression's values are, as far as it matters here."""

    TEXT = auto()
    QUOTED = auto()
    """A literal in quotes: it takes the type of what it stands beside, once and for all rows."""
    NULL = auto()
    OTHER = auto()


_GIVE_TEXT: Final = {"left", "lower", "upper", "trim"}
_GIVE_THEIR_FIRST: Final = {"min", "max", "arg_min", "arg_max", "nullif"}
_GIVE_ANY: Final = {"greatest", "least"}
_TEXT_TYPES: Final = {"varchar", "text"}


def kind_of(node: Node, scope: Scope) -> Kind:
    """Tell what a checked expression's values are."""
    match node.kind:
        case ("COLUMN_REF", _):
            place = scope.resolve(node.texts("column_names"))
            return Kind.TEXT if scope.type_of(place) is ColumnType.TEXT else Kind.OTHER
        case ("CONSTANT", _):
            literal = node.node("literal").text("kind")
            return {"STRING": Kind.QUOTED, "NULL_LITERAL": Kind.NULL}.get(literal, Kind.OTHER)
        case ("CAST", _):
            wanted = node.node("type_expr").text("type_name").lower()
            return Kind.TEXT if wanted in _TEXT_TYPES else Kind.OTHER
        case ("CASE", _) | ("OPERATOR", "OPERATOR_COALESCE"):
            return _of_any(_results(node), scope)
        case ("FUNCTION", _):
            return _of_function(node, scope)
        case _:
            return Kind.OTHER


def is_mixed(operands: Iterable[Node], scope: Scope) -> bool:
    """Tell whether text would be compared with what is none."""
    kinds = {kind_of(node, scope) for node in operands}
    return {Kind.TEXT, Kind.OTHER} <= kinds


def _results(node: Node) -> list[Node]:
    """Give what a CASE or COALESCE comes to, one of these."""
    if node.has("children"):
        return node.nodes("children")
    return [
        *(check.node("then_expr") for check in node.nodes("case_checks")),
        node.node("else_expr"),
    ]


def _of_function(node: Node, scope: Scope) -> Kind:
    name = node.text("function_name").lower()
    arguments = [argument.node("expression") for argument in node.nodes("arguments")]
    if name in _GIVE_TEXT:
        return Kind.TEXT
    if name in _GIVE_THEIR_FIRST:
        return kind_of(arguments[0], scope)
    return _of_any(arguments, scope) if name in _GIVE_ANY else Kind.OTHER


def _of_any(nodes: Iterable[Node], scope: Scope) -> Kind:
    """Give the kind of one of several: they are of one type, or DuckDB refuses them."""
    kinds = {kind_of(node, scope) for node in nodes}
    for kind in (Kind.OTHER, Kind.TEXT, Kind.QUOTED):
        if kind in kinds:
            return kind
    return Kind.NULL
