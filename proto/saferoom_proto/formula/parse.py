"""From a formula's text to its closed tree: SQL's WHERE grammar, and of it only what a check needs.

    condition  = both { OR both }
    both       = negation { AND negation }
    negation   = [ NOT ] negation | "(" condition ")" | question
    question   = feature | feature comparison value | value comparison feature
               | feature [ NOT ] IN "(" class { "," class } ")"
               | feature IS [ NOT ] ( NULL | TRUE | FALSE | parameter )

That is SQL's own order of binding (ISO/IEC 9075-2, section 6.39): NOT, then AND, then OR. A test
asks DuckDB the same texts.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Final

from saferoom_proto.formula.scan import (
    MAX_BYTES,
    MAX_NESTING,
    MAX_NODES,
    Kind,
    Token,
    refusal,
    scan,
)
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

_MIRRORED: Final = {">=": "<=", ">": "<", "<": ">", "<=": ">="}
_VALUES: Final = frozenset({Kind.NUMBER, Kind.STRING, Kind.PARAM})


def parse_formula(text: str) -> Node:
    """Read a formula, or refuse it by name and position.

    Args:
        text: the formula as its template states it; at most 4 KiB.

    Returns:
        The tree: at most 64 nodes, at most 16 deep, each parameter with one feature only.

    Raises:
        SafeRoomError: `MALFORMED_FORMULA`, with line and column of what is not allowed.
    """
    node = _Reader(text, scan(text)).formula()
    size, depth = _measure(node)
    if size > MAX_NODES:
        raise refusal(text, 0, f"{size} nodes, more than {MAX_NODES}")
    if depth > MAX_NESTING:
        raise refusal(text, 0, f"nested more than {MAX_NESTING} deep")
    if len(format_formula(node).encode()) > MAX_BYTES:
        raise refusal(text, 0, f"written out in full it has more than {MAX_BYTES} bytes")
    parameters(node)
    return node


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


class _Reader:
    """Reads the tokens of one text from left to right; a method for each rule of the grammar.

    `scan` has bounded how deep NOTs and parentheses stand, and with it the recursion.
    """

    def __init__(self, text: str, tokens: list[Token]) -> None:
        self._text: Final = text
        self._tokens: Final = tokens
        self._at = 0

    def formula(self) -> Node:
        """The whole text as one condition."""
        node = self._condition()
        if (token := self._next()) is not None:
            raise self._misplaced(token)
        return node

    def _condition(self) -> Node:
        return self._joined(Kind.OR, self._both, any_of)

    def _both(self) -> Node:
        return self._joined(Kind.AND, self._negation, all_of)

    def _joined(
        self, word: Kind, part: Callable[[], Node], join: Callable[[list[Node]], Node]
    ) -> Node:
        parts = [part()]
        while self._took(word) is not None:
            parts.append(part())
        return join(parts) if len(parts) > 1 else parts[0]

    def _negation(self) -> Node:
        if self._took(Kind.NOT) is not None:
            bare = self._next()
            node = self._negation()
            # NOT x IS NULL asks what x IS NOT NULL asks; it is one question, as SQL has it.
            asked = bare is not None and bare.kind is Kind.FEATURE
            if asked and isinstance(node, IsNull) and not node.negated:
                return IsNull(node.feature, negated=True)
            return Not(node)
        if self._took(Kind.OPEN) is not None:
            node = self._condition()
            self._take(Kind.CLOSE)
            return node
        return self._question()

    def _question(self) -> Node:
        """One question about one feature."""
        token = self._token()
        if token.kind is Kind.FEATURE:
            return self._about(token)
        if token.kind not in _VALUES:
            raise self._misplaced(token)
        sign = self._took(Kind.COMPARISON)
        if sign is None:
            raise refusal(self._text, token.start, "a condition on a feature is expected here")
        other = self._token()
        if other.kind is not Kind.FEATURE:
            raise refusal(self._text, token.start, "a comparison has a feature on one side")
        return self._comparison(token, other, _MIRRORED.get(sign.text, sign.text), token)

    def _about(self, token: Token) -> Node:
        feature = FeatureRef.parse(token.text)
        if (sign := self._took(Kind.COMPARISON)) is not None:
            return self._comparison(token, token, sign.text, self._token())
        if self._took(Kind.IS) is not None:
            return self._identity(feature)
        if self._took(Kind.NOT) is not None:
            self._take(Kind.IN)
            return Not(self._membership(token, feature))
        if self._took(Kind.IN) is not None:
            return self._membership(token, feature)
        return Flag(feature)

    def _comparison(self, first: Token, named: Token, sign: str, value: Token) -> Node:
        """A comparison that began with `first`, turned so that its feature stands on the left."""
        if value.kind is Kind.FEATURE:
            raise refusal(self._text, first.start, "features are not compared with features")
        feature = FeatureRef.parse(named.text)
        node: Node
        match sign:
            case ">=" | "<":
                node = Compare(feature, Operator(sign), self._bound(value, feature))
            case "=":
                node = IsIn(feature, (self._class(value),))
            case "<>" | "!=":
                node = Not(IsIn(feature, (self._class(value),)))
            case _:
                raise refusal(
                    self._text,
                    first.start,
                    f"{feature} {sign} is not allowed: cells are half-open, so use >= or < with"
                    " a threshold of the grid",
                )
        self._end(first)
        return node

    def _end(self, first: Token) -> None:
        """Refuse what SQL would read as a comparison of a comparison."""
        after = self._next()
        if after is not None and after.kind is Kind.COMPARISON:
            raise refusal(self._text, first.start, "a comparison has a feature on one side")
        if after is not None and after.kind in {Kind.IS, Kind.IN, Kind.NOT}:
            raise refusal(self._text, first.start, "a feature, owner.name, is expected here")

    def _membership(self, token: Token, feature: FeatureRef) -> IsIn:
        self._take(Kind.OPEN)
        named = [self._class(self._token())]
        while self._took(Kind.COMMA) is not None:
            named.append(self._class(self._token()))
        self._take(Kind.CLOSE)
        try:
            return IsIn(feature, tuple(named))
        except SafeRoomError as error:
            rule = f"{feature} IN: {error.fields[0].rule}"
            raise refusal(self._text, token.start, rule) from error

    def _identity(self, feature: FeatureRef) -> Node:
        negated = self._took(Kind.NOT) is not None
        token = self._token()
        match token.kind:
            case Kind.NULL:
                return IsNull(feature, negated=negated)
            case Kind.TRUE | Kind.FALSE:
                node = IsFlag(feature, token.kind is Kind.TRUE)
            case Kind.PARAM:
                node = IsFlag(feature, Param(token.text))
            case _:
                raise self._misplaced(token)
        return Not(node) if negated else node

    def _bound(self, token: Token, feature: FeatureRef) -> Decimal | Param:
        if token.kind is Kind.PARAM:
            return Param(token.text)
        if token.kind is Kind.NUMBER:
            return Decimal(token.text)
        rule = f"{feature} is compared with a number or a parameter"
        raise refusal(self._text, token.start, rule)

    def _class(self, token: Token) -> str | Param:
        if token.kind is Kind.PARAM:
            return Param(token.text)
        if token.kind is Kind.STRING:
            return token.text
        raise refusal(
            self._text,
            token.start,
            "= and IN name classes as 'strings' or parameters; ask numbers with >= and <, flags"
            " with IS TRUE and IS FALSE",
        )

    def _next(self) -> Token | None:
        """Give the next token, which stays."""
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _took(self, kind: Kind) -> Token | None:
        """Take the next token if it is of this kind."""
        token = self._next()
        if token is None or token.kind is not kind:
            return None
        self._at += 1
        return token

    def _token(self) -> Token:
        """Take the next token, whatever it is."""
        token = self._next()
        if token is None:
            raise refusal(self._text, self._tokens[-1].start, "the formula breaks off here")
        self._at += 1
        return token

    def _take(self, kind: Kind) -> None:
        token = self._token()
        if token.kind is not kind:
            raise self._misplaced(token)

    def _misplaced(self, token: Token) -> SafeRoomError:
        return refusal(self._text, token.start, f"{token.shown} cannot stand here")
