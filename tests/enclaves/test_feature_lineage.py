"""A law of feature SQL: a subject's value comes from that subject's rows, and from nothing else.

Whatever passes the gate gives every subject over the whole store what it gives over a store that
holds that subject's rows alone. Pieces of honest and hostile SQL are put together at random; what
the gate refuses proves nothing here, and what it takes is run both ways.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from datetime import date
from typing import Final

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saferoom_enclaves.engine import connect
from saferoom_enclaves.features.sql import CheckedSql, Gate, wrapped
from saferoom_proto.reasons import SafeRoomError
from saferoom_proto.statements.feature import ColumnType
from tests.enclaves.feature_corpus import HONEST
from tests.enclaves.tables import ARREARS, SUBJECTS, VAT, table

STAFF: Final = table("staff", name=ColumnType.TEXT, wage=ColumnType.DOUBLE)
TABLES: Final = {one.name: one for one in (VAT, ARREARS, STAFF)}
ONE, TWO, THREE = SUBJECTS[:3]
ROWS: Final[dict[str, list[tuple[object, ...]]]] = {
    "vat": [
        (ONE, "100.5", 3, date(2026, 1, 2), 0.5, True, "A"),
        (ONE, "-7", 12, date(2026, 5, 2), None, False, TWO),  # another's code, in plain text
        (TWO, "9000", 1, date(2025, 1, 2), 2.5, None, "A"),
        (TWO, "9000", 1, date(2025, 1, 2), 2.5, True, ONE),
        (THREE, None, None, None, None, None, None),
    ],
    "arrears": [(ONE, "3", True), (TWO, "5", False), (TWO, "6", True)],
    "staff": [(TWO, "Li", 10.0), (THREE, "Wang", 20.0), (THREE, "Li", None)],
}
AS_OF: Final = date(2026, 6, 1)

FROM: Final = (
    "vat v",
    "vat v JOIN arrears a ON v.uscc = a.uscc",
    "vat v LEFT JOIN arrears a USING (uscc)",
    "vat v LEFT JOIN staff a ON a.uscc = v.uscc JOIN vat w ON w.uscc = a.uscc",
    "vat v JOIN vat a USING (uscc)",
    "vat v JOIN vat a ON v.grade = a.uscc",
    "vat v JOIN vat a ON v.uscc <> a.uscc",
    "vat v LEFT JOIN vat a ON v.uscc = a.grade",
    "vat v, vat a",
    "vat v POSITIONAL JOIN vat a",
    "vat v FULL JOIN staff a USING (uscc)",
    "vat v RIGHT JOIN staff a ON v.uscc = a.uscc",
    "(SELECT * FROM vat) v",
    "vat v JOIN (SELECT uscc, max(paid) OVER () AS amount FROM vat) a USING (uscc)",
)
SUBJECT: Final = ("v.uscc", "uscc", "a.uscc", "v.grade", "max(a.uscc)")
ROW: Final = (
    "v.paid",
    "v.months",
    "v.grade",
    "a.amount",
    "a.uscc IS NULL",
    "v.uscc IS NOT NULL",
    "coalesce(v.paid, 0) + months",
    "CASE WHEN v.late THEN v.paid ELSE v.ratio END",
    "v.paid - (SELECT avg(paid) FROM vat)",
    "rank() OVER (ORDER BY v.paid)",
    "lag(v.paid) OVER (PARTITION BY v.uscc ORDER BY v.filed)",
    "v.paid IN (SELECT paid FROM vat)",
    "date_diff('month', v.filed, $as_of)",
    "rowid",
)
GROUP: Final = (
    "count(*)",
    "count(v.uscc)",
    "count(DISTINCT a.uscc)",
    "sum(v.paid)",
    "max(v.grade)",
    "arg_max(v.grade, v.paid)",
    "sum(v.paid) / nullif(count(*), 0)",
    "sum(v.paid) FILTER (WHERE v.late)",
    "sum(sum(v.paid)) OVER ()",
    "min(v.uscc)",
    "max(v.paid) - (SELECT max(paid) FROM vat)",
)
CONDITION: Final = (
    "",
    "v.late",
    "v.paid > 1 OR v.grade = 'A'",
    "v.filed >= $as_of - INTERVAL 12 MONTH",
    "a.uscc IS NULL",
    "v.uscc = v.grade",
    "EXISTS (SELECT 1 FROM arrears WHERE arrears.uscc <> v.uscc)",
    "v.grade IN (SELECT uscc FROM staff)",
)
GROUPS: Final = ("v.uscc", "uscc", "a.uscc", "v.grade", "ALL")


@st.composite
def statements(draw: st.DrawFn) -> str:
    """Put a statement together: of rows or of groups, with or without a condition."""
    source, subject = draw(st.sampled_from(FROM)), draw(st.sampled_from(SUBJECT))
    condition = draw(st.sampled_from(CONDITION))
    where = f" WHERE {condition}" if condition else ""
    if draw(st.booleans()):
        value = draw(st.sampled_from(ROW))
        return f"SELECT {subject} AS subject, {value} AS value FROM {source}{where}"
    value, groups = draw(st.sampled_from(GROUP)), draw(st.sampled_from(GROUPS))
    return f"SELECT {subject} AS subject, {value} AS value FROM {source}{where} GROUP BY {groups}"


def store(*subjects: str) -> duckdb.DuckDBPyConnection:
    """Make a store of these subjects' rows."""
    connection = connect(1 << 28)
    for name, schema in TABLES.items():
        columns = ", ".join(f'"{column.name}" {column.type}' for column in schema.columns)
        connection.execute(f'CREATE TABLE "{name}" ({columns})')
        holes = ", ".join("?" * len(schema.columns))
        for row in ROWS[name]:
            if row[0] in subjects:
                connection.execute(f"INSERT INTO {name} VALUES ({holes})", list(row))
    return connection


