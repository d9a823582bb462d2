"""A formula's canonical text: one text for one tree, which reads back as that tree."""

from __future__ import annotations

from decimal import Decimal
from typing import assert_never

from saferoom_proto.formula.tree import (
    And,
    Compare,
    Flag,
    IsFlag,
    IsIn,
    IsNull,
    Leaf,
    Node,
    Not,
    Or,
    Param,
)


def format_formula(node: Node) -> str:
    """Write a formula the one way the room writes it, for approvers to read.

    `parse_formula` of the text gives an equal tree.
    """
    match node:
        case And(parts):
            return " AND ".join(_inside(part) for part in parts)
        case Or(parts):
            return " OR ".join(_inside(part) for part in parts)
        case Not(IsIn() | IsFlag() as leaf):
            return _leaf(leaf, negated=True)
        case Not(part):
            return f"NOT {_operand(part)}"
        case _:
            return _leaf(node)


def format_number(number: Decimal) -> str:
    """Write a number in plain digits, without an exponent or needless zeros."""
    digits = f"{number:f}"
    if "." in digits:
        digits = digits.rstrip("0").rstrip(".")
    return "0" if number.is_zero() else digits


def _inside(part: Node) -> str:
    """A part of AND or OR; each in parentheses within the other, so none needs SQL's precedence."""
    text = format_formula(part)
    return f"({text})" if isinstance(part, And | Or) else text


def _operand(part: Node) -> str:
    """What NOT stands before: in parentheses, unless it is a flag."""
    text = format_formula(part)
    return text if isinstance(part, Flag) else f"({text})"


def _leaf(leaf: Leaf, *, negated: bool = False) -> str:
    """One question; IN and IS take their NOT inside."""
    inner_not = "NOT " if negated else ""
    match leaf:
        case Compare(feature, op, bound):
            return f"{feature} {op} {_value(bound)}"
        case IsIn(feature, (only,)):
            return f"{feature} {'<>' if negated else '='} {_value(only)}"
        case IsIn(feature, classes):
            return f"{feature} {inner_not}IN ({', '.join(_value(name) for name in classes)})"
        case Flag(feature):
            return str(feature)
        case IsFlag(feature, value):
            return f"{feature} IS {inner_not}{_value(value)}"
        case IsNull(feature, is_not):
            return f"{feature} IS {'NOT ' if is_not else ''}NULL"
        case _:
            assert_never(leaf)


def _value(value: Decimal | str | bool | Param) -> str:
    match value:
        case bool():
            return "TRUE" if value else "FALSE"
        case Decimal():
            return format_number(value)
        case Param():
            return str(value)
        case _:
            return "'" + value.replace("'", "''") + "'"
