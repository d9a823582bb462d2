"""Reads values of records, in a child: of one subject, of a list, at shares of a feature's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import cast

import duckdb

from saferoom_enclaves.children.jobs import Pick, Picked, TableFound
from saferoom_enclaves.engine import silenced
from saferoom_enclaves.features.computed import FeatureDefinition
from saferoom_enclaves.features.sql import Gate, wrapped
from saferoom_proto.reasons import Reason
from saferoom_proto.statements.feature import Table
from saferoom_proto.statements.listing import DIVISION_DIGITS, DIVISION_FROM, Only


def rows_about(
    store: duckdb.DuckDBPyConnection,
    table: Table,
    withheld: Sequence[bool],
    subject: str,
    most_rows: int,
) -> TableFound:
    """Read a table's rows about a subject: one more than the most, where there are more.

    Args:
        store: an opened store.
        table: the table.
        withheld: for each of its columns, whether its values are only counted.
        subject: the subject's code.
        most_rows: how many rows are wanted at most.
    """
    shown = [
        "NULL" if kept_back else f'CAST("{column.name}" AS VARCHAR)'
        for column, kept_back in zip(table.columns, withheld, strict=True)
    ]
    counted = [
        f'count("{column.name}")' if kept_back else "count(NULL)"
        for column, kept_back in zip(table.columns, withheld, strict=True)
    ]
    # Names are of the schema, whose form allows no quotes; a subject is a parameter.
    where = f'FROM store.main."{table.name}" WHERE "{table.key}" = $subject'
    about = {"subject": subject}
    with silenced(Reason.INTERNAL, f"reading {table.name} about one subject"):
        select = f"SELECT {', '.join(shown)} {where} ORDER BY ALL LIMIT {most_rows + 1}"
        rows = store.execute(select, about).fetchall()
        counts = store.execute(f"SELECT {', '.join(counted)} {where}", about).fetchone()
    return TableFound(
        rows=tuple(cast("Sequence[tuple[str | None, ...]]", rows)),
        withheld=cast("tuple[int, ...]", counts),
    )


def picked(store: duckdb.DuckDBPyConnection, order: Pick) -> Picked:
    """Read a page of a list: one more row than the most, where there are more.

    Args:
        store: an opened store.
        order: which page of which list.
    """
    # Names are of the schema, whose form allows no quotes; codes and values are parameters.
    key = f'"{order.table.key}"'
    given: dict[str, object] = {"code": order.code}
    counts = " AND ".join([f"{key} IS NOT NULL", *_held_to(order.only, given)])
    register = f'store.main."{order.table.name}" AS register WHERE {counts}'
    firms = f"SELECT DISTINCT {key} FROM {register} AND {_belongs(order)}"  # noqa: S608 - above
    with silenced(Reason.INTERNAL, f"reading who is listed in {order.table.name}"):
        select = f"{firms} ORDER BY {key} LIMIT {order.most + 1}"
        found = [row[0] for row in store.execute(select, given).fetchall()]
        page = found[: order.most][order.first : order.first + order.firms]
        told = ", ".join(f'CAST("{name}" AS VARCHAR)' for name in order.columns)
        del given["code"]
        select = (
            f"SELECT DISTINCT {key}, {told} FROM {register} AND list_contains($page, {key})"  # noqa: S608 - above
            f" ORDER BY ALL LIMIT {order.most_rows + 1}"
        )
        rows = store.execute(select, {**given, "page": page}).fetchall() if page else []
    return Picked(
        firms=min(len(found), order.most),
        more=len(found) > order.most,
        rows=tuple(cast("Sequence[tuple[str | None, ...]]", rows)),
    )


def _held_to(only: Sequence[Only], given: dict[str, object]) -> Iterator[str]:
    """Say which rows of a register count, and give the values under their names."""
    for number, each in enumerate(only):
        if not each.values:
            yield f'"{each.column}" IS NULL'
            continue
        given[f"values{number}"] = list(each.values)
        yield f'list_contains($values{number}, CAST("{each.column}" AS VARCHAR))'


def _belongs(order: Pick) -> str:
    """Say which firms are of the district or industry that is asked for."""
    key = f'register."{order.table.key}"'
    if order.by is None or order.by_column is None:
        return f"starts_with(substr({key}, {DIVISION_FROM + 1}, {DIVISION_DIGITS}), $code)"
    return (
        f'{key} IN (SELECT "{order.by.key}" FROM store.main."{order.by.name}"'  # noqa: S608 - above
        f' WHERE starts_with(CAST("{order.by_column}" AS VARCHAR), $code))'
    )


def values_of(
    store: duckdb.DuckDBPyConnection,
    features: Sequence[FeatureDefinition],
    tables: Mapping[str, Table],
    subject: str,
) -> tuple[str | None, ...]:
    """Read each feature's value for a subject, as text; none where there is none."""
    gate = Gate(tables)
    try:
        return tuple(_value(store, gate, feature, subject) for feature in features)
    finally:
        gate.close()


def values_at(
    store: duckdb.DuckDBPyConnection,
    feature: FeatureDefinition,
    tables: Mapping[str, Table],
    shares: Sequence[float],
) -> tuple[str, ...]:
    """Read a feature's values at shares of its subjects, as text."""
    gate = Gate(tables)
    try:
        sql = gate.check(feature.sql)
    finally:
        gate.close()
    query = f"SELECT quantile_disc(value, {list(shares)}) FROM ({wrapped(sql)})"  # noqa: S608 - checked
    with silenced(Reason.MALFORMED_SQL, "quantiles"):
        row = store.execute(query, sql.parameters(feature.as_of)).fetchone()
    return tuple(map(str, cast("list[object] | None", row[0] if row else None) or ()))


def _value(
    store: duckdb.DuckDBPyConnection, gate: Gate, feature: FeatureDefinition, subject: str
) -> str | None:
    sql = gate.check(feature.sql)
    select = f"SELECT CAST(value AS VARCHAR) FROM ({wrapped(sql)}) WHERE subject = $_subject"  # noqa: S608 - checked
    with silenced(Reason.INTERNAL, f"reading {feature.shape.ref} of one subject"):
        row = store.execute(
            select, {**sql.parameters(feature.as_of), "_subject": subject}
        ).fetchone()
    return None if row is None else cast("str | None", row[0])
