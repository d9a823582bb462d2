"""Rows of a load: those that fit their schema are kept exactly, the others told without a value."""

from __future__ import annotations

import io
from datetime import date
from decimal import Decimal
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saferoom_enclaves import rows
from saferoom_enclaves.rows import BadRow, TableLoad
from saferoom_enclaves.store import open_store
from saferoom_proto.statements.feature import ColumnType, Table
from tests.enclaves.tables import ARREARS, SUBJECTS, VAT, as_csv, build, load, opened, sealed, table

CANARY: Final = "canary-4711"
ROW: Final = (SUBJECTS[0], "1.5", "12", "2026-01-31", "0.25", "true", "A")


def faults(csv: bytes, schema: Table = VAT) -> list[tuple[int, str, str]]:
    """Build from rows that must not be taken, and tell line, column and rule of each fault."""
    built = build(TableLoad(schema, csv))
    assert built.plaintext is None
    assert {fault.table for fault in built.bad_rows} == {schema.name}
    assert CANARY not in repr(built)
    return [(fault.line, fault.column, fault.rule) for fault in built.bad_rows]


def altered(column: str, value: object) -> bytes:
    names = [column.name for column in VAT.columns]
    row = [value if name == column else cell for name, cell in zip(names, ROW, strict=True)]
    return as_csv(names, [ROW, row])


def test_rows_come_back_with_their_types() -> None:
    second = (SUBJECTS[1], "-0.0001", "-3", "2024-02-29", "1e3", "0", '税,"务"\n局')
    empty = (SUBJECTS[2], *[None] * 6)
    with opened(load(VAT, [ROW, second, empty]), load(ARREARS, [])) as store:
        found = store.execute("SELECT * FROM vat").fetchall()
        assert store.execute("SELECT count(*) FROM arrears").fetchall() == [(0,)]
    assert found == [
        (SUBJECTS[0], Decimal("1.5000"), 12, date(2026, 1, 31), 0.25, True, "A"),
        (SUBJECTS[1], Decimal("-0.0001"), -3, date(2024, 2, 29), 1000.0, False, '税,"务"\n局'),
        (SUBJECTS[2], None, None, None, None, None, None),
    ]


text = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(SUBJECTS),
            st.decimals(-(10**14) + 1, 10**14 - 1, places=4),
            st.integers(-(2**63), 2**63 - 1),
            st.dates(),
            st.floats(allow_nan=False, allow_infinity=False),
            st.booleans(),
            text,
        ),
        max_size=8,
    )
)
def test_every_value_that_is_taken_is_kept_exactly(
    found: list[tuple[str, Decimal, int, date, float, bool, str]],
) -> None:
    written = [
        (uscc, f"{paid:f}", months, filed, repr(ratio), str(late).lower(), grade)
        for uscc, paid, months, filed, ratio, late, grade in found
    ]
    with opened(load(VAT, written)) as store:
        kept = store.execute("SELECT * FROM vat").fetchall()
    assert kept == [(*row[:6], row[6] or None) for row in found]


def test_a_load_may_be_a_file_and_its_columns_in_any_order() -> None:
    names = [column.name for column in VAT.columns][::-1]
    file = io.BytesIO(b"\xef\xbb\xbf" + as_csv(names, [ROW[::-1]]) + b"\r\n")
    with opened(TableLoad(VAT, file)) as store:
        assert store.execute("SELECT paid FROM vat").fetchall() == [(Decimal("1.5"),)]
    assert not file.closed


def test_a_subject_is_stored_in_its_one_form() -> None:
    row = (f" {SUBJECTS[0].lower()} ", *ROW[1:])
    with opened(load(VAT, [row])) as store:
        assert store.execute("SELECT uscc FROM vat").fetchall() == [(SUBJECTS[0],)]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("paid", "1.23456"),  # would be rounded
        ("paid", "100000000000000"),
        ("paid", "1e3"),
        ("paid", "1,5"),
        ("months", "1.7"),  # DuckDB's own cast makes 2 of it
        ("months", str(2**63)),
        ("months", " 1"),
        ("months", CANARY),
        ("filed", "2026-02-29"),
        ("filed", "2026-1-31"),
        ("filed", "31/01/2026"),
        ("filed", "infinity"),
        ("filed", "today"),
        ("ratio", "nan"),
        ("ratio", "inf"),
        ("ratio", "1e999"),
        ("ratio", "0x10"),
        ("late", "yes"),
        ("late", "2"),
    ],
)
def test_a_value_that_does_not_fit_is_told_by_line_column_and_rule(column: str, value: str) -> None:
    kind = next(one.type for one in VAT.columns if one.name == column)
    assert faults(altered(column, value)) == [(3, column, rows.FORMS[kind].rule)]


