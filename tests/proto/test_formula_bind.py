"""A formula meets the grids: what is bound, answered and charged, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import pytest

from saferoom_proto.formula import (
    NULL,
    Absent,
    Among,
    And,
    AtLeast,
    Bound,
    Compare,
    FeatureKind,
    FeatureRef,
    FeatureShape,
    IsCell,
    IsNull,
    Not,
    Operator,
    bind,
    cuts,
    evaluate,
    max_cuts,
    parse_formula,
)
from saferoom_proto.reasons import Reason, SafeRoomError

VAT = FeatureRef("tax", "vat")
ARREARS = FeatureRef("tax", "arrears")
SECTOR = FeatureRef("tax", "sector")
DISHONEST = FeatureRef("court", "dishonest")

GRID = tuple(map(Decimal, ("0", "100000.50", "1e6")))
SHAPES = {
    shape.ref: shape
    for shape in (
        FeatureShape(VAT, FeatureKind.ORDERED, GRID, (), Absent.UNKNOWN),
        FeatureShape(ARREARS, FeatureKind.FLAG, (), (), Absent.UNKNOWN),
        FeatureShape(SECTOR, FeatureKind.CLASSES, (), ("A", "B", "农业"), Absent.UNKNOWN),
        FeatureShape(DISHONEST, FeatureKind.FLAG, (), (), Absent.FALSE),
    )
}


def bound(text: str, **params: str | bool) -> Bound:
    return bind(parse_formula(text), params, SHAPES)


def refused(text: str, params: Mapping[str, str | bool]) -> SafeRoomError:
    with pytest.raises(SafeRoomError) as error:
        bind(parse_formula(text), params, SHAPES)
    return error.value


@pytest.mark.parametrize(
    ("text", "node"),
    [
        ("tax.vat >= 100000.5", AtLeast(VAT, 1)),
        ("tax.vat < 1000000.00", Not(AtLeast(VAT, 2))),
        ("tax.vat >= -0", AtLeast(VAT, 0)),
        ("tax.sector IN ('农业', 'A')", Among(SECTOR, frozenset({0, 2}))),
        ("tax.arrears", AtLeast(ARREARS, 0)),
        ("tax.arrears IS FALSE", IsCell(ARREARS, 0)),
        ("tax.vat IS NOT NULL", IsNull(VAT, negated=True)),
        ("tax.vat >= 0 AND NOT tax.arrears", And((AtLeast(VAT, 0), Not(AtLeast(ARREARS, 0))))),
    ],
)
def test_every_question_is_placed_on_its_features_cuts(text: str, node: Bound) -> None:
    assert bound(text) == node


def test_parameters_are_filled_in() -> None:
    assert bound("tax.vat >= :p", p="100000.5000") == AtLeast(VAT, 1)
    assert bound("tax.sector = :p", p="B") == Among(SECTOR, frozenset({1}))
    assert bound("tax.sector IN (:p, :q)", p="B", q="B") == Among(SECTOR, frozenset({1}))
    assert bound("tax.arrears IS :p", p=True) == IsCell(ARREARS, 1)
    assert bound("tax.arrears IS NOT :p", p=False) == Not(IsCell(ARREARS, 0))


@pytest.mark.parametrize(
    "value",
    [
        *("5", "NaN", "nan", "Infinity", "-Infinity", "", " 0", "0 ", "0\n", "+0", "1e6"),
        *("1_000_000", ".0", "0.", "0x0", "0" * 39),
        *("\N{FULLWIDTH DIGIT ZERO}", "\N{ARABIC-INDIC DIGIT ZERO}"),
    ],
)
def test_a_threshold_off_the_grid_is_refused_naming_the_parameter(value: str) -> None:
    error = refused("tax.vat >= :min_vat", {"min_vat": value})
    assert error.reason is Reason.OFF_GRID
    assert error.fields[0].field == "params.min_vat"
    assert "tax.vat" in error.fields[0].rule


@pytest.mark.parametrize("value", ["C", "a", "", "A ", "农 业"])
def test_a_class_the_feature_does_not_have_is_refused(value: str) -> None:
    error = refused("tax.sector = :sector", {"sector": value})
    assert error.reason is Reason.OFF_GRID
    assert error.fields[0].field == "params.sector"


@pytest.mark.parametrize("text", ["tax.vat >= 5", "tax.vat < 5", "tax.sector = 'C'"])
def test_a_literal_off_the_grid_is_refused_even_before_anybody_asks(text: str) -> None:
    error = refused(text, {})
    assert (error.reason, error.fields[0].field) == (Reason.OFF_GRID, "check")
    with pytest.raises(SafeRoomError, match="OFF_GRID"):
        max_cuts(parse_formula(text), SHAPES)


@pytest.mark.parametrize(
    ("text", "params", "field"),
    [
        ("tax.vat >= :p", {}, "params.p"),
        ("tax.vat >= :p", {"p": "0", "q": "0"}, "params.q"),
        ("tax.arrears", {"p": True}, "params.p"),
        ("tax.vat >= :p", {"p": True}, "params.p"),
        ("tax.sector = :p", {"p": False}, "params.p"),
        ("tax.arrears IS :p", {"p": "true"}, "params.p"),
    ],
)
def test_a_parameter_the_template_does_not_take_is_refused(
    text: str, params: Mapping[str, str | bool], field: str
) -> None:
    error = refused(text, params)
    assert error.reason is Reason.OFF_DOMAIN
    assert [fault.field for fault in error.fields] == [field]


def test_every_odd_parameter_is_named() -> None:
    error = refused("tax.vat >= :p", {"q": "0"})
    assert [(fault.field, fault.rule) for fault in error.fields] == [
        ("params.p", "missing"),
        ("params.q", "not a parameter"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "tax.vat",
        "tax.vat IS TRUE",
        "tax.vat = 'A'",
        "tax.arrears >= 0",
        "tax.arrears = 'A'",
        "tax.sector >= 0",
        "tax.sector",
        "tax.sector IS FALSE",
        "court.dishonest IS NULL",
        "court.dishonest IS NOT NULL",
    ],
)
def test_a_question_that_does_not_fit_its_feature_is_refused(text: str) -> None:
    for check in (lambda: bound(text), lambda: max_cuts(parse_formula(text), SHAPES)):
        with pytest.raises(SafeRoomError) as error:
            check()
        assert error.value.reason is Reason.MALFORMED_FORMULA
        assert error.value.fields[0].rule.startswith(f"{text}: ")


def test_a_feature_nobody_defined_is_refused() -> None:
    error = refused("tax.unheard_of >= 5", {})
    assert (error.reason, error.fields[0].field) == (Reason.UNKNOWN_FEATURE, "check")


def test_a_cell_is_half_open() -> None:
    at_least, below = bound("tax.vat >= 100000.5"), bound("tax.vat < 100000.5")
    assert [evaluate(at_least, {VAT: cell}) for cell in range(4)] == [False, False, True, True]
    assert [evaluate(below, {VAT: cell}) for cell in range(4)] == [True, True, False, False]
    assert evaluate(at_least, {VAT: None}) is None
    assert evaluate(below, {VAT: None}) is None


def test_a_flag_alone_may_be_unknown_but_is_true_never_is() -> None:
    unknown = {ARREARS: None}
    assert evaluate(bound("tax.arrears"), unknown) is None
    assert evaluate(bound("NOT tax.arrears"), unknown) is None
    assert evaluate(bound("tax.arrears IS TRUE"), unknown) is False
    assert evaluate(bound("tax.arrears IS FALSE"), unknown) is False
    assert evaluate(bound("tax.arrears IS NOT TRUE"), unknown) is True
    assert evaluate(bound("tax.arrears IS NULL"), unknown) is True
    assert evaluate(bound("tax.arrears IS NOT NULL"), unknown) is False


@pytest.mark.parametrize("vat", [None, 0, 3])
@pytest.mark.parametrize("arrears", [None, 0, 1])
def test_and_or_and_not_are_kleenes(vat: int | None, arrears: int | None) -> None:
    cells = {VAT: vat, ARREARS: arrears}
    left = None if vat is None else vat == 3
    right = None if arrears is None else arrears == 1
    both = False if False in (left, right) else None if None in (left, right) else True
    either = True if True in (left, right) else None if None in (left, right) else False
    assert evaluate(bound("tax.vat >= 1000000 AND tax.arrears"), cells) is both
    assert evaluate(bound("tax.vat >= 1000000 OR tax.arrears"), cells) is either


def test_a_missing_or_impossible_cell_is_our_fault_and_tells_no_value() -> None:
    for cells in ({}, {VAT: -1}):
        with pytest.raises(SafeRoomError) as error:
            evaluate(bound("tax.vat >= 0"), cells)
        assert error.value.reason is Reason.INTERNAL
        assert "-1" not in error.value.detail


class Watched(dict[FeatureRef, int | None]):
    """A subject's cells that remember which were looked at."""

    def __init__(self, cells: Mapping[FeatureRef, int | None]) -> None:
        super().__init__(cells)
        self.seen: list[FeatureRef] = []

    def __getitem__(self, ref: FeatureRef) -> int | None:
        self.seen.append(ref)
        return super().__getitem__(ref)


