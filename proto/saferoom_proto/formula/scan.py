"""The alphabet of a check's formula: its text cut into tokens, or refused at a line and column.

sqlglot's own tokenizer reads far more than a check may say, and its parser turns much of that into
the same nodes (`$x` and `:x`, `==` and `=`, `IS UNKNOWN` and `IS NULL`). So the parser is given
tokens made here, from a closed alphabet, and never sees the text. Names reach it as quoted
identifiers, so that no name can ever be taken for a keyword or a function.
"""

from __future__ import annotations

import re
from typing import Final

from sqlglot import Token, TokenType

from saferoom_proto.formula.tree import check_class
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError

MAX_BYTES: Final = 4096
"""Longest formula, in bytes of UTF-8: about 60 bytes for each of the 64 nodes."""

MAX_NESTING: Final = 16
"""Deepest tree; also most parentheses, and most NOTs, open at one place.

sqlglot's parser recurses about 21 frames for a parenthesis and 8 for a NOT (measured, 30.30), so
16 of both stay well under Python's limit of 1000.
"""

MAX_NODES: Final = 64
"""Most nodes (AND, OR, NOT and questions) of a tree: what an approver can still read."""

_NAME: Final = r"[a-z][a-z0-9_]{0,62}"
_LEXEME: Final = re.compile(
    rf"""
      (?P<space>   [ \t\r\n]+ )
    | (?P<string>  '(?:[^']|'')*' )
    | (?P<feature> (?P<owner>{_NAME})\.(?P<name>{_NAME}) (?![\w.]) )
    | (?P<param>   :{_NAME} (?!\w) )
    | (?P<number>  -?[0-9]{{1,38}}(?:\.[0-9]{{1,38}})? (?![\w.]) )
    | (?P<word>    [A-Za-z_]\w* )
    | (?P<sign>    >=|<=|<>|!=|[<>=(),] )
    """,
    re.VERBOSE | re.ASCII,
)

_KEYWORDS: Final = {
    "AND": TokenType.AND,
    "OR": TokenType.OR,
    "NOT": TokenType.NOT,
    "IN": TokenType.IN,
    "IS": TokenType.IS,
    "NULL": TokenType.NULL,
    "TRUE": TokenType.TRUE,
    "FALSE": TokenType.FALSE,
}

_SIGNS: Final = {
    ">=": TokenType.GTE,
    "<=": TokenType.LTE,
    "<>": TokenType.NEQ,
    "!=": TokenType.NEQ,
    "<": TokenType.LT,
    ">": TokenType.GT,
    "=": TokenType.EQ,
    "(": TokenType.L_PAREN,
    ")": TokenType.R_PAREN,
    ",": TokenType.COMMA,
}

