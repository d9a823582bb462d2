"""The alphabet of a check's formula: its text cut into tokens, or refused at a line and column.

The alphabet is closed, and so is what may follow what: SQL's second ways of saying a thing (`$x`,
`==`, `IS UNKNOWN`) never become tokens, and a feature is one token, so that no name in it can be
taken for a keyword or a function.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from saferoom_proto.formula.tree import check_class
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError

MAX_BYTES: Final = 4096
"""Longest formula, in bytes of UTF-8: about 60 bytes for each of the 64 nodes."""

MAX_NESTING: Final = 16
"""Deepest tree; also most parentheses, and most NOTs, open at one place: what the parser recurses
for is bounded before it begins."""

MAX_NODES: Final = 64
"""Most nodes (AND, OR, NOT and questions) of a tree: what an approver can still read."""

_NAME: Final = r"[a-z][a-z0-9_]{0,62}"
_LEXEME: Final = re.compile(
    rf"""
      (?P<space>   [ \t\r\n]+ )
    | (?P<string>  '(?:[^']|'')*' )
    | (?P<feature> {_NAME}\.{_NAME} (?![\w.]) )
    | (?P<param>   :{_NAME} (?!\w) )
    | (?P<number>  -?[0-9]{{1,38}}(?:\.[0-9]{{1,38}})? (?![\w.]) )
    | (?P<word>    [A-Za-z_]\w* )
    | (?P<sign>    >=|<=|<>|!=|[<>=(),] )
    """,
    re.VERBOSE | re.ASCII,
)


class Kind(StrEnum):
    """What a token is."""

    FEATURE = "owner.name"
    PARAM = ":name"
    NUMBER = "number"
    STRING = "string"
    COMPARISON = "comparison"
    OPEN = "("
    CLOSE = ")"
    COMMA = ","
    AND = "AND"
    OR = "OR"
    NOT = "NOT"
    IN = "IN"
    IS = "IS"
    NULL = "NULL"
    TRUE = "TRUE"
    FALSE = "FALSE"


@dataclass(frozen=True, slots=True)
class Token:
    """A token: what it is, its content, and its offset in the text, from 0.

    A string's content is without its quotes, a parameter's without its colon, a keyword's in upper
    case.
    """

    kind: Kind
    text: str
    start: int

    @property
    def shown(self) -> str:
        """Its content as a refusal repeats it."""
        return f":{self.text}" if self.kind is Kind.PARAM else self.text[:64]


_KEYWORDS: Final = frozenset(
    {Kind.AND, Kind.OR, Kind.NOT, Kind.IN, Kind.IS, Kind.NULL, Kind.TRUE, Kind.FALSE}
)
_PUNCTUATION: Final = {"(": Kind.OPEN, ")": Kind.CLOSE, ",": Kind.COMMA}

_CONSTANTS: Final = frozenset({Kind.NULL, Kind.TRUE, Kind.FALSE})
_CONDITION: Final = frozenset(
    {Kind.NUMBER, Kind.STRING, Kind.PARAM, Kind.FEATURE, Kind.NOT, Kind.OPEN}
)
_JOIN: Final = frozenset({Kind.AND, Kind.OR, Kind.CLOSE})
_FOLLOWERS: Final[dict[Kind, frozenset[Kind]]] = {
    Kind.AND: _CONDITION,
    Kind.OR: _CONDITION,
    Kind.NOT: _CONDITION | {Kind.IN},
    Kind.OPEN: _CONDITION,
    Kind.CLOSE: _JOIN,
    Kind.COMMA: frozenset({Kind.STRING, Kind.PARAM}),
    Kind.IN: frozenset({Kind.OPEN}),
    Kind.IS: _CONSTANTS | {Kind.NOT, Kind.PARAM},
    Kind.FEATURE: _JOIN | {Kind.COMPARISON, Kind.NOT, Kind.IN, Kind.IS},
    Kind.NUMBER: _JOIN | {Kind.COMPARISON},
    Kind.STRING: _JOIN | {Kind.COMPARISON, Kind.COMMA},
    Kind.PARAM: _JOIN | {Kind.COMPARISON, Kind.COMMA},
    **dict.fromkeys(_CONSTANTS, _JOIN),
    Kind.COMPARISON: frozenset({Kind.NUMBER, Kind.STRING, Kind.PARAM, Kind.FEATURE}),
}
"""What may follow each token; the parser then settles what belongs to what."""

_CHARACTERS: Final = {
    ";": "a formula is one expression, without semicolons",
    "-": "comments and arithmetic are not allowed",
    "/": "comments and arithmetic are not allowed",
    "#": "comments are not allowed",
    ":": "a parameter is written :name, in lower case; casts are not allowed",
    "?": "a parameter is written :name",
    "$": "a parameter is written :name",
    "@": "a parameter is written :name",
    '"': "a feature is written owner.name, without quotes",
    "`": "a feature is written owner.name, without quotes",
    "'": "this string does not end",
    ".": "a feature is written owner.name, without spaces around the point",
}


def scan(text: str) -> list[Token]:
    """Cut a formula into the tokens a check may consist of.

    Args:
        text: the formula as its template states it.

    Returns:
        The tokens, at least one, each able to follow the one before it.

    Raises:
        SafeRoomError: `MALFORMED_FORMULA` over 4 KiB, at the first thing that is not of the
            alphabet, or where the text is nested deeper than the room reads.
    """
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise refusal(text, 0, f"a formula has at most {MAX_BYTES} bytes")
    tokens: list[Token] = []
    at = 0
    while at < len(text):
        lexeme = _LEXEME.match(text, at)
        if lexeme is None:
            raise refusal(text, at, _why_not(text[at]))
        if lexeme.lastgroup != "space":
            tokens.append(_token(text, lexeme))
        at = lexeme.end()
    if not tokens:
        raise refusal(text, 0, "the formula is empty")
    _check_order(text, tokens)
    _check_nesting(text, tokens)
    return tokens


def refusal(text: str, offset: int, rule: str) -> SafeRoomError:
    """A refusal of the formula that tells its author where and why."""
    line = text.count("\n", 0, offset) + 1
    column = offset - text.rfind("\n", 0, offset)
    placed = f"line {line} column {column}: {rule}"
    return SafeRoomError(Reason.MALFORMED_FORMULA, placed, (FieldFault("check", placed),))


def _token(text: str, lexeme: re.Match[str]) -> Token:
    start, found = lexeme.start(), lexeme.group()
    match lexeme.lastgroup:
        case "string":
            return Token(Kind.STRING, _content(text, start, found), start)
        case "feature":
            return Token(Kind.FEATURE, found, start)
        case "param":
            return Token(Kind.PARAM, found[1:], start)
        case "number":
            return Token(Kind.NUMBER, found, start)
        case "word":
            return Token(_keyword(text, start, found), found.upper(), start)
        case _:
            return Token(_PUNCTUATION.get(found, Kind.COMPARISON), found, start)


def _content(text: str, offset: int, string: str) -> str:
    content = string[1:-1].replace("''", "'")
    try:
        check_class(content, "check")
    except SafeRoomError as error:
        raise refusal(text, offset, error.fields[0].rule) from error
    return content


def _keyword(text: str, offset: int, word: str) -> Kind:
    if word.upper() in _KEYWORDS:
        return Kind(word.upper())
    if text[offset + len(word) :].lstrip().startswith("."):
        raise refusal(
            text, offset, "a feature is written owner.name, in lower case, unquoted and unspaced"
        )
    if word.upper() == "BETWEEN":
        raise refusal(text, offset, "BETWEEN is not allowed: write x >= a AND x < b")
    raise refusal(
        text,
        offset,
        f"{word[:64]} is not allowed: a formula holds owner.name, :name, numbers, 'classes' and"
        " AND, OR, NOT, IN, IS, NULL, TRUE, FALSE",
    )


def _why_not(character: str) -> str:
    if character.isascii() and character.isdigit():
        return "a number is written in digits, with at most 38 on each side of a point"
    if not character.isascii():
        return "characters outside ASCII are allowed in class names only"
    if not character.isprintable():
        return "control characters are not allowed"
    return _CHARACTERS.get(character, f"{character} is not allowed")


def _check_order(text: str, tokens: list[Token]) -> None:
    """Refuse a token that cannot stand after the one before it, and an end that comes too soon."""
    previous, before = Kind.AND, Kind.AND  # a formula opens like what follows an AND
    for token in tokens:
        kind = token.kind
        is_not = previous is Kind.NOT and before is Kind.IS
        allowed = _FOLLOWERS[Kind.IS] - {Kind.NOT} if is_not else _FOLLOWERS[previous]
        if kind not in allowed and kind in _CONSTANTS:
            raise refusal(text, token.start, f"{token.shown} stands only after IS or IS NOT")
        if kind not in allowed:
            raise refusal(text, token.start, f"{token.shown} cannot stand here")
        previous, before = kind, previous
    if Kind.AND not in _FOLLOWERS[previous]:
        raise refusal(text, tokens[-1].start, "the formula breaks off here")


def _check_nesting(text: str, tokens: list[Token]) -> None:
    """Refuse stray parentheses, and what would make the parser or the tree recurse too deep."""
    open_nots = [0]  # the NOTs still waiting for their operand, for each open parenthesis
    operators = 0
    for token in tokens:
        match token.kind:
            case Kind.OPEN:
                open_nots.append(0)
            case Kind.CLOSE:
                open_nots.pop()
                if not open_nots:
                    raise refusal(text, token.start, "this parenthesis was never opened")
            case Kind.NOT:
                open_nots[-1] += 1
                operators += 1
            case Kind.AND | Kind.OR:
                open_nots[-1] = 0
                operators += 1
            case _:
                pass
        if len(open_nots) - 1 > MAX_NESTING or sum(open_nots) > MAX_NESTING:
            raise refusal(text, token.start, f"nested more than {MAX_NESTING} deep")
        if operators > MAX_NODES:
            raise refusal(text, token.start, f"more than {MAX_NODES} nodes")
    if len(open_nots) > 1:
        raise refusal(text, tokens[-1].start, "a parenthesis is not closed")