def test_every_feature_is_looked_at_whatever_the_others_say() -> None:
    node = bound("tax.vat >= 0 AND (tax.arrears OR tax.sector = 'A') OR court.dishonest")
    for vat in (None, 0, 3):
        for flag in (0, 1):
            cells = Watched({VAT: vat, ARREARS: flag, SECTOR: flag, DISHONEST: flag})
            evaluate(node, cells)
            assert cells.seen == [VAT, ARREARS, SECTOR, DISHONEST]


def test_a_formula_is_charged_every_cut_it_compares() -> None:
    node = bound(
        "tax.vat >= 0 AND tax.vat < 1000000 AND (tax.sector IN ('A', '农业') OR tax.arrears"
        " OR tax.sector IS NULL) AND court.dishonest IS FALSE AND tax.vat >= :p",
        p="0",
    )
    assert cuts(node) == {
        VAT: {0, 2},
        SECTOR: {0, 2, NULL},
        ARREARS: {0},
        DISHONEST: {0},
    }


def test_the_most_cuts_are_literals_and_parameters_each_once_and_never_more_than_the_grid() -> None:
    def most(text: str) -> dict[FeatureRef, int]:
        return max_cuts(parse_formula(text), SHAPES)

    assert most("tax.vat >= 0 OR tax.vat < 0") == {VAT: 1}
    assert most("tax.vat >= 0 OR tax.vat < :p") == {VAT: 2}
    assert most("tax.vat >= :p OR tax.vat < :p") == {VAT: 1}
    assert most("tax.vat >= :a OR tax.vat < :b OR tax.vat >= :c OR tax.vat >= :d") == {VAT: 3}
    assert most("tax.sector IN ('A', :p) AND tax.sector <> 'B'") == {SECTOR: 3}
    assert most("tax.sector IN ('A', 'B', '农业', :p)") == {SECTOR: 3}
    assert most("tax.arrears IS :p OR tax.arrears") == {ARREARS: 1}
    assert most("tax.vat IS NULL AND court.dishonest IS FALSE") == {VAT: 0, DISHONEST: 1}


