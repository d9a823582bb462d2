"""Everything a formula may not say is refused by name and place."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlglot import exp

from saferoom_proto.formula import FeatureRef, Flag, format_formula, parse_formula
from saferoom_proto.formula.parse import _Reader
from saferoom_proto.reasons import Reason, SafeRoomError


def refusal(text: str) -> SafeRoomError:
    with pytest.raises(SafeRoomError) as refused:
        parse_formula(text)
    assert refused.value.reason is Reason.MALFORMED_FORMULA
    assert [fault.field for fault in refused.value.fields] == ["check"]
    return refused.value


def rule(text: str) -> str:
    return refusal(text).fields[0].rule


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("tax.vat BETWEEN 1 AND 2", "column 9: BETWEEN is not allowed: write x >= a AND x < b"),
        ("tax.vat > 1", "column 1: tax.vat > is not allowed"),
        ("tax.vat <= 1", "column 1: tax.vat <= is not allowed"),
        ("5 >= tax.vat", "column 1: tax.vat <= is not allowed"),
        ("tax.vat >= tax.debt", "column 1: features are not compared with features"),
        ("5 >= 5", "column 1: a comparison has a feature on one side"),
        ("5 >= 5 < 5", "column 1: a comparison has a feature on one side"),
        ("tax.vat >= 'A'", "column 12: tax.vat is compared with a number"),
        ("tax.vat = 5", "column 11: = and IN name classes"),
        ("tax.vat IN (5)", "column 13: = and IN name classes"),
        ("tax.vat IN (('A'))", "column 14: = and IN name classes"),
        ("tax.vat IN ('A', 'A')", "column 1: tax.vat IN: a class is named twice"),
        ("tax.vat = TRUE", "column 11: TRUE stands only after IS or IS NOT"),
        ("TRUE", "column 1: TRUE stands only after IS or IS NOT"),
        ("'A'", "column 1: a condition on a feature is expected here"),
        ("tax.x AND :p", "column 1: a condition on a feature is expected here"),
        ("('A', 'B')", "column 2: Tuple is not allowed"),
        ("('A', 'B') = tax.sector", "column 12: = cannot stand here"),
        ("'A' IN ('A')", "column 5: IN cannot stand here"),
        ("NOT IN ('A')", "column 8: this cannot be read here"),
        ("'A' = tax.sector IS TRUE", "column 1: a feature, owner.name, is expected here"),
        ("(tax.x AND tax.y) IS NULL", "column 19: IS cannot stand here"),
        ("tax.x IS TRUE IS FALSE", "column 15: IS cannot stand here"),
        ("tax.x IS 5", "column 10: 5 cannot stand here"),
        ("tax.x IN ('A') IN ('B')", "column 16: IN cannot stand here"),
        ("tax.x = 'A' 'B'", "column 13: B cannot stand here"),
        ("tax.x IN ()", "column 11: ) cannot stand here"),
        ("(, tax.x)", "column 2: , cannot stand here"),
        ("tax.x AND", "column 7: the formula breaks off here"),
        ("(tax.x", "column 6: a parenthesis is not closed"),
        ("tax.x)", "column 6: this parenthesis was never opened"),
        ("", "column 1: the formula is empty"),
        (" \n ", "column 1: the formula is empty"),
        ("vat >= 5", "column 1: vat is not allowed"),
        ("a.b.c >= 5", "column 1: a feature is written owner.name, in lower case"),
        ("Tax.vat >= 5", "column 1: a feature is written owner.name, in lower case"),
        ("tax . vat >= 5", "column 1: a feature is written owner.name, in lower case"),
        ("tax.* >= 5", "column 1: a feature is written owner.name, in lower case"),
        ("tax.vat >= :P", "column 12: a parameter is written :name"),
        ("tax.sector = 'A", "column 14: this string does not end"),
        ("tax.vat >= 1e3", "column 12: a number is written in digits"),
        ("tax.vat >= 5.", "column 12: a number is written in digits"),
        ("tax.vat >= NaN", "column 12: NaN is not allowed"),
        ("tax.vat >= Infinity", "column 12: Infinity is not allowed"),
        (f"tax.vat >= {'9' * 39}", "column 12: a number is written in digits, with at most 38"),
        (f"tax.{'v' * 64}", "column 1: a feature is written owner.name"),
    ],
)
def test_what_is_not_allowed_is_named_with_its_place(text: str, names: str) -> None:
    assert rule(text).startswith(f"line 1 {names}")


@pytest.mark.parametrize(
    "text",
    [
        "tax.vat::INT >= 5",
        "CAST(tax.vat AS INT) >= 5",
        "TRY_CAST(tax.vat AS INT) >= 5",
        "tax.vat IS DISTINCT FROM 5",
        "tax.vat IS NOT DISTINCT FROM 5",
        "tax.vat IS UNKNOWN",
        "tax.vat ISNULL",
        "tax.vat NOTNULL",
        "tax.vat NOT NULL",
        "tax.vat NOT IS NULL",
        "tax.vat IS NOT NOT NULL",
        "tax.vat == 5",
        "tax.vat <=> 5",
        "! tax.vat",
        "tax.x && tax.y",
        "tax.x XOR tax.y",
        "tax.sector LIKE 'A%'",
        "tax.sector ILIKE 'a'",
        "tax.sector SIMILAR TO 'a'",
        "tax.sector ~ 'a'",
        "tax.sector GLOB 'a'",
        "tax.sector = 'A' COLLATE NOCASE",
        "tax.sector = E'A'",
        "tax.sector = N'A'",
        "tax.sector = x'41'",
        "tax.sector = $$A$$",
        'tax.sector = "A"',
        'tax."vat" >= 5',
        '"tax".vat >= 5',
        "`tax`.vat >= 5",
        "[tax].vat >= 5",
        "tax.vat[1] >= 5",
        "tax['vat'] >= 5",
        "{'a': 1}.a >= 5",
        "tax.vat:a >= 5",
        "tax.vat->'a' >= 5",
        "tax.vat ? 'a'",
        "tax.vat @> 5",
        "tax.vat >= ?",
        "tax.vat >= ?1",
        "tax.vat >= $1",
        "tax.vat >= $p",
        "tax.vat >= @p",
        "tax.vat >= {p}",
        "tax.vat >= %(p)s",
        "tax.vat >= :1",
        "tax.vat >= : p",
        "tax.vat >= 1_000",
        "tax.vat >= 0x10",
        "tax.vat >= .5",
        "tax.vat >= +5",
        "tax.vat >= - 5",
        "tax.vat >= --5",
        "tax.vat >= 5 + 1",
        "tax.vat >= 5 -1",
        "tax.vat >= (5)",
        "tax.vat >= 5 % 2",
        "tax.vat * 2 >= 5",
        "-tax.vat >= 5",
        "abs(tax.vat) >= 5",
        "tax.vat(5)",
        "tax.vat >= ALL(1)",
        "tax.vat IN (SELECT 1)",
        "tax.vat IN tax.other",
        "tax.vat IN :p",
        "tax.vat IN UNNEST([1])",
        "tax.sector IN ('A',)",
        "tax.sector IN ('A' 'B')",
        "tax.sector IN ('A', NULL)",
        "EXISTS (SELECT 1)",
        "(SELECT tax.x)",
        "FROM tax",
        "CASE WHEN tax.x THEN tax.y END",
        "tax.vat >= 5 AS x",
        "tax.vat >= DATE '2025-01-01'",
        "tax.vat >= INTERVAL 1 DAY",
        "tax.vat OVERLAPS tax.x",
        "tax.vat >= 5 LIMIT 1",
        "tax.vat >= 5;",
        "tax.vat >= 5; tax.x",
        "tax.x; DROP TABLE t",
        "tax.x -- all of it",
        "tax.x /* or not */",
        "tax.x /*+ hint */ AND tax.y",
        "# tax.x",
        "tax.x AND tax.y, tax.z",
        "(tax.x, tax.y)",
        "tax.x\x00",
        "tax.x\x0c",
        "tax.x\N{NO-BREAK SPACE}AND tax.y",
        "tax.x\N{CYRILLIC SMALL LETTER HA}",
        "t\N{LATIN SMALL LETTER A WITH ACUTE}x.x",
        "tax.vat >= \N{FULLWIDTH DIGIT FIVE}",
        "tax.vat \N{GREATER-THAN OR EQUAL TO} 5",
        "tax.sector = \N{LEFT SINGLE QUOTATION MARK}A\N{RIGHT SINGLE QUOTATION MARK}",
        "tax.sector = ''",
        "tax.sector = 'A\x00'",
        "tax.sector = 'A\n'",
        "tax.sector = 'A\N{RIGHT-TO-LEFT OVERRIDE}'",
        "tax.sector = 'A\N{ZERO WIDTH SPACE}'",
        "tax.sector = 'A\ud800'",
        f"tax.sector = '{'A' * 65}'",
        "tax.sector IN ('1', '2', '3', '4', '5', '6', '7', '8', '9')",
        ".",
        "'",
        ":",
        "(" * 3000,
        "NOT " * 1000,
    ],
)
def test_sugar_and_smuggling_are_refused(text: str) -> None:
    assert rule(text).startswith("line 1 column ")


def test_the_place_is_counted_in_lines_and_characters() -> None:
    text = "tax.sector = '农业'\n  AND tax.vat >= 5\n  AND tax.name LIKE 'x'"
    assert rule(text).startswith("line 3 column 16: LIKE is not allowed")
    assert rule("tax.sector = '农业'\n  AND tax.vat > 5").startswith("line 2 column 7: tax.vat >")
    assert rule("tax.x AND\n(tax.y\nOR tax.z").startswith("line 3 column 8: a parenthesis")


def test_a_long_word_is_not_repeated_in_full() -> None:
    assert len(rule("x" * 4000)) < 300
    assert len(rule(f"tax.x tax.{'v' * 60}")) < 300


def test_a_node_sqlglot_would_hang_an_argument_on_is_refused() -> None:
    column = exp.Column(this=exp.Identifier(this="x"), table=exp.Identifier(this="tax"))
    grown = exp.In(this=column, expressions=[exp.Literal.string("A")], is_global=True)
    with pytest.raises(SafeRoomError, match="In with is_global is not allowed"):
        _Reader("tax.x").node(grown)
    with pytest.raises(SafeRoomError, match="Column without table"):
        _Reader("tax.x").node(exp.Column(this=exp.Identifier(this="x")))
    with pytest.raises(SafeRoomError, match="NullSafeEQ is not allowed"):
        _Reader("tax.x").node(exp.NullSafeEQ(this=column, expression=column.copy()))


def test_a_formula_may_hold_64_nodes_and_no_more() -> None:
    assert format_formula(parse_formula(" AND ".join(["a.x"] * 63))).count("a.x") == 63
    assert rule(" AND ".join(["a.x"] * 64)) == "line 1 column 1: 65 nodes, more than 64"
    assert rule(" AND ".join(["a.x"] * 66)).endswith("more than 64 nodes")


def test_a_formula_may_be_16_deep_and_no_more() -> None:
    assert parse_formula("(" * 16 + "a.x" + ")" * 16) == Flag(FeatureRef("a", "x"))
    assert rule("(" * 17 + "a.x" + ")" * 17) == "line 1 column 17: nested more than 16 deep"
    deepest = parse_formula("NOT " * 15 + "a.x")
    assert parse_formula(format_formula(deepest)) == deepest
    assert rule("NOT " * 16 + "a.x") == "line 1 column 1: nested more than 16 deep"


def test_a_formula_may_have_4096_bytes_and_no_more() -> None:
    fits = "a.x" + " " * 4093
    assert parse_formula(fits) == Flag(FeatureRef("a", "x"))
    assert rule(fits + " ").endswith("at most 4096 bytes")
    assert rule("a.x = '" + "农" * 1400 + "'").endswith("at most 4096 bytes")


def test_a_formula_that_grows_past_4096_bytes_when_written_out_is_refused() -> None:
    text = "OR ".join(["a.x='" + "A" * 56 + "'"] * 63)
    assert len(text) < 4096
    assert rule(text).endswith("written out in full it has more than 4096 bytes")


def the_pages_formulas(fence: str) -> list[str]:
    page = Path(__file__).resolve().parents[2] / "docs" / "formula.md"
    _, _, rest = page.read_text("utf-8").partition(f"```{fence}\n")
    return rest.partition("```")[0].splitlines()


def test_the_page_for_authors_shows_only_what_is_read() -> None:
    shown = the_pages_formulas("sql")
    assert len(shown) == 16
    assert all(parse_formula(line) for line in shown)


def test_the_page_for_authors_names_only_what_is_refused() -> None:
    shown = the_pages_formulas("sql refused")
    assert len(shown) == 17
    assert all(rule(line).startswith("line 1 column ") for line in shown)
