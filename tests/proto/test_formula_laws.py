"""Laws of formulas: they read back, they answer as SQL does, and they tell no more than their cuts.

The reference for SQL is DuckDB itself: the same text, over the records that the cells stand for.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from itertools import product

import duckdb
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from saferoom_proto.formula import (
    NULL,
    Absent,
    Compare,
    FeatureKind,
    FeatureRef,
    FeatureShape,
    Flag,
    IsFlag,
    IsIn,
    IsNull,
    Leaf,
    Node,
    Not,
    Operator,
    Param,
    all_of,
    any_of,
    bind,
    cuts,
    evaluate,
    features,
    format_formula,
    parse_formula,
    split_by_owner,
)
from saferoom_proto.reasons import Reason, SafeRoomError

names = st.from_regex(r"[a-z][a-z0-9_]{0,6}", fullmatch=True) | st.sampled_from(
    ["and", "select", "null", "end", "case", "table", "cast", "date", "z" * 63]
)
refs = st.builds(FeatureRef, names, names)
numbers = st.decimals(
    allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12, places=4
) | st.sampled_from([Decimal(text) for text in ("0", "-0.0", "1e37", "1e-38", "5.50", "1E+3")])
printable = st.characters(exclude_categories=["C", "Z"]) | st.just(" ")
class_names = st.text(printable, min_size=1, max_size=64)


def negation(node: Node) -> Node:
    return Not(node)


def trees(leaf: st.SearchStrategy[Leaf]) -> st.SearchStrategy[Node]:
    def joined(node: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
        several = st.lists(node, min_size=2, max_size=3)
        return several.map(all_of) | several.map(any_of) | node.map(negation)

    return st.recursive(leaf, joined, max_leaves=10)


@st.composite
def any_leaf(draw: st.DrawFn) -> Leaf:
    """A question about any feature; a parameter's name holds its feature's, so each has but one."""
    ref = draw(refs)
    param = Param(f"p_{ref.owner[:20]}_{ref.name[:20]}_{draw(st.integers(0, 2))}")
    match draw(st.integers(0, 4)):
        case 0:
            return Compare(ref, draw(st.sampled_from(Operator)), draw(numbers | st.just(param)))
        case 1:
            named = st.lists(class_names | st.just(param), min_size=1, max_size=8, unique=True)
            return IsIn(ref, tuple(draw(named)))
        case 2:
            return Flag(ref)
        case 3:
            return IsFlag(ref, draw(st.booleans() | st.just(param)))
        case _:
            return IsNull(ref, draw(st.booleans()))


@settings(deadline=None)
@given(trees(any_leaf()))
def test_a_formula_reads_back_from_its_canonical_text(node: Node) -> None:
    text = format_formula(node)
    try:
        read = parse_formula(text)
    except SafeRoomError as error:
        # Only the limits may stand in the way of a tree that the types allow.
        assert any(
            limit in error.fields[0].rule
            for limit in ("nested more than", "more than 64 nodes", "4096 bytes", "is used with")
        )
        assume(False)
    else:
        assert read == node
        assert format_formula(read) == text


@settings(deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_read_or_refused_as_a_formula(text: str) -> None:
    assert_read_or_refused(text)


PIECES = [
    *("AND", "OR", "NOT", "IN", "IS", "NULL", "TRUE", "FALSE"),
    *(">=", "<", "=", "<>", ">", "<=", "(", ")", ",", ".", ":", "-", "'", ";"),
    *("tax.vat", "tax.late", "tax.sector", "court.listed", ":p", "'A'", "'B'", "0", "100", "-1"),
]


def assert_read_or_refused(text: str) -> Node | None:
    try:
        node = parse_formula(text)
    except SafeRoomError as error:
        assert error.reason is Reason.MALFORMED_FORMULA
        assert error.fields[0].field == "check"
        return None
    assert parse_formula(format_formula(node)) == node
    return node


def shape(name: str, kind: FeatureKind, *cells: str) -> FeatureShape:
    grid = tuple(map(Decimal, cells)) if kind is FeatureKind.ORDERED else ()
    classes = cells if kind is FeatureKind.CLASSES else ()
    return FeatureShape(FeatureRef.parse(name), kind, grid, classes, Absent.UNKNOWN)


VAT = shape("tax.vat", FeatureKind.ORDERED, "0", "100")
LATE = shape("tax.late", FeatureKind.FLAG)
SECTOR = shape("tax.sector", FeatureKind.CLASSES, "A", "B", "C")
LISTED = shape("court.listed", FeatureKind.FLAG)
SHAPES = {each.ref: each for each in (VAT, LATE, SECTOR, LISTED)}

# Each record's values with their cells: thresholds themselves, and just beside them.
VALUES: dict[FeatureRef, list[tuple[object, int | None]]] = {
    VAT.ref: [(None, None), ("-0.01", 0), ("0", 1), ("99.99", 1), ("100", 2), ("1e9", 2)],
    LATE.ref: [(None, None), (False, 0), (True, 1)],
    SECTOR.ref: [(None, None), ("A", 0), ("B", 1), ("C", 2)],
    LISTED.ref: [(None, None), (False, 0), (True, 1)],
}
RECORDS = [dict(zip(VALUES, held, strict=True)) for held in product(*VALUES.values())]


@pytest.fixture(scope="module")
def records() -> Iterator[duckdb.DuckDBPyConnection]:
    """Every record as DuckDB sees it, in the order of RECORDS."""
    with duckdb.connect() as connection:
        connection.execute(
            "CREATE TABLE record"
            " (place INT, vat DECIMAL(18, 2), late BOOL, sector TEXT, listed BOOL)"
        )
        connection.executemany(
            "INSERT INTO record VALUES (?, ?, ?, ?, ?)",
            [(place, *(value for value, _ in row.values())) for place, row in enumerate(RECORDS)],
        )
        connection.execute(
            "CREATE VIEW subject AS SELECT place, {'vat': vat, 'late': late, 'sector': sector} tax,"
            " {'listed': listed} court FROM record"
        )
        yield connection


def answers_of(node: Node) -> list[bool | None]:
    question = bind(node, {}, SHAPES)
    return [evaluate(question, {ref: cell for ref, (_, cell) in row.items()}) for row in RECORDS]


def duckdbs_answers(records: duckdb.DuckDBPyConnection, text: str) -> list[bool | None]:
    rows = records.execute(f"SELECT {text} FROM subject ORDER BY place").fetchall()
    return [answer for (answer,) in rows]


@st.composite
def bindable_leaf(draw: st.DrawFn) -> Leaf:
    held = draw(st.sampled_from(list(SHAPES.values())))
    if draw(st.integers(0, 4)) == 0:
        return IsNull(held.ref, draw(st.booleans()))
    match held.kind:
        case FeatureKind.ORDERED:
            operator, bound = draw(st.sampled_from(Operator)), draw(st.sampled_from(held.grid))
            return Compare(held.ref, operator, bound)
        case FeatureKind.CLASSES:
            named = st.lists(st.sampled_from(held.classes), min_size=1, unique=True)
            return IsIn(held.ref, tuple(draw(named)))
        case FeatureKind.FLAG:
            return draw(
                st.just(Flag(held.ref)) | st.builds(IsFlag, st.just(held.ref), st.booleans())
            )
        case FeatureKind.STATED:
            raise NotImplementedError("stated values have tests of their own")


@settings(deadline=None)
@given(node=trees(bindable_leaf()))
def test_a_formula_answers_as_sql_does(records: duckdb.DuckDBPyConnection, node: Node) -> None:
    assert answers_of(node) == duckdbs_answers(records, format_formula(node))


@st.composite
def disturbed(draw: st.DrawFn) -> str:
    """A formula with some of its words dropped, replaced or put in: near to SQL, mostly not it."""
    words = format_formula(draw(trees(bindable_leaf()))).replace("(", "( ").replace(")", " )")
    pieces = words.split()
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, len(pieces)))
        pieces[place : place + draw(st.integers(0, 1))] = draw(
            st.lists(st.sampled_from(PIECES), max_size=2)
        )
    return " ".join(pieces)


@settings(deadline=None)
@given(text=disturbed())
def test_whatever_is_read_means_what_sql_means_by_it(
    records: duckdb.DuckDBPyConnection, text: str
) -> None:
    node = assert_read_or_refused(text)
    try:
        mine = None if node is None else answers_of(node)
    except SafeRoomError:
        mine = None  # a free parameter, or a question that does not fit its feature
    if mine is not None:
        assert mine == duckdbs_answers(records, text)


@pytest.mark.parametrize(
    "text",
    [
        "NOT tax.late AND court.listed",
        "NOT tax.vat >= 0",
        "NOT tax.late IS NULL OR court.listed",
        "NOT tax.sector IN ('A') AND tax.late",
        "NOT tax.sector = 'A' OR NOT 'B' <> tax.sector",
        "tax.late OR court.listed AND tax.vat < 100",
        "tax.late IS NOT TRUE AND court.listed IS NOT NULL",
        "100 > tax.vat OR 0 <= tax.vat",
        "NOT NOT (tax.late OR NOT court.listed)",
        "tax.sector NOT IN ('A', 'C') OR tax.sector IS NULL",
    ],
)
def test_unbracketed_text_is_read_with_sqls_precedence(
    records: duckdb.DuckDBPyConnection, text: str
) -> None:
    assert answers_of(parse_formula(text)) == duckdbs_answers(records, text)


@settings(deadline=None)
@given(trees(bindable_leaf()))
def test_an_answer_depends_only_on_the_cells_that_its_cuts_make(node: Node) -> None:
    asked = cuts(bind(node, {}, SHAPES))
    assert asked.keys() == features(node)
    told: dict[tuple[object, ...], bool | None] = {}
    for row, answer in zip(RECORDS, answers_of(node), strict=True):
        seen = tuple(merged(SHAPES[ref], row[ref][1], asked[ref] - {NULL}) for ref in sorted(asked))
        assert told.setdefault(seen, answer) is answer


def merged(held: FeatureShape, cell: int | None, asked: frozenset[object]) -> object:
    """The cell as it is told apart by the cuts asked, and by them alone."""
    if cell is None:
        return None
    if held.kind is FeatureKind.CLASSES:
        return cell if cell in asked else "another class"
    return sum(cell > cut for cut in range(held.cuts) if cut in asked)


@settings(deadline=None)
@given(st.lists(trees(bindable_leaf()), min_size=1, max_size=4))
def test_the_parts_of_a_split_formula_hold_together_when_it_does(nodes: list[Node]) -> None:
    node = all_of(nodes)
    try:
        parts = split_by_owner(node)
    except SafeRoomError as error:
        assert error.reason is Reason.MALFORMED_FORMULA
        return
    assert all({ref.owner for ref in features(part)} == {owner} for owner, part in parts.items())
    assert answers_of(all_of(parts.values())) == answers_of(node)