_CONSTANTS: Final = frozenset({TokenType.NULL, TokenType.TRUE, TokenType.FALSE})
_COMPARISONS: Final = frozenset(_SIGNS.values()) - {
    TokenType.L_PAREN,
    TokenType.R_PAREN,
    TokenType.COMMA,
}
_VALUE: Final = frozenset({TokenType.NUMBER, TokenType.STRING, TokenType.COLON})
_CONDITION: Final = _VALUE | {TokenType.NOT, TokenType.L_PAREN, TokenType.IDENTIFIER}
_JOIN: Final = frozenset({TokenType.AND, TokenType.OR, TokenType.R_PAREN})
_FOLLOWERS: Final[dict[TokenType, frozenset[TokenType]]] = {
    TokenType.AND: _CONDITION,
    TokenType.OR: _CONDITION,
    TokenType.NOT: _CONDITION | {TokenType.IN},
    TokenType.L_PAREN: _CONDITION,
    TokenType.R_PAREN: _JOIN,
    TokenType.COMMA: _VALUE - {TokenType.NUMBER},
    TokenType.IN: frozenset({TokenType.L_PAREN}),
    TokenType.IS: _CONSTANTS | {TokenType.NOT, TokenType.COLON},
    TokenType.DOT: frozenset({TokenType.IDENTIFIER}),
    TokenType.COLON: frozenset({TokenType.VAR}),
    TokenType.IDENTIFIER: (
        _COMPARISONS | _JOIN | {TokenType.DOT, TokenType.NOT, TokenType.IN, TokenType.IS}
    ),
    TokenType.NUMBER: _COMPARISONS | _JOIN,
    TokenType.STRING: _COMPARISONS | _JOIN | {TokenType.COMMA},
    TokenType.VAR: _COMPARISONS | _JOIN | {TokenType.COMMA},
    **dict.fromkeys(_CONSTANTS, _JOIN),
    **dict.fromkeys(_COMPARISONS, _VALUE | {TokenType.IDENTIFIER}),
}
"""What may follow each token. sqlglot reads more than SQL does: `x NOT IS NULL`, `(, x)`."""

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
    """Cut a formula into the tokens a check may consist of, for sqlglot's parser.

    Args:
        text: the formula as its template states it.

    Returns:
        The tokens; each knows its offset in the text, from 0, and its line and column, from 1.

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
        tokens += _tokens(text, lexeme)
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


def _tokens(text: str, lexeme: re.Match[str]) -> list[Token]:
    """The tokens of one lexeme: none for space, three for a feature, two for a parameter."""
    start, found = lexeme.start(), lexeme.group()

    def token(kind: TokenType, content: str, offset: int = start) -> Token:
        line = text.count("\n", 0, offset) + 1
        column = offset - text.rfind("\n", 0, offset)
        return Token(kind, content, line, column, offset, offset + len(content) - 1)

    match lexeme.lastgroup:
        case "space":
            tokens: list[Token] = []
        case "string":
            tokens = [token(TokenType.STRING, _content(text, start, found))]
        case "feature":
            point = start + found.index(".")
            tokens = [
                token(TokenType.IDENTIFIER, lexeme["owner"]),
                token(TokenType.DOT, ".", point),
                token(TokenType.IDENTIFIER, lexeme["name"], point + 1),
            ]
        case "param":
            tokens = [token(TokenType.COLON, ":"), token(TokenType.VAR, found[1:], start + 1)]
        case "number":
            tokens = [token(TokenType.NUMBER, found)]
        case "word":
            tokens = [token(_keyword(text, start, found), found.upper())]
        case _:
            tokens = [token(_SIGNS[found], found)]
    return tokens


def _content(text: str, offset: int, string: str) -> str:
    content = string[1:-1].replace("''", "'")
    try:
        check_class(content, "check")
    except SafeRoomError as error:
        raise refusal(text, offset, error.fields[0].rule) from error
    return content


def _keyword(text: str, offset: int, word: str) -> TokenType:
    kind = _KEYWORDS.get(word.upper())
    if kind is not None:
        return kind
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
    previous, before = TokenType.AND, TokenType.AND  # a formula opens like what follows an AND
    for token in tokens:
        kind = token.token_type
        is_not = previous is TokenType.NOT and before is TokenType.IS
        allowed = _FOLLOWERS[TokenType.IS] - {TokenType.NOT} if is_not else _FOLLOWERS[previous]
        if kind not in allowed and kind in _CONSTANTS:
            raise refusal(text, token.start, f"{token.text} stands only after IS or IS NOT")
        if kind not in allowed:
            raise refusal(text, token.start, f"{token.text[:64]} cannot stand here")
        previous, before = kind, previous
    if TokenType.AND not in _FOLLOWERS[previous]:
        raise refusal(text, tokens[-1].start, "the formula breaks off here")


def _check_nesting(text: str, tokens: list[Token]) -> None:
    """Refuse stray parentheses, and what would make the parser or the tree recurse too deep."""
    open_nots = [0]  # the NOTs still waiting for their operand, for each open parenthesis
    operators = 0
    for token in tokens:
        match token.token_type:
            case TokenType.L_PAREN:
                open_nots.append(0)
            case TokenType.R_PAREN:
                open_nots.pop()
                if not open_nots:
                    raise refusal(text, token.start, "this parenthesis was never opened")
            case TokenType.NOT:
                open_nots[-1] += 1
                operators += 1
            case TokenType.AND | TokenType.OR:
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
