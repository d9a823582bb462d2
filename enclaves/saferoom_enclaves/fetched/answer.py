"""A provider's answer about one subject, in a child: held to the tables, and opened as a store.

The form is JSON: the subject's code, and for each table its rows with every column but the key.

    {"subject": "91...", "tables": {"tax_arrears": [{"is_in_arrears": true, "amount": "12.50"}]}}

Nothing is guessed: another subject, a table or column too many or missing, a value that is not of
its column's form, and the whole answer is refused. What is wrong with it is quoted nowhere.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final, cast

import duckdb
import numpy as np

from saferoom_enclaves.engine import connect, lock, silenced
from saferoom_enclaves.fetched import MOST_BYTES
from saferoom_enclaves.rows import FORMS, is_text
from saferoom_proto.encoding import parse_object
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements.feature import Column, ColumnType, Table

MOST_ROWS: Final = 10_000
"""Of all tables together."""
_MEMORY_BYTES: Final = 256 << 20

Rows = list[list[str | None]]


def open_answer(data: bytes, subject: str, tables: Sequence[Table]) -> duckdb.DuckDBPyConnection:
    """Opens an answer as a store of that subject alone, locked; an empty one holds no row.

    Raises:
        SafeRoomError: MALFORMED or TOO_LARGE.
    """
    read = read_answer(data, subject, tables)
    connection = connect(_MEMORY_BYTES)
    try:
        with silenced(Reason.MALFORMED, "taking an answer in"):
            connection.execute("ATTACH ':memory:' AS store")
            connection.execute("USE store")
            for table in tables:
                _fill(connection, table, read.get(table.name, []))
            lock(connection)
    except SafeRoomError:
        connection.close()
        raise
    return connection


def read_answer(data: bytes, subject: str, tables: Sequence[Table]) -> dict[str, Rows]:
    """Reads an answer, each table's rows in the order of its columns.

    Raises:
        SafeRoomError: MALFORMED or TOO_LARGE.
    """
    if not data:
        return {}
    document = parse_object(data, MOST_BYTES)
    if set(document) != {"subject", "tables"} or document["subject"] != subject:
        raise _refused("about another subject, or not of the form")
    told = _object(document["tables"])
    if set(told) != {table.name for table in tables}:
        raise _refused("other tables than the source's")
    read = {table.name: _rows(table, told[table.name], subject) for table in tables}
    if sum(map(len, read.values())) > MOST_ROWS:
        raise SafeRoomError(Reason.TOO_LARGE, f"more than {MOST_ROWS} rows")
    return read


def _rows(table: Table, told: object, subject: str) -> Rows:
    if not isinstance(told, list):
        raise _refused("a table is a list of rows")
    others = {column.name for column in table.columns if column.name != table.key}
    rows: Rows = []
    for each in cast("list[object]", told):
        row = _object(each)
        if set(row) != others:
            raise _refused("a row has every column of its table but the key, and no other")
        rows.append(
            [
                subject if column.name == table.key else _text(column, row[column.name])
                for column in table.columns
            ]
        )
    return rows


def _text(column: Column, value: object) -> str | None:
    """Gives a value as a load would have it in its file."""
    if value is None:
        return None
    match column.type:
        case ColumnType.BOOLEAN:
            known = isinstance(value, bool)
        case ColumnType.TEXT | ColumnType.DATE:
            known = isinstance(value, str)
        case _:
            known = isinstance(value, int | Decimal | str) and not isinstance(value, bool)
    if not known:
        raise _refused("a value of another type than its column")
    text = str(value).lower() if isinstance(value, bool) else _plain(value)
    form = FORMS.get(column.type)
    fits = is_text(text) if form is None else re.fullmatch(form.pattern, text) is not None
    if not fits:
        raise _refused("a value that is not of its column's form")
    return text or None


def _plain(value: object) -> str:
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def _fill(connection: duckdb.DuckDBPyConnection, table: Table, rows: Rows) -> None:
    columns = ", ".join(f'"{column.name}" {column.type}' for column in table.columns)
    connection.execute(f'CREATE TABLE "{table.name}" ({columns})')
    if not rows:
        return
    arrays = {f"c{at}": np.array(values, dtype=object) for at, values in enumerate(zip(*rows))}  # noqa: B905 - all of one width
    casts = ", ".join(f"CAST(c{at} AS {column.type})" for at, column in enumerate(table.columns))
    connection.register("_rows", arrays)
    connection.execute(f'INSERT INTO "{table.name}" SELECT {casts} FROM _rows')  # noqa: S608 - of the schema
    connection.unregister("_rows")


def _object(value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise _refused("an object is expected")
    return cast("dict[str, object]", value)


def _refused(rule: str) -> SafeRoomError:
    return SafeRoomError(Reason.MALFORMED, f"a provider's answer: {rule}")
