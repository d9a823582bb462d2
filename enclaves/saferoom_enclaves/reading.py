"""Reads values of records, in a child: about one subject, and at shares of a feature's subjects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import duckdb

from saferoom_enclaves.children.jobs import TableFound
from saferoom_enclaves.engine import silenced
from saferoom_enclaves.feature_sql import Gate, wrapped
from saferoom_enclaves.features import FeatureDefinition
from saferoom_proto.reasons import Reason
from saferoom_proto.statements.feature import Table


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
