"""Which expressions a feature's SQL may hold: a walk over DuckDB's own syntax tree, default-deny.

Every class, type, key, function, cast and literal must be listed here; anything else is refused by
name and place, so that what a later DuckDB adds to its tree is refused too. The subject's key may
be selected, grouped by, joined on, counted, and tested for NULL: never compared, so that no
feature can be about one named subject.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from contextlib import contextmanager
from datetime import date
from typing import Final

from saferoom_enclaves.features.textual import Kind, is_mixed, kind_of
from saferoom_enclaves.features.tree import PLACES, ColumnPlace, Node, Scope, UnknownForm
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements.feature import ColumnType

MAX_DEPTH: Final = 64
"""Deepest nesting. The walk takes two Python frames a level; an honest feature has some ten."""

# The keys that each kind of node must have beside its class, type and place, and no others.
_CHILDREN: Final[dict[tuple[str, str], tuple[str, ...]]] = {
    ("CONJUNCTION", "CONJUNCTION_AND"): ("children",),
    ("CONJUNCTION", "CONJUNCTION_OR"): ("children",),
    ("OPERATOR", "OPERATOR_NOT"): ("children",),
    ("OPERATOR", "OPERATOR_COALESCE"): ("children",),
    ("OPERATOR", "COMPARE_IN"): ("children",),
    ("BETWEEN", "COMPARE_BETWEEN"): ("input", "lower", "upper"),
    ("COMPARISON", "COMPARE_EQUAL"): ("left", "right"),
    ("COMPARISON", "COMPARE_NOTEQUAL"): ("left", "right"),
    ("COMPARISON", "COMPARE_LESSTHAN"): ("left", "right"),
    ("COMPARISON", "COMPARE_GREATERTHAN"): ("left", "right"),
    ("COMPARISON", "COMPARE_LESSTHANOREQUALTO"): ("left", "right"),
    ("COMPARISON", "COMPARE_GREATERTHANOREQUALTO"): ("left", "right"),
}

_NULL_TESTS: Final = {("OPERATOR", "OPERATOR_IS_NULL"), ("OPERATOR", "OPERATOR_IS_NOT_NULL")}
_TRUTH_TESTS: Final = {
    ("COMPARISON", "COMPARE_DISTINCT_FROM"),
    ("COMPARISON", "COMPARE_NOT_DISTINCT_FROM"),
}

_CONDITIONS: Final = {"CONJUNCTION_AND", "CONJUNCTION_OR", "OPERATOR_NOT"}

# Functions by the least and most arguments they take. None fails on a value but by its size
# (division by zero is NULL in our connections), none depends on time, chance, settings or the order
# of rows.
_SCALARS: Final[dict[str, tuple[int, int]]] = {
    **dict.fromkeys(("+", "-"), (1, 2)),
    **dict.fromkeys(("*", "/", "//", "%", "nullif", "left", "starts_with"), (2, 2)),
    **dict.fromkeys(("abs", "floor", "ceil", "ceiling"), (1, 1)),
    **dict.fromkeys(("year", "quarter", "month", "day"), (1, 1)),
    **dict.fromkeys(("length", "lower", "upper", "trim"), (1, 1)),
    **dict.fromkeys(("greatest", "least"), (2, 8)),
    "round": (1, 2),
    "date_part": (2, 2),
    "date_trunc": (2, 2),
    "date_diff": (3, 3),
    "datediff": (3, 3),
}
_AGGREGATES: Final[dict[str, tuple[int, int]]] = {
    "count_star": (0, 0),
    **dict.fromkeys(("count", "sum", "avg", "mean", "min", "max", "median"), (1, 1)),
    **dict.fromkeys(("bool_and", "bool_or", "stddev", "stddev_samp"), (1, 1)),
    **dict.fromkeys(("arg_min", "arg_max"), (2, 2)),
}
_OF_DATE_PARTS: Final = {"date_part", "date_trunc", "date_diff", "datediff"}
_DATE_PARTS: Final = {"year", "quarter", "month", "week", "day"}
_INTERVALS: Final = {"to_years", "to_months", "to_weeks", "to_days"}
_CAST_TYPES: Final = {
    *("bigint", "integer", "double", "decimal", "date", "boolean", "varchar", "text")
}
_LITERALS: Final = {"INTEGER", "NUMERIC", "STRING", "BOOLEAN", "NULL_LITERAL"}
_SUBJECT_FORM: Final = re.compile(r"[0-9A-Za-z]{18}")
"""Anywhere in a text: of a longer one, left() would leave the code."""
_COUNT: Final = re.compile(r"[0-9]{1,4}")

PARAMETER: Final = "as_of"
"""The one parameter: the date that the feature is about, in place of today."""


class Walk:
    """One walk over one statement's expressions: knows the text, to say where something stands."""

    def __init__(self, sql: str) -> None:
        self._text = sql.encode()
        self._at = 0
        self._depth = 0
        self.scope = Scope()
        self.read: Final = list[ColumnPlace]()
        """Every column that was resolved, the subject's keys too."""

    def refusal(self, rule: str, at: int | None = None) -> SafeRoomError:
        """Makes the author's refusal of what the walk stands at, or of another byte."""
        before = self._text[: self._at if at is None else at].decode(errors="replace")
        line = before.count("\n") + 1
        column = len(before) - before.rfind("\n")
        placed = f"line {line} column {column}: {rule}"
        return SafeRoomError(Reason.MALFORMED_SQL, placed, [FieldFault("sql", placed)])

    @contextmanager
    def known_forms(self) -> Generator[None]:
        """Turns a form that the tree's values do not know into a refusal at this place."""
        try:
            yield
        except RecursionError:
            raise self.refusal(f"nested more than {MAX_DEPTH} deep") from None
        except UnknownForm as error:
            raise self.refusal(str(error)) from error

    def enter(self, node: Node, keys: set[str], optional: frozenset[str] = frozenset()) -> None:
        """Steps on a node, and refuses it unless its parts are the known ones."""
        self._at = node.place if node.place is not None else self._at
        found = node.keys("class", "type", *PLACES)
        if not keys <= found <= keys | optional:
            unknown = ", ".join(sorted((found - keys - optional) | (keys - found)))
            raise self.refusal(f"{node.title} is not of a known form ({unknown})")

    def column(self, node: Node) -> ColumnPlace:
        """Resolves a column reference."""
        if node.kind != ("COLUMN_REF", "COLUMN_REF"):
            raise self.refusal("a column is expected here")
        self.enter(node, {"column_names"})
        self.read.append(self.scope.resolve(node.texts("column_names")))
        return self.read[-1]

    def expression(self, node: Node, *, of_rows: bool) -> None:
        """Checks an expression.

        Args:
            node: its tree.
            of_rows: it is about single rows, so that columns may stand in it; otherwise it is
                about a group, and they may stand only within aggregates.
        """
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self.refusal(f"nested more than {MAX_DEPTH} deep")
        self._at = node.place if node.place is not None else self._at
        match node.kind:
            case ("COLUMN_REF", "COLUMN_REF"):
                self._plain_column(node, of_rows=of_rows)
            case ("CONSTANT", "VALUE_CONSTANT"):
                self._literal(node)
            case ("PARAMETER", "VALUE_PARAMETER"):
                self._parameter(node)
            case ("FUNCTION", "FUNCTION"):
                self._function(node, of_rows=of_rows)
            case ("CASE", "CASE_EXPR"):
                self._case(node, of_rows=of_rows)
            case ("CAST", "OPERATOR_CAST"):
                self._cast(node, of_rows=of_rows)
            case kind if kind in _NULL_TESTS:
                self._null_test(node, of_rows=of_rows)
            case kind if kind in _TRUTH_TESTS:
                self._truth_test(node, of_rows=of_rows)
            case _:
                self._children(node, of_rows=of_rows)
        self._depth -= 1

    def _children(self, node: Node, *, of_rows: bool) -> None:
        keys = _CHILDREN.get(node.kind)
        if keys is None:
            raise self.refusal(f"{node.title} is not allowed")
        self.enter(node, set(keys))
        children = node.nodes("children") if "children" in keys else [node.node(k) for k in keys]
        for child in children:
            if node.kind[1] in _CONDITIONS:
                self.condition(child, of_rows=of_rows)
            else:
                self.expression(child, of_rows=of_rows)
        if node.kind[1].startswith("COMPARE_"):
            self._compared(children)

    def condition(self, node: Node, *, of_rows: bool) -> None:
        """Checks an expression that is to be true or false."""
        self.expression(node, of_rows=of_rows)
        if kind_of(node, self.scope) in {Kind.TEXT, Kind.QUOTED}:
            raise self.refusal("a condition is true or false: compare the text with something")

    def _compared(self, operands: list[Node]) -> None:
        if is_mixed(operands, self.scope):
            raise self.refusal("text is compared with what is no text: write TRY_CAST")

    def _plain_column(self, node: Node, *, of_rows: bool) -> None:
        place = self.column(node)
        if self.scope.is_key(place):
            raise self.refusal(
                "the subject's key may be selected, grouped by, joined on, counted and tested for"
                " NULL, nothing else"
            )
        if not of_rows:
            raise self.refusal(f"{place.column} must stand within an aggregate: rows are grouped")

    def _literal(self, node: Node) -> None:
        self.enter(node, {"literal"})
        literal = node.node("literal")
        if literal.text("kind") not in _LITERALS or literal.keys("kind", "text"):
            raise self.refusal("this kind of literal is not allowed")
        text = literal.parts.get("text")
        searched = (
            _SUBJECT_FORM.search if literal.text("kind") == "STRING" else _SUBJECT_FORM.fullmatch
        )
        if searched(text if isinstance(text, str) else ""):
            raise self.refusal("a literal in the form of a subject's code is not allowed")

    def _parameter(self, node: Node) -> None:
        self.enter(node, {"identifier"})
        if node.text("identifier") != PARAMETER:
            raise self.refusal(f"the only parameter is ${PARAMETER}")

    def _function(self, node: Node, *, of_rows: bool) -> None:
        optional = frozenset({"arguments", "is_operator", "distinct", "filter"})
        self.enter(node, {"function_name", "qualified_name", "order_bys"}, optional)
        name = node.text("function_name").lower()
        aggregate = name in _AGGREGATES
        if name in _INTERVALS:
            self._interval(node)
            return
        self._check_function(node, name, of_rows=of_rows)
        if node.has("filter"):
            self.condition(node.node("filter"), of_rows=True)
        least, most = (_AGGREGATES if aggregate else _SCALARS)[name]
        arguments = self._arguments(node)
        if not least <= len(arguments) <= most:
            raise self.refusal(f"{name} takes {least} to {most} arguments")
        if name in _OF_DATE_PARTS and (arguments[0].literal() or "").lower() not in _DATE_PARTS:
            raise self.refusal(f"{name} takes one of {', '.join(sorted(_DATE_PARTS))}")
        if name == "count" and self._is_key(arguments[0]):
            return
        for argument in arguments:
            self.expression(argument, of_rows=of_rows or aggregate)
        if name == "nullif":
            self._compared(arguments)

    def _check_function(self, node: Node, name: str, *, of_rows: bool) -> None:
        """Holds a function to what it may be called, and where; its arguments come after."""
        aggregate = name in _AGGREGATES
        if name not in _SCALARS and not aggregate:
            raise self.refusal(f"the function {name} is not listed")
        if not node.is_plainly_named("function_name"):
            raise self.refusal("a function is named without a schema")
        if node.parts.get("order_bys") != {"type": "ORDER_MODIFIER"}:
            raise self.refusal("an aggregate has no ORDER BY")
        if not aggregate and (node.has("distinct") or node.has("filter")):
            raise self.refusal(f"{name} has no DISTINCT and no FILTER")
        if aggregate and of_rows:
            raise self.refusal(f"the aggregate {name} may stand only in the value of a GROUP BY")

    def _arguments(self, node: Node) -> list[Node]:
        arguments = node.nodes("arguments")
        if any(argument.keys("expression") for argument in arguments):
            raise self.refusal("arguments have no names")
        return [argument.node("expression") for argument in arguments]

    def _interval(self, node: Node) -> None:
        """Takes INTERVAL n UNIT, with a whole number for n."""
        rule = "an interval is written INTERVAL 12 MONTH, with a whole number"
        try:
            (cast,) = self._arguments(node)
            (count,) = self._arguments(cast.node("child"))
            literal = count.node("child").node("literal")
            self._literal(count.node("child"))
        except (UnknownForm, ValueError) as error:
            raise self.refusal(rule) from error
        if not _COUNT.fullmatch(literal.text("text")):
            raise self.refusal(rule)
        if node.without_places() != _interval_form(node.text("function_name"), literal):
            raise self.refusal(rule)

    def _case(self, node: Node, *, of_rows: bool) -> None:
        self.enter(node, {"case_checks", "else_expr"})
        for check in node.nodes("case_checks"):
            self.enter(check, {"when_expr", "then_expr"})
            self.condition(check.node("when_expr"), of_rows=of_rows)
            self.expression(check.node("then_expr"), of_rows=of_rows)
        self.expression(node.node("else_expr"), of_rows=of_rows)

    def _cast(self, node: Node, *, of_rows: bool) -> None:
        self.enter(node, {"child", "type_expr"}, frozenset({"try_cast"}))
        wanted = self._type(node.node("type_expr"))
        is_date = wanted == "date" and _is_date(node.node("child").literal())
        if node.parts.get("try_cast") is not True and not is_date:
            raise self.refusal("a cast can fail on a value: write TRY_CAST (or DATE '2026-01-31')")
        self.expression(node.node("child"), of_rows=of_rows)

    def _type(self, node: Node) -> str:
        self.enter(node, {"type_name", "qualified_name"}, frozenset({"children"}))
        name = node.text("type_name").lower()
        if node.kind != ("TYPE", "TYPE") or not node.is_plainly_named("type_name"):
            raise self.refusal(f"{node.title} is not allowed")
        if name not in _CAST_TYPES or (node.has("children") and name != "decimal"):
            raise self.refusal(f"the type {name} is not listed, or takes no size")
        for size in node.nodes("children"):
            if size.kind != ("CONSTANT", "VALUE_CONSTANT"):
                raise self.refusal("DECIMAL takes two whole numbers")
            self._literal(size)
        return name

    def _null_test(self, node: Node, *, of_rows: bool) -> None:
        self.enter(node, {"children"})
        for child in node.nodes("children"):
            if not (of_rows and self._is_key(child)):
                self.expression(child, of_rows=of_rows)

    def _truth_test(self, node: Node, *, of_rows: bool) -> None:
        """Takes IS [NOT] TRUE, which the parser writes as a cast and a comparison, and DISTINCT."""
        self.enter(node, {"left", "right"})
        left, right = node.node("left"), node.node("right")
        if left.has("child") and right.literal() in {"true", "false"}:
            truth = left.node("child")
            is_cast = left.without_places() == _cast(truth.without_places(), "BOOLEAN")
            if is_cast and self._is_truth(truth):
                left = truth  # it is a truth already: the cast does nothing
        self.expression(left, of_rows=of_rows)
        self.expression(right, of_rows=of_rows)
        self._compared([left, right])

    def _is_truth(self, node: Node) -> bool:
        match node.kind:
            case ("COLUMN_REF", _):
                return self.scope.type_of(self.column(node)) is ColumnType.BOOLEAN
            case ("COMPARISON" | "CONJUNCTION" | "BETWEEN", _):
                return True
            case ("OPERATOR", kind):
                return kind != "OPERATOR_COALESCE"
            case ("FUNCTION", _):
                return node.text("function_name") in {"bool_and", "bool_or", "starts_with"}
            case _:
                return False

    def _is_key(self, node: Node) -> bool:
        return node.kind[0] == "COLUMN_REF" and self.scope.is_key(self.column(node))


def _interval_form(unit: str, literal: Node) -> object:
    """Gives the tree that the parser makes of INTERVAL n UNIT: to_units(trunc(n))."""
    count = {"class": "CONSTANT", "type": "VALUE_CONSTANT", "literal": literal.parts}
    return _call(unit, _cast(_call("trunc", _cast(count, "DOUBLE")), "INTEGER"))


def _call(name: str, argument: object) -> dict[str, object]:
    return {
        "class": "FUNCTION",
        "type": "FUNCTION",
        "function_name": name,
        "qualified_name": {"path": [name]},
        "order_bys": {"type": "ORDER_MODIFIER"},
        "arguments": [{"expression": argument}],
    }


def _cast(child: object, name: str) -> dict[str, object]:
    wanted = {
        "class": "TYPE",
        "type": "TYPE",
        "type_name": name,
        "qualified_name": {"path": [name]},
    }
    return {"class": "CAST", "type": "OPERATOR_CAST", "child": child, "type_expr": wanted}


def _is_date(text: str | None) -> bool:
    try:
        return text is not None and date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
