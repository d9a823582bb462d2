"""Features become cells: exactly, one row a subject, and no value is kept or told."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saferoom_enclaves.features.computed import FeatureDefinition
from saferoom_enclaves.index import FeatureIndex
from saferoom_enclaves.materialise import check_definition
from saferoom_enclaves.rows import TableLoad
from saferoom_proto.formula import FeatureRef, FeatureShape
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements.feature import Absent, ClassCell, Feature, FeatureKind
from tests.enclaves.tables import ARREARS, SUBJECTS, TITLE, VAT, indexed, load, opened

TABLES: Final = {"vat": VAT, "arrears": ARREARS}
AS_OF: Final = date(2026, 10, 1)
CANARY: Final = 471147114711


def feature(
    kind: FeatureKind,
    expression: str,
    *,
    grid: Sequence[str] = (),
    classes: dict[str, tuple[str, ...]] | None = None,
    absent: Absent = Absent.UNKNOWN,
    name: str = "it",
    level: int = 1,
) -> FeatureDefinition:
    """Define a feature: an expression over a row of `vat`, or a whole SELECT."""
    sql = expression
    if not expression.startswith("SELECT"):
        sql = f"SELECT uscc AS subject, {expression} AS value FROM vat"
    shape = FeatureShape(
        FeatureRef("tax", name), kind, tuple(map(Decimal, grid)), tuple(classes or ()), absent
    )
    return FeatureDefinition(shape, sql, AS_OF, level, tuple((classes or {}).values()))


def vat(**columns: object) -> tuple[object, ...]:
    """Make a row about the next subject: what is not given is NULL."""
    return tuple(columns.get(column.name) for column in VAT.columns)


def rows_of(name: str, values: Sequence[object]) -> TableLoad:
    """Load one column, a subject a value."""
    return load(VAT, [vat(uscc=SUBJECTS[at], **{name: value}) for at, value in enumerate(values)])


def index(definition: FeatureDefinition, *loads: TableLoad) -> FeatureIndex:
    with opened(*loads) as store:
        return indexed(store, [definition], TABLES)


def cells(definition: FeatureDefinition, column: str, values: Sequence[object]) -> list[int | None]:
    found = index(definition, rows_of(column, values))
    return [found.cells(subject, [definition.shape.ref])[0] for subject in SUBJECTS[: len(values)]]


def refused(definition: FeatureDefinition, *loads: TableLoad) -> str:
    with opened(*loads) as store:
        with pytest.raises(SafeRoomError) as caught:
            indexed(store, [definition], TABLES)
        left = store.execute("SELECT table_name FROM duckdb_tables() WHERE temporary")
        assert left.fetchall() == []
    assert str(CANARY) not in str(caught.value)
    assert caught.value.__cause__ is None or str(CANARY) not in str(caught.value.__cause__)
    return str(caught.value)


# Cells are half-open, and exact in every numeric type.


def test_a_threshold_belongs_to_the_cell_above_it() -> None:
    paid = feature(FeatureKind.ORDERED, "paid", grid=["0", "10", "100.5"])
    values = ["-0.0001", "0", "9.9999", "10", "100.4999", "100.5", "99999999999999", None]
    assert cells(paid, "paid", values) == [0, 1, 1, 2, 2, 3, 3, None]


grids = st.lists(
    st.decimals(-(10**12) + 1, 10**12 - 1, places=6), min_size=1, max_size=7, unique=True
).map(sorted)


def near(grid: list[Decimal], data: st.DataObject) -> list[Decimal]:
    """Draw values around a grid: thresholds, their neighbours, and others."""
    step = Decimal("0.0001")

    def beside(cut: Decimal) -> st.SearchStrategy[Decimal]:
        return st.integers(-2, 2).map(lambda steps: cut.quantize(step) + steps * step)

    around = st.sampled_from(grid).flatmap(beside)
    anything = st.decimals(-(10**13), 10**13, places=4)
    return data.draw(st.lists(around | anything, min_size=1, max_size=8))


@settings(max_examples=30, deadline=None)
@given(grids, st.data())
def test_decimals_are_compared_exactly(grid: list[Decimal], data: st.DataObject) -> None:
    values = near(grid, data)
    paid = feature(FeatureKind.ORDERED, "paid", grid=[f"{cut:f}" for cut in grid])
    expected = [bisect_right(grid, value) for value in values]
    assert cells(paid, "paid", [f"{value:f}" for value in values]) == expected


@settings(max_examples=30, deadline=None)
@given(grids, st.data())
def test_whole_numbers_are_compared_exactly(grid: list[Decimal], data: st.DataObject) -> None:
    extremes = st.sampled_from([-(2**63), 2**63 - 1])
    values = [int(value) for value in near(grid, data)] + [data.draw(extremes)]
    months = feature(
        FeatureKind.ORDERED,
        "SELECT uscc AS subject, sum(months) AS value FROM vat GROUP BY uscc",
        grid=[f"{cut:f}" for cut in grid],
    )
    expected = [bisect_right(grid, value) for value in values[:8]]
    assert cells(months, "months", values[:8]) == expected


@settings(max_examples=30, deadline=None)
@given(grids, st.data())
def test_doubles_are_compared_with_the_nearest_double(
    grid: list[Decimal], data: st.DataObject
) -> None:
    floats = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from(grid).map(float)
    values = data.draw(st.lists(floats, min_size=1, max_size=8))
    ratio = feature(FeatureKind.ORDERED, "ratio", grid=[f"{cut:f}" for cut in grid])
    cuts = [Fraction(float(cut)) for cut in grid]
    expected = [bisect_right(cuts, Fraction(value)) for value in values]
    assert cells(ratio, "ratio", [repr(value) for value in values]) == expected


def test_wide_decimals_are_compared_exactly_too() -> None:
    total = feature(
        FeatureKind.ORDERED,
        "SELECT uscc AS subject, sum(paid) AS value FROM vat GROUP BY uscc",
        grid=["0.000001", "99999999999999.9999", "999999999999.999999"][:2],
    )
    values = ["0", "0.0001", "99999999999999.9998", "99999999999999.9999"]
    assert cells(total, "paid", values) == [0, 1, 1, 2]


def test_what_is_not_a_number_is_absent_and_infinity_is_above_all() -> None:
    read = feature(FeatureKind.ORDERED, "TRY_CAST(grade AS DOUBLE)", grid=["5"])
    values = ["nan", "inf", "-inf", "7", "x", None]
    assert cells(read, "grade", values) == [None, 1, 0, 1, None, None]


# Flags and classes.


def test_a_flag_is_false_true_or_absent() -> None:
    late = feature(FeatureKind.FLAG, "late")
    assert cells(late, "late", ["false", "true", None]) == [0, 1, None]


def test_classes_go_by_their_values() -> None:
    grade = feature(FeatureKind.CLASSES, "grade", classes={"good": ("A", "甲"), "bad": ("D",)})
    assert cells(grade, "grade", ["A", "甲", "D", "a", "Z", None]) == [0, 0, 1, None, None, None]


def test_classes_of_whole_numbers_and_truths() -> None:
    months = feature(FeatureKind.CLASSES, "months", classes={"none": ("0",), "few": ("1", "2")})
    late = feature(FeatureKind.CLASSES, "late", classes={"yes": ("true",), "no": ("false",)})
    assert cells(months, "months", [0, 2, 3]) == [0, 1, None]
    assert cells(late, "late", ["true", "false"]) == [0, 1]


def test_a_class_value_is_a_parameter_and_never_sql() -> None:
    hostile = "x') THEN 0 ELSE 1 END --"
    grade = feature(FeatureKind.CLASSES, "grade", classes={"a": (hostile,), "b": ("B",)})
    assert cells(grade, "grade", ["B", hostile, "C"]) == [1, 0, None]


@pytest.mark.parametrize(
    ("definition", "rule"),
    [
        (feature(FeatureKind.FLAG, "months"), "the value of a flag is BOOLEAN, not BIGINT"),
        (
            feature(FeatureKind.ORDERED, "late", grid=["1"]),
            "the value of an ordered feature is a number, not BOOLEAN",
        ),
        (
            feature(FeatureKind.ORDERED, "filed", grid=["1"]),
            "the value of an ordered feature is a number, not DATE",
        ),
        (
            feature(FeatureKind.CLASSES, "ratio", classes={"a": ("1",), "b": ("2",)}),
            "the value of a class is text, not DOUBLE",
        ),
    ],
)
def test_a_value_of_another_kind_is_refused_before_any_record(
    definition: FeatureDefinition, rule: str
) -> None:
    with pytest.raises(SafeRoomError) as caught:
        check_definition(definition, TABLES)
    assert str(caught.value) == f"MALFORMED_SQL: feature tax.it: {rule}"
    assert refused(definition, load(VAT, [])) == str(caught.value)


def test_a_definition_that_can_be_computed_passes() -> None:
    check_definition(feature(FeatureKind.FLAG, "late"), TABLES)
    with pytest.raises(SafeRoomError, match="the function random is not listed"):
        check_definition(feature(FeatureKind.ORDERED, "random()", grid=["1"]), TABLES)


@pytest.mark.parametrize(
    "values", [(), ((),), (("a",),), (("a",), ()), (("a",), ("a",)), (("a",), ("b",), ("c",))]
)
def test_classes_without_values_of_their_own_are_refused(
    values: tuple[tuple[str, ...], ...],
) -> None:
    shape = FeatureShape(
        FeatureRef("tax", "it"), FeatureKind.CLASSES, (), ("one", "two"), Absent.FALSE
    )
    with pytest.raises(SafeRoomError) as caught:
        FeatureDefinition(shape, "SELECT", AS_OF, 1, values)
    assert caught.value.reason is Reason.MALFORMED


# What an owner's statement says.


def test_a_definition_is_taken_from_the_owners_statement() -> None:
    statement = Feature(
        room="saferoom.example/test",
        owner="tax",
        name="grade",
        version=1,
        title=TITLE,
        unit="",
        level=3,
        family="tax",
        information_types=(),
        as_of=AS_OF,
        sql="SELECT uscc AS subject, grade AS value FROM vat",
        kind=FeatureKind.CLASSES,
        classes=(ClassCell(name="good", values=("A", "B")), ClassCell(name="bad", values=("D",))),
        absent=Absent.FALSE,
        budget_bits=Decimal(1),
    )
    definition = FeatureDefinition.of(statement)
    assert definition.class_values == (("A", "B"), ("D",))
    assert str(definition.shape.ref) == statement.full_name
    assert cells(definition, "grade", ["B", "D", "Z"]) == [0, 1, 0]


def test_a_feature_is_relative_to_its_date() -> None:
    months = feature(
        FeatureKind.ORDERED,
        "SELECT uscc AS subject, count(*) FILTER (WHERE filed >= $as_of - INTERVAL 1 YEAR) AS value"
        " FROM vat GROUP BY uscc",
        grid=["1"],
    )
    assert cells(months, "filed", ["2025-09-30", "2025-10-01", "2026-09-01"]) == [0, 1, 1]


# Subjects.


def test_silence_means_no_or_unknown_as_the_feature_says() -> None:
    unknown = feature(FeatureKind.FLAG, "late", name="unknown")
    false = feature(FeatureKind.FLAG, "late", name="false", absent=Absent.FALSE)
    with opened(rows_of("late", ["true", None])) as store:
        found = indexed(store, [unknown, false], TABLES)
    names = [unknown.shape.ref, false.shape.ref]
    assert found.cells(SUBJECTS[0], names) == (1, 1)
    assert found.cells(SUBJECTS[1], names) == (None, 0)
    assert found.cells(SUBJECTS[2], names) == (None, 0)
    assert (SUBJECTS[1] in found, SUBJECTS[2] in found) == (True, False)


def test_features_over_other_tables_share_one_list_of_subjects() -> None:
    open_arrears = feature(
        FeatureKind.FLAG, "SELECT uscc AS subject, open AS value FROM arrears", name="open"
    )
    late = feature(FeatureKind.FLAG, "late", name="late")
    loads = (
        load(VAT, [vat(uscc=SUBJECTS[0], late="true"), vat(uscc=SUBJECTS[1], late="false")]),
        load(ARREARS, [(SUBJECTS[1], 5, "true"), (SUBJECTS[2], 5, "false")]),
    )
    with opened(*loads) as store:
        found = indexed(store, [late, open_arrears], TABLES)
    names = [FeatureRef("tax", "open"), FeatureRef("tax", "late")]
    assert found.subjects == 3
    assert found.features == frozenset(names)
    assert [found.cells(subject, names) for subject in SUBJECTS[:4]] == [
        (None, 1),
        (1, 0),
        (0, None),
        (None, None),
    ]


@pytest.mark.parametrize(
    "subject",
    [
        "",
        "x",
        SUBJECTS[0][:17],
        SUBJECTS[0] + "0",
        "A" * 18,
        SUBJECTS[0][:17] + "\0",
        "税" * 6,
        "\0" * 18,
    ],
)
def test_what_is_not_a_known_subject_is_absent(subject: str) -> None:
    late = feature(FeatureKind.FLAG, "late")
    found = index(late, rows_of("late", ["true"] * 8))
    assert subject not in found
    assert found.cells(subject, [late.shape.ref]) == (None,)


def test_an_unknown_feature_is_refused_by_name() -> None:
    found = index(feature(FeatureKind.FLAG, "late"), rows_of("late", ["true"]))
    for subject in (SUBJECTS[0], SUBJECTS[5]):
        with pytest.raises(SafeRoomError, match=r"UNKNOWN_FEATURE: court\.listed"):
            found.cells(subject, [FeatureRef("court", "listed")])


def test_no_feature_and_no_row_make_an_empty_index() -> None:
    with opened(load(VAT, [])) as store:
        assert indexed(store, [], TABLES).subjects == 0
        late = feature(FeatureKind.FLAG, "late")
        found = indexed(store, [late], TABLES)
    assert (found.subjects, found.cells(SUBJECTS[0], [late.shape.ref])) == (0, (None,))


def test_the_subjects_are_found_among_thousands() -> None:
    codes = "".join(f"{at:018d}" for at in range(0, 20_000, 2)).encode()
    shape = feature(FeatureKind.FLAG, "late").shape
    column = bytes(at % 2 for at in range(10_000))
    found = FeatureIndex.of(memoryview(codes + column), 10_000, [shape])
    for at in range(20_000):
        expected = None if at % 2 else at // 2 % 2
        assert found.cells(f"{at:018d}", [shape.ref]) == (expected,)


# Refusals that depend on the records tell nothing of them.


def test_several_rows_of_a_subject_are_refused() -> None:
    rows = [vat(uscc=SUBJECTS[0], months=CANARY)] * 2
    found = refused(feature(FeatureKind.ORDERED, "months", grid=["1"]), load(VAT, rows))
    assert found == (
        "MALFORMED_SQL: feature tax.it: a subject has more than one row: aggregate by the subject"
    )


def test_a_calculation_that_overflows_tells_no_value() -> None:
    overflowing = feature(FeatureKind.ORDERED, f"months * {2**63 - 1}", grid=["1"])
    found = refused(overflowing, load(VAT, [vat(uscc=SUBJECTS[0], months=CANARY)]))
    assert found == "MALFORMED_SQL: feature tax.it: OutOfRangeException"


def test_a_feature_stands_once() -> None:
    late = feature(FeatureKind.FLAG, "late")
    with opened(load(VAT, [])) as store, pytest.raises(SafeRoomError, match="stands twice"):
        indexed(store, [late, late], TABLES)


def test_sql_that_is_not_allowed_is_not_run() -> None:
    found = refused(feature(FeatureKind.FLAG, "late IS NULL AND error('x')"), load(VAT, []))
    assert "the function error is not listed" in found