class Stores:
    """The whole store, and one for each subject alone; and the gate before them."""

    def __init__(self) -> None:
        self.gate: Final = Gate(TABLES)
        self.whole: Final = store(ONE, TWO, THREE)
        self.alone: Final = {each: store(each) for each in (ONE, TWO, THREE)}

    def strangers(self, checked: CheckedSql) -> list[object]:
        """Name the subjects that have over the whole store what they have not alone."""
        together = results(self.whole, checked)
        found: list[object] = [row[0] for row in together if row[0] not in self.alone]
        for subject, own in self.alone.items():
            of_subject = Counter({row: n for row, n in together.items() if row[0] == subject})
            found += [subject] if of_subject != results(own, checked) else []
        return found

    def close(self) -> None:
        """Close them all."""
        self.gate.close()
        for each in (self.whole, *self.alone.values()):
            each.close()


def results(
    connection: duckdb.DuckDBPyConnection, checked: CheckedSql
) -> Counter[tuple[object, ...]]:
    parameters = checked.parameters(AS_OF)
    return Counter(connection.execute(wrapped(checked), parameters).fetchall())


@pytest.fixture(scope="module")
def stores() -> Generator[Stores]:
    made = Stores()
    yield made
    made.close()


@pytest.mark.parametrize("feature", HONEST)
def test_an_honest_features_value_comes_from_its_subjects_rows(
    stores: Stores, feature: str
) -> None:
    assert stores.strangers(stores.gate.check(HONEST[feature])) == []


@settings(max_examples=400, deadline=None)
@given(sql=statements())
def test_whatever_passes_the_gate_gives_no_subject_anything_of_anothers(
    stores: Stores, sql: str
) -> None:
    try:
        checked = stores.gate.check(sql)
    except SafeRoomError:
        return
    assert stores.strangers(checked) == [], sql


@pytest.mark.parametrize("source", FROM[5:9])
def test_the_law_is_broken_by_what_the_gate_refuses(stores: Stores, source: str) -> None:
    """Make sure that the comparison finds another's value where there is one."""
    sql = f"SELECT v.uscc AS subject, a.paid AS value FROM {source}"
    with pytest.raises(SafeRoomError):
        stores.gate.check(sql)
    assert (
        stores.strangers(CheckedSql(sql, uses_as_of=False, value_type="", level=1, secret="")) != []
    )