@pytest.mark.parametrize(
    "value", ["", CANARY, SUBJECTS[0][:17], SUBJECTS[0] + "0", "\uff19\uff11\uff13"]
)
def test_a_row_without_a_valid_subject_is_bad(value: str) -> None:
    assert faults(altered("uscc", value)) == [(3, "uscc", rows.KEY_RULE)]


@pytest.mark.parametrize("value", [b"\xff\xfe" + CANARY.encode(), b"a\0b"])
def test_text_that_is_not_utf_8_is_bad(value: bytes) -> None:
    assert faults(altered("grade", "HERE").replace(b"HERE", value)) == [
        (3, "grade", rows.TEXT_RULE)
    ]


HEADING: Final = b"uscc,amount,open\n"


def good(serial: int) -> bytes:
    return f"{SUBJECTS[serial]},1,true\n".encode()


@pytest.mark.parametrize(
    ("csv", "expected"),
    [
        (b"", [(1, "", rows.HEADING_RULE)]),
        (b"uscc,amount\n", [(1, "", rows.HEADING_RULE)]),
        (b"uscc,amount,open,canary-4711\n", [(1, "", rows.HEADING_RULE)]),
        (b"uscc,amount,open,open\n", [(1, "", rows.HEADING_RULE)]),
        (good(0), [(1, "", rows.HEADING_RULE)]),  # no heading: a row must not be told
        (b'uscc,amount,"open\n', [(1, "", rows.QUOTING_RULE)]),
        (b'"us"cc,amount,open\n', [(1, "", rows.QUOTING_RULE)]),
        (HEADING + good(0) + b"canary-4711\n" + good(1), [(3, "", rows.WIDTH_RULE)]),
        (HEADING + good(0)[:-1] + b",4\n", [(2, "", rows.WIDTH_RULE)]),
        (HEADING + b'"91"X,1,true\n' + good(1), [(2, "", rows.QUOTING_RULE)]),
        (HEADING + good(0) + b'"91,1,true\n', [(3, "", rows.QUOTING_RULE)]),
        (HEADING + b"x" * 140_000 + b",1,true\n", [(2, "", rows.QUOTING_RULE)]),
    ],
)
def test_a_file_of_another_form_is_told_by_line(
    csv: bytes, expected: list[tuple[int, str, str]]
) -> None:
    assert faults(csv, ARREARS) == expected


def test_lines_are_counted_through_quoted_line_breaks_and_empty_lines() -> None:
    noted = table("noted", note=ColumnType.TEXT)
    csv = as_csv(["uscc", "note"], [(SUBJECTS[0], "a\nb\nc")]) + b"\n\nbad,x\n"
    assert faults(csv, noted) == [(7, "uscc", rows.KEY_RULE)]


def test_a_row_with_several_faults_counts_once() -> None:
    built = build(load(ARREARS, [("bad", "bad", "bad"), ("bad", "1", "true")]))
    assert built.bad_row_count == 2
    assert [(fault.line, fault.column) for fault in built.bad_rows] == [
        (2, "amount"),
        (2, "open"),
        (2, "uscc"),
        (3, "uscc"),
    ]


def test_only_the_first_faults_are_told_and_all_rows_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rows, "BATCH_ROWS", 70)
    built = build(load(ARREARS, [("bad", "1", "true")] * 250))
    assert (len(built.bad_rows), built.bad_row_count) == (100, 250)
    assert built.bad_rows[-1] == BadRow("arrears", 101, "uscc", rows.KEY_RULE)


def test_one_bad_row_in_one_table_refuses_the_whole_load() -> None:
    built = build(load(VAT, [ROW]), load(ARREARS, [("bad", "1", "true")]))
    assert (built.plaintext, built.bad_row_count) == (None, 1)


def test_rows_of_many_batches_are_all_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "BATCH_ROWS", 3)
    amounts = [(SUBJECTS[at % 8], at, "true") for at in range(20)]
    built = build(load(ARREARS, amounts))
    assert built.rows == {"arrears": 20}
    store = open_store(sealed(built))
    found = store.execute("SELECT CAST(amount AS BIGINT) FROM arrears").fetchall()
    store.close()
    assert found == [(at,) for at in range(20)]
