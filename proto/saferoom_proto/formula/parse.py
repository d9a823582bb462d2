"""From a formula's text to its closed tree: SQL's WHERE grammar, and of it only what a check needs.

sqlglot settles structure and precedence; what it returns is read by default-deny. A kind of node
that is not listed here is refused, and so is a listed node with an argument that is not expected,
so sugar that a later sqlglot hangs onto a known node cannot slip in.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final, cast

from sqlglot import Dialect, ParseError, Token, exp

from saferoom_proto.formula.scan import MAX_BYTES, MAX_NESTING, MAX_NODES, refusal, scan
from saferoom_proto.formula.text import format_formula
from saferoom_proto.formula.tree import (
    And,
    Compare,
    FeatureRef,
    Flag,
    IsFlag,
    IsIn,
    IsNull,
    Node,
    Not,
    Operator,
    Or,
    Param,
    all_of,
    any_of,
)
from saferoom_proto.formula.uses import parameters
from saferoom_proto.reasons import SafeRoomError

_DUCKDB: Final = Dialect.get_or_raise("duckdb")

_BINARY: Final = frozenset({"this", "expression"})
_ARGUMENTS: Final[dict[type[exp.Expr], frozenset[str]]] = {
    exp.Paren: frozenset({"this"}),
    exp.And: _BINARY,
    exp.Or: _BINARY,
    exp.Not: frozenset({"this"}),
    exp.GTE: _BINARY,
    exp.GT: _BINARY,
    exp.LT: _BINARY,
    exp.LTE: _BINARY,
    exp.EQ: _BINARY,
    exp.NEQ: _BINARY,
    exp.In: frozenset({"this", "expressions"}),
    exp.Is: _BINARY,
    exp.Column: frozenset({"this", "table"}),
    exp.Identifier: frozenset({"this", "quoted"}),
    exp.Literal: frozenset({"this", "is_string"}),
    exp.Placeholder: frozenset({"this"}),
    exp.Boolean: frozenset({"this"}),
    exp.Null: frozenset(),
}
"""Every kind of node a formula may hold, with the arguments it may have."""

_COMPARISONS: Final[dict[type[exp.Expr], str]] = {
    exp.GTE: ">=",
    exp.GT: ">",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.EQ: "=",
    exp.NEQ: "<>",
}
_MIRRORED: Final = {">=": "<=", ">": "<", "<": ">", "<=": ">=", "=": "=", "<>": "<>"}


def parse_formula(text: str) -> Node:
    """Read a formula, or refuse it by name and position.

    Args:
        text: the formula as its template states it; at most 4 KiB.

    Returns:
        The tree: at most 64 nodes, at most 16 deep, each parameter with one feature only.

    Raises:
        SafeRoomError: `MALFORMED_FORMULA`, with line and column of what is not allowed.
    """
    tokens = scan(text)
    node = _Reader(text).node(_parse(text, tokens))
    size, depth = _measure(node)
    if size > MAX_NODES:
        raise refusal(text, 0, f"{size} nodes, more than {MAX_NODES}")
    if depth > MAX_NESTING:
        raise refusal(text, 0, f"nested more than {MAX_NESTING} deep")
    if len(format_formula(node).encode()) > MAX_BYTES:
        raise refusal(text, 0, f"written out in full it has more than {MAX_BYTES} bytes")
    parameters(node)
    return node


def _parse(text: str, tokens: list[Token]) -> exp.Expr:
    try:
        (parsed,) = _DUCKDB.parser().parse_into(exp.Condition, tokens)
    except ParseError as error:
        where = error.errors[0]
        lines = text.split("\n")[: int(where["line"]) - 1]
        offset = sum(len(line) + 1 for line in lines) + int(where["col"]) - 1
        raise refusal(text, offset, "this cannot be read here") from error
    if parsed is None:
        raise refusal(text, 0, "the formula is empty")
    return parsed


def _measure(node: Node) -> tuple[int, int]:
    """How many nodes a tree has, and how deep it is."""
    match node:
        case And(parts) | Or(parts):
            measured = [_measure(part) for part in parts]
        case Not(part):
            measured = [_measure(part)]
        case _:
            return 1, 1
    return 1 + sum(size for size, _ in measured), 1 + max(depth for _, depth in measured)


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads sqlglot's tree of one text into ours."""

    text: str

    def node(self, parsed: exp.Expr) -> Node:
        """A condition: a question about one feature, or several joined."""
        self._known(parsed)
        match parsed:
            case exp.Paren():
                return self.node(self._child(parsed, "this"))
            case exp.And() | exp.Or():
                sides = [self.node(self._child(parsed, side)) for side in ("this", "expression")]
                return all_of(sides) if isinstance(parsed, exp.And) else any_of(sides)
            case exp.Not():
                return self._negation(self._child(parsed, "this"))
            case _:
                return self._question(parsed)

    def _question(self, parsed: exp.Expr) -> Node:
        match parsed:
            case exp.In():
                return self._membership(parsed)
            case exp.Is():
                return self._identity(parsed)
            case exp.Column():
                return Flag(self._feature(parsed))
            case _ if type(parsed) in _COMPARISONS:
                return self._comparison(parsed)
            case _:
                raise self._refusal(parsed, "a condition on a feature is expected here")

    def _negation(self, inner: exp.Expr) -> Node:
        """NOT. `x IS NOT NULL` reaches us as NOT over IS NULL, and is one question."""
        node = self.node(inner)
        if isinstance(node, IsNull) and not node.negated and isinstance(inner, exp.Is):
            return IsNull(node.feature, negated=True)
        return Not(node)

    def _comparison(self, parsed: exp.Expr) -> Node:
        left, right = self._child(parsed, "this"), self._child(parsed, "expression")
        sign = _COMPARISONS[type(parsed)]
        if isinstance(left, exp.Column) and isinstance(right, exp.Column):
            raise self._refusal(parsed, "features are not compared with features")
        if not isinstance(left, exp.Column):
            left, right, sign = right, left, _MIRRORED[sign]
        if not isinstance(left, exp.Column):
            raise self._refusal(parsed, "a comparison has a feature on one side")
        feature = self._feature(left)
        match sign:
            case ">=" | "<":
                return Compare(feature, Operator(sign), self._bound(right, feature))
            case "=":
                return IsIn(feature, (self._class(right),))
            case "<>":
                return Not(IsIn(feature, (self._class(right),)))
            case _:
                raise self._refusal(
                    parsed,
                    f"{feature} {sign} is not allowed: cells are half-open, so use >= or < with"
                    " a threshold of the grid",
                )

    def _membership(self, parsed: exp.In) -> Node:
        feature = self._feature(self._child(parsed, "this"))
        named = tuple(self._class(each) for each in cast("list[exp.Expr]", parsed.expressions))
        try:
            return IsIn(feature, named)
        except SafeRoomError as error:
            raise self._refusal(parsed, f"{feature} IN: {error.fields[0].rule}") from error

    def _identity(self, parsed: exp.Is) -> Node:
        feature = self._feature(self._child(parsed, "this"))
        right = self._child(parsed, "expression")
        self._known(right)
        match right:
            case exp.Null():
                return IsNull(feature)
            case exp.Boolean():
                return IsFlag(feature, bool(right.this))
            case exp.Placeholder():
                return IsFlag(feature, Param(str(right.this)))
            case _:
                raise self._refusal(parsed, "IS is followed by TRUE, FALSE, NULL or a parameter")

    def _feature(self, parsed: exp.Expr) -> FeatureRef:
        if not isinstance(parsed, exp.Column):
            raise self._refusal(parsed, "a feature, owner.name, is expected here")
        self._known(parsed)
        owner, name = self._child(parsed, "table"), self._child(parsed, "this")
        self._known(owner)
        self._known(name)
        return FeatureRef(str(owner.this), str(name.this))

    def _bound(self, parsed: exp.Expr, feature: FeatureRef) -> Decimal | Param:
        self._known(parsed)
        if isinstance(parsed, exp.Placeholder):
            return Param(str(parsed.this))
        if isinstance(parsed, exp.Literal) and not parsed.is_string:
            return Decimal(str(parsed.this))
        raise self._refusal(parsed, f"{feature} is compared with a number or a parameter")

    def _class(self, parsed: exp.Expr) -> str | Param:
        self._known(parsed)
        if isinstance(parsed, exp.Placeholder):
            return Param(str(parsed.this))
        if isinstance(parsed, exp.Literal) and parsed.is_string:
            return str(parsed.this)
        raise self._refusal(
            parsed,
            "= and IN name classes as 'strings' or parameters; ask numbers with >= and <, flags"
            " with IS TRUE and IS FALSE",
        )

    def _known(self, parsed: exp.Expr) -> None:
        """Refuse a node that is not of the closed grammar, or has an argument it may not have."""
        allowed = _ARGUMENTS.get(type(parsed))
        if allowed is None:
            raise self._refusal(parsed, f"{type(parsed).__name__} is not allowed")
        given = {name for name, value in parsed.args.items() if value not in (None, False, [])}
        unexpected = sorted(given - allowed)
        if unexpected:
            raise self._refusal(
                parsed, f"{type(parsed).__name__} with {unexpected[0]} is not allowed"
            )

    def _child(self, parsed: exp.Expr, name: str) -> exp.Expr:
        """A node's argument that must be there and be a node itself."""
        child: object = parsed.args.get(name)
        if not isinstance(child, exp.Expr):
            raise self._refusal(parsed, f"{type(parsed).__name__} without {name}")
        return child

    def _refusal(self, parsed: exp.Expr, rule: str) -> SafeRoomError:
        """A refusal at the first place in the text that belongs to the node."""
        around: exp.Expr | None = parsed
        while around is not None:
            places = [int(each.meta["start"]) for each in around.walk() if "start" in each.meta]
            if places:
                return refusal(self.text, min(places), rule)
            around = around.parent
        return refusal(self.text, 0, rule)
