"""What a formula may say, and that everything else is refused by name and place."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from decimal import Decimal

import pytest
from sqlglot import exp

from saferoom_proto.formula import (
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
    features,
    format_formula,
    parameters,
    parse_formula,
    split_by_owner,
)
from saferoom_proto.formula.parse import _Reader
from saferoom_proto.reasons import Reason, SafeRoomError

VAT = FeatureRef("tax", "vat_paid_12m")
ARREARS = FeatureRef("tax", "arrears")
SECTOR = FeatureRef("tax", "sector")
DISHONEST = FeatureRef("court", "dishonest")

STEADY = "tax.vat_paid_12m >= :min_vat AND tax.arrears IS FALSE AND court.dishonest IS FALSE"


def refusal(text: str) -> SafeRoomError:
    with pytest.raises(SafeRoomError) as refused:
        parse_formula(text)
    assert refused.value.reason is Reason.MALFORMED_FORMULA
    assert [fault.field for fault in refused.value.fields] == ["check"]
    return refused.value


def rule(text: str) -> str:
    return refusal(text).fields[0].rule


def test_the_template_of_the_design_is_read() -> None:
    assert parse_formula(STEADY) == And(
        (
            Compare(VAT, Operator.AT_LEAST, Param("min_vat")),
            IsFlag(ARREARS, value=False),
            IsFlag(DISHONEST, value=False),
        )
    )


def at_least(bound: str) -> Node:
    return Compare(VAT, Operator.AT_LEAST, Decimal(bound))


@pytest.mark.parametrize(
    ("text", "node"),
    [
        ("tax.vat_paid_12m >= 5", at_least("5")),
        ("tax.vat_paid_12m < 5", Compare(VAT, Operator.BELOW, Decimal(5))),
        ("5 <= tax.vat_paid_12m", at_least("5")),
        ("5 > tax.vat_paid_12m", Compare(VAT, Operator.BELOW, Decimal(5))),
        ("tax.vat_paid_12m>=-005.50", at_least("-5.5")),
        (":p <= tax.vat_paid_12m", Compare(VAT, Operator.AT_LEAST, Param("p"))),
        ("tax.sector = 'A'", IsIn(SECTOR, ("A",))),
        ("'A' = tax.sector", IsIn(SECTOR, ("A",))),
        ("tax.sector = :s", IsIn(SECTOR, (Param("s"),))),
        ("tax.sector IN ('A', :s, '农业')", IsIn(SECTOR, ("A", Param("s"), "农业"))),
        ("tax.sector <> 'A'", Not(IsIn(SECTOR, ("A",)))),
        ("tax.sector != 'A'", Not(IsIn(SECTOR, ("A",)))),
        ("tax.sector NOT IN ('A', 'B')", Not(IsIn(SECTOR, ("A", "B")))),
        ("tax.sector = 'it''s; -- \"'", IsIn(SECTOR, ("it's; -- \"",))),
        ("tax.arrears", Flag(ARREARS)),
        ("NOT tax.arrears", Not(Flag(ARREARS))),
        ("tax.arrears IS TRUE", IsFlag(ARREARS, value=True)),
        ("tax.arrears is not false", Not(IsFlag(ARREARS, value=False))),
        ("tax.arrears IS :p", IsFlag(ARREARS, Param("p"))),
        ("tax.arrears IS NULL", IsNull(ARREARS)),
        ("tax.arrears IS NOT NULL", IsNull(ARREARS, negated=True)),
        ("NOT (tax.arrears IS NULL)", Not(IsNull(ARREARS))),
        ("((tax.arrears))", Flag(ARREARS)),
        ("\ttax.arrears\r\n", Flag(ARREARS)),
    ],
)
def test_every_question_the_grammar_knows_is_read(text: str, node: Node) -> None:
    assert parse_formula(text) == node
    assert parse_formula(format_formula(node)) == node


def test_and_binds_closer_than_or_and_not_closest() -> None:
    assert parse_formula("a.x OR NOT a.y AND a.z") == Or(
        (
            Flag(FeatureRef("a", "x")),
            And((Not(Flag(FeatureRef("a", "y"))), Flag(FeatureRef("a", "z")))),
        )
    )


def test_nested_joins_of_one_kind_are_one_join() -> None:
    assert parse_formula("a.x AND (a.y AND a.z)") == parse_formula("a.x AND a.y AND a.z")
    assert parse_formula("(a.x OR a.y) OR a.z") == parse_formula("a.x OR a.y OR a.z")


@pytest.mark.parametrize(
    "word", ["select", "null", "and", "case", "cast", "date", "interval", "map", "any", "true"]
)
def test_a_name_is_never_taken_for_a_keyword(word: str) -> None:
    ref = FeatureRef(word, word)
    assert parse_formula(f"{word}.{word} >= :{word}") == Compare(
        ref, Operator.AT_LEAST, Param(word)
    )


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


def test_the_features_and_parameters_of_a_formula_are_told() -> None:
    node = parse_formula(STEADY + " AND tax.sector IN (:one, 'B', :two) AND NOT tax.arrears IS :p")
    assert features(node) == {VAT, ARREARS, SECTOR, DISHONEST}
    assert parameters(node) == {"min_vat": VAT, "one": SECTOR, "two": SECTOR, "p": ARREARS}
    assert list(parameters(node)) == ["min_vat", "one", "two", "p"]


def test_a_parameter_may_be_used_twice_with_one_feature_but_not_with_two() -> None:
    assert parameters(parse_formula("a.x >= :p OR NOT a.x < :p")) == {"p": FeatureRef("a", "x")}
    assert rule("a.x >= :p AND a.y >= :p") == ":p is used with a.x and with a.y"


def test_a_conjunction_is_split_into_its_owners_parts() -> None:
    parts = split_by_owner(parse_formula("a.x AND (b.x OR b.y) AND NOT a.y AND c.x"))
    assert {owner: format_formula(part) for owner, part in parts.items()} == {
        "a": "a.x AND NOT a.y",
        "b": "b.x OR b.y",
        "c": "c.x",
    }
    alone = parse_formula("a.x OR a.y")
    assert split_by_owner(alone) == {"a": alone}


@pytest.mark.parametrize(
    "text", ["c.x AND (a.x OR b.x)", "a.x OR b.x", "NOT (a.x AND b.x)", "NOT a.x OR NOT b.x"]
)
def test_a_part_that_mixes_owners_is_refused_by_name(text: str) -> None:
    with pytest.raises(SafeRoomError) as refused:
        split_by_owner(parse_formula(text))
    assert refused.value.reason is Reason.MALFORMED_FORMULA
    mixed = text.removeprefix("c.x AND (").removesuffix(")") if text[0] == "c" else text
    assert refused.value.fields[0].rule.startswith(f"{mixed}: mixes a and b")


@pytest.mark.parametrize("text", ["tax", "tax.", ".vat", "Tax.vat", "tax.vat.x", "tax.1", "t-x.v"])
def test_what_is_no_feature_name_is_refused(text: str) -> None:
    with pytest.raises(SafeRoomError) as refused:
        FeatureRef.parse(text)
    assert refused.value.reason is Reason.MALFORMED


def test_a_feature_name_reads_back() -> None:
    assert FeatureRef.parse(str(VAT)) == VAT
    assert f"{VAT}" == "tax.vat_paid_12m"
    assert sorted([VAT, DISHONEST]) == [DISHONEST, VAT]


def test_values_that_make_no_sense_cannot_be_built() -> None:
    for bound in ("NaN", "sNaN", "Infinity", "1e38", "1e-39"):
        with pytest.raises(SafeRoomError, match="MALFORMED: bound"):
            Compare(VAT, Operator.AT_LEAST, Decimal(bound))
    with pytest.raises(SafeRoomError, match="MALFORMED: op"):
        Compare(VAT, "<=", Decimal(1))  # pyright: ignore[reportArgumentType] -- what is tested
    for classes in ((), ("A", "A"), ("",), ("A\n",), tuple("123456789")):
        with pytest.raises(SafeRoomError, match="MALFORMED: classes"):
            IsIn(SECTOR, classes)
    with pytest.raises(SafeRoomError, match="MALFORMED: param"):
        Param("Min")
    with pytest.raises(SafeRoomError, match="MALFORMED: check"):
        And((Flag(ARREARS),))
    with pytest.raises(SafeRoomError, match="MALFORMED: check"):
        Or((Flag(ARREARS), Or((Flag(ARREARS), Flag(DISHONEST)))))
    with pytest.raises(SafeRoomError, match="MALFORMED: check"):
        all_of([])


def test_joining_unfolds_and_a_single_part_stays_itself() -> None:
    x, y, z = (Flag(FeatureRef("a", name)) for name in "xyz")
    assert all_of([x]) == x
    assert any_of([x]) == x
    assert all_of([And((x, y)), z]) == And((x, y, z))
    assert any_of([x, Or((y, z))]) == Or((x, y, z))
    assert all_of([Or((x, y)), z]) == And((Or((x, y)), z))


def test_a_tree_cannot_be_altered() -> None:
    with pytest.raises(FrozenInstanceError):
        VAT.owner = "court"  # pyright: ignore[reportAttributeAccessIssue] -- what is tested