def test_a_parameter_used_with_two_features_is_refused_wherever_the_tree_came_from() -> None:
    first, second = parse_formula("tax.vat >= :p"), parse_formula("tax.sector = :p")
    assert not isinstance(first, And)
    assert not isinstance(second, And)
    for check in (
        lambda: bind(And((first, second)), {"p": "0"}, SHAPES),
        lambda: max_cuts(And((first, second)), SHAPES),
    ):
        with pytest.raises(SafeRoomError, match=r":p is used with tax\.vat and with tax\.sector"):
            check()


def test_a_comparison_may_be_built_with_its_sign_as_text() -> None:
    below = Compare(VAT, Operator("<"), Decimal(0))
    assert bind(below, {}, SHAPES) == Not(AtLeast(VAT, 0))


@pytest.mark.parametrize(
    ("kind", "grid", "classes"),
    [
        (FeatureKind.ORDERED, (), ()),
        (FeatureKind.FLAG, ("1",), ()),
        (FeatureKind.FLAG, (), ("A", "B")),
        (FeatureKind.CLASSES, (), ()),
        (FeatureKind.CLASSES, (), ("A",)),
        (FeatureKind.CLASSES, (), ("A", "A")),
        (FeatureKind.CLASSES, (), tuple("123456789")),
        (FeatureKind.CLASSES, (), ("A", "B\n")),
        (FeatureKind.ORDERED, ("1",), ("A", "B")),
        (FeatureKind.ORDERED, ("2", "1"), ()),
        (FeatureKind.ORDERED, ("1", "1.0"), ()),
        (FeatureKind.ORDERED, ("1", "NaN"), ()),
        (FeatureKind.ORDERED, ("-Infinity", "1"), ()),
    ],
)
def test_a_shape_that_makes_no_sense_is_refused(
    kind: FeatureKind, grid: tuple[str, ...], classes: tuple[str, ...]
) -> None:
    with pytest.raises(SafeRoomError) as error:
        FeatureShape(VAT, kind, tuple(map(Decimal, grid)), classes, Absent.FALSE)
    assert error.value.reason is Reason.MALFORMED
    assert error.value.fields[0].field in {"grid", "classes"}


def test_a_shape_knows_its_cells_and_what_telling_them_apart_costs() -> None:
    vat, arrears, sector, dishonest = SHAPES.values()
    assert [(shape.cells, shape.cuts) for shape in SHAPES.values()] == [
        (4, 3),
        (2, 1),
        (3, 3),
        (2, 1),
    ]
    assert [vat.cells_told(asked) for asked in range(4)] == [2, 3, 5, 5]
    assert [arrears.cells_told(asked) for asked in range(2)] == [2, 3]
    assert [sector.cells_told(asked) for asked in range(4)] == [2, 3, 4, 4]
    assert [dishonest.cells_told(asked) for asked in range(2)] == [1, 2]
