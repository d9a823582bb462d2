"""What a formula may say, and that everything else is refused by name and place."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from decimal import Decimal

import pytest

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
from saferoom_proto.reasons import Reason, SafeRoomError

VAT = FeatureRef("tax", "vat_paid_12m")
ARREARS = FeatureRef("tax", "arrears")
SECTOR = FeatureRef("tax", "sector")
DISHONEST = FeatureRef("court", "dishonest")

STEADY = "tax.vat_paid_12m >= :min_vat AND tax.arrears IS FALSE AND court.dishonest IS FALSE"


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


def test_the_features_and_parameters_of_a_formula_are_told() -> None:
    node = parse_formula(STEADY + " AND tax.sector IN (:one, 'B', :two) AND NOT tax.arrears IS :p")
    assert features(node) == {VAT, ARREARS, SECTOR, DISHONEST}
    assert parameters(node) == {"min_vat": VAT, "one": SECTOR, "two": SECTOR, "p": ARREARS}
    assert list(parameters(node)) == ["min_vat", "one", "two", "p"]


def test_a_parameter_may_be_used_twice_with_one_feature_but_not_with_two() -> None:
    assert parameters(parse_formula("a.x >= :p OR NOT a.x < :p")) == {"p": FeatureRef("a", "x")}
    with pytest.raises(SafeRoomError) as refused:
        parse_formula("a.x >= :p AND a.y >= :p")
    assert refused.value.reason is Reason.MALFORMED_FORMULA
    assert refused.value.fields[0].rule == ":p is used with a.x and with a.y"


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
