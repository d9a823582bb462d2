"""Turns features into cells, in a child: the only place where a feature's value exists.

Each feature's SQL runs once over the whole store, and DuckDB itself turns the values into cell
numbers. No value leaves the database; what leaves is, for every subject and feature, one small
number: which cell of the feature's grid its value lies in.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal, localcontext
from typing import Final, TypeAlias, assert_never, cast

import duckdb
import numpy as np
from numpy.typing import NDArray

from saferoom_enclaves.engine import silenced
from saferoom_enclaves.features.computed import ABSENT, FeatureDefinition, FeatureRule
from saferoom_enclaves.features.sql import CheckedSql, Gate, wrapped
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.stated import TAG_BYTES, in_form, tag_of
from saferoom_proto.statements.feature import FeatureKind, StatedForm, Table
from saferoom_proto.uscc import SUBJECT_BYTES

_FETCHED_ROWS: Final = 50_000
"""Subjects held as Python strings at a time while the index is made."""
_TRIED: Final = '"_tried"'
_CELLS: Final = '"_cells"'
_SUBJECTS: Final = '"_subjects"'

Cells: TypeAlias = NDArray[np.int8]
Tags: TypeAlias = NDArray[np.uint8]
Amounts: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Everybody:
    """What a table needs beside cells: all subjects of the store, and amounts.

    Attributes:
        summed: the places of the features whose values are added up.
    """

    summed: frozenset[int]


@dataclass(frozen=True, slots=True)
class Materialised:
    """What became of features over a store.

    Attributes:
        subjects: the codes of all subjects, sorted; dtype S18.
        columns: by the feature's place, its cells in the subjects' order; dtype int8.
        amounts: by the place of a feature whose values are added up, what each subject adds; dtype
            float64, 0 where there is no value.
        tags: by the place of a feature of stated values, the tags of what is held in the
            subjects' order; of shape (subjects, 16), dtype uint8.
        refused: by the feature's place, why it has none.
    """

    subjects: NDArray[np.bytes_]
    columns: dict[int, Cells]
    tags: dict[int, Tags]
    refused: dict[int, SafeRoomError]
    amounts: dict[int, Amounts]


def materialise(
    connection: duckdb.DuckDBPyConnection,
    features: Sequence[FeatureDefinition],
    tables: Mapping[str, Table],
    begun: Callable[[int], None] = lambda _: None,
    everybody: Everybody | None = None,
) -> Materialised:
    """Computes features over a store.

    Its process bounds the work; nothing here does.

    Args:
        connection: an opened store. It is left as it was.
        features: the features, each checked again here.
        tables: the store's tables by name.
        begun: is told the place of each feature when its turn comes, and then their number.
        everybody: that subjects are wanted of whom none of the features tells, and which features'
            values are added up.

    Raises:
        SafeRoomError: TOO_LARGE, memory is exhausted, and what follows would suffer from it;
            MALFORMED, a feature stands twice. A value is never named.
    """
    gate = Gate(tables)
    try:
        return _index(connection, gate, features, tables, begun, everybody=everybody)
    finally:
        gate.close()


def check_definition(feature: FeatureDefinition, tables: Mapping[str, Table]) -> None:
    """Refuses a feature that could not be materialised, whatever the records.

    Raises:
        SafeRoomError: MALFORMED_SQL, its SQL is not allowed, its value is not of its kind, or its
            level is below that of a column that it reads; only several rows of one subject can
            show later, for they depend on the records.
    """
    gate = Gate(tables)
    try:
        sql = gate.check(feature.sql)
        if sql.level > feature.level:
            raise _refused(feature, _too_low(sql.secret, sql.level, feature.level))
        if any(source != feature.source for source in sql.sources):
            raise _refused(feature, FeatureRule.SOURCE)
        found = _index(gate.connection, gate, [feature], tables, lambda _: None, everybody=None)
    finally:
        gate.close()
    for refusal in found.refused.values():
        raise refusal


def fails(
    connection: duckdb.DuckDBPyConnection, feature: FeatureDefinition, sql: CheckedSql
) -> bool:
    """Tells whether a feature's SQL fails on the records that are there.

    Raises:
        SafeRoomError: TOO_LARGE, memory is exhausted.
    """
    try:
        with silenced(Reason.MALFORMED_SQL, f"feature {feature.shape.ref}"):
            _compute(connection, _TRIED, feature, sql, added=False)
    except SafeRoomError as error:
        if error.reason is Reason.TOO_LARGE:
            raise
        return not error.fields
    finally:
        with suppress(duckdb.Error):
            connection.execute(f"DROP TABLE IF EXISTS temp.main.{_TRIED}")
    return False


def _index(
    connection: duckdb.DuckDBPyConnection,
    gate: Gate,
    features: Sequence[FeatureDefinition],
    tables: Mapping[str, Table],
    begun: Callable[[int], None],
    *,
    everybody: Everybody | None,
) -> Materialised:
    names = [feature.shape.ref for feature in features]
    if len(set(names)) != len(names):
        raise SafeRoomError(Reason.MALFORMED, "a feature stands twice")
    refused: dict[int, SafeRoomError] = {}
    columns: dict[int, Cells] = {}
    tags: dict[int, Tags] = {}
    amounts: dict[int, Amounts] = {}
    summed = frozenset[int]() if everybody is None else everybody.summed
    try:
        with silenced(Reason.INTERNAL, "numbering the subjects"):
            subjects = _subjects(connection, tables)
        told_of = np.zeros(len(subjects), dtype=np.bool_)
        for at, feature in enumerate(features):
            begun(at)
            try:
                with silenced(Reason.MALFORMED_SQL, f"feature {feature.shape.ref}"):
                    sql = gate.check(feature.sql)
                    _compute(connection, _CELLS, feature, sql, added=at in summed)
            except SafeRoomError as error:
                if error.reason is Reason.TOO_LARGE:
                    raise
                refused[at] = error
                continue
            with silenced(Reason.INTERNAL, "indexing a feature"):
                form = feature.shape.form
                if form is not None:
                    tags[at] = _tags(connection, form, len(subjects))
                if at in summed:
                    amounts[at] = _amounts(connection, len(subjects))
                columns[at] = _column(connection, told_of)
                if form is not None:  # nothing is left of some values
                    columns[at][~tags[at].any(axis=1)] = ABSENT
        begun(len(features))
        if everybody is None and not told_of.all():
            subjects = subjects[told_of]
            columns = {at: column[told_of] for at, column in columns.items()}
            tags = {at: each[told_of] for at, each in tags.items()}
        return Materialised(subjects, columns, tags, refused, amounts)
    finally:
        # No table of an owner's begins with an underscore, so nothing of the store is named here.
        for name in (_CELLS, _SUBJECTS):
            with suppress(duckdb.Error):
                connection.execute(f"DROP TABLE IF EXISTS temp.main.{name}")


def _compute(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    feature: FeatureDefinition,
    sql: CheckedSql,
    *,
    added: bool,
) -> None:
    """Runs a feature's SQL, keeping subjects and cells, and holds it to one row a subject."""
    if sql.level > feature.level:
        raise _refused(feature, FeatureRule.LEVEL)
    if any(source != feature.source for source in sql.sources):
        raise _refused(feature, FeatureRule.SOURCE)
    cell, parameters = _cell(feature, sql.value_type)
    said = ", CAST(value AS VARCHAR) AS said" if feature.shape.form is not None else ""
    said += ", CAST(value AS DOUBLE) AS amount" if added else ""
    select = f"SELECT subject, CAST({cell} AS TINYINT) AS cell{said} FROM ({wrapped(sql)})"  # noqa: S608 - checked
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {name} AS {select}",
        {**sql.parameters(feature.as_of), **parameters},
    )
    odd_length = f"FILTER (octet_length(encode(subject)) <> {SUBJECT_BYTES})"
    counts = f"count(*), count(subject), count(DISTINCT subject), count(*) {odd_length}"
    row = connection.execute(f"SELECT {counts} FROM {name}").fetchone()  # noqa: S608 - ours
    rows, named, distinct, odd = cast("tuple[int, int, int, int]", row)
    if rows != named or odd:
        raise _refused(feature, FeatureRule.NO_SUBJECT)
    if rows != distinct:
        raise _refused(feature, FeatureRule.SEVERAL_ROWS)


def _cell(feature: FeatureDefinition, value_type: str) -> tuple[str, dict[str, object]]:
    """Gives the expression that turns `value` into its cell, and its parameters.

    A threshold that the value's type cannot hold is rounded up to the next number that it can: for
    values of that type the comparison is the same, and it stays exact.
    """
    kind = feature.shape.kind
    match kind:
        case FeatureKind.ORDERED:
            cuts = [_threshold(feature, cut, value_type) for cut in feature.shape.grid]
            parameters: dict[str, object] = {f"c{at}": cut for at, cut in enumerate(cuts)}
            sums = " + ".join(f"CAST(value >= ${name} AS TINYINT)" for name in parameters)
            absent = "value IS NULL"
            if value_type in _FLOATING:
                absent += " OR isnan(value)"  # which DuckDB orders above every number
            return f"CASE WHEN {absent} THEN {ABSENT} ELSE {sums} END", parameters
        case FeatureKind.FLAG:
            if value_type != "BOOLEAN":
                raise _refused(feature, f"the value of a flag is BOOLEAN, not {value_type}")
            return f"coalesce(CAST(value AS TINYINT), {ABSENT})", {}
        case FeatureKind.CLASSES:
            if value_type not in {"VARCHAR", "BOOLEAN", *_WHOLE}:
                raise _refused(feature, f"the value of a class is text, not {value_type}")
            whens: list[str] = []
            named: dict[str, object] = {}
            for at, values in enumerate(feature.class_values):
                keys = {f"v{len(named) + offset}": value for offset, value in enumerate(values)}
                named |= keys
                listed = ", ".join(f"${key}" for key in keys)
                whens.append(f"WHEN CAST(value AS VARCHAR) IN ({listed}) THEN {at}")
            return f"CASE {' '.join(whens)} ELSE {ABSENT} END", named
        case FeatureKind.STATED:
            if value_type not in {"VARCHAR", *_WHOLE}:
                rule = f"a value that others state is text or a whole number, not {value_type}"
                raise _refused(feature, rule)
            return f"CASE WHEN value IS NULL THEN {ABSENT} ELSE 0 END", {}
        case _:
            assert_never(kind)


_FLOATING: Final = {"DOUBLE", "FLOAT"}
_WHOLE: Final = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"}


def _threshold(feature: FeatureDefinition, cut: Decimal, value_type: str) -> object:
    if value_type in _FLOATING:
        return float(cut)
    if value_type in _WHOLE:
        return math.ceil(cut)
    if value_type.startswith("DECIMAL("):
        scale = int(value_type.removesuffix(")").rpartition(",")[2])
        with localcontext(prec=100):
            return cut.quantize(Decimal(1).scaleb(-scale), rounding=ROUND_CEILING)
    raise _refused(feature, f"the value of an ordered feature is a number, not {value_type}")


def _subjects(
    connection: duckdb.DuckDBPyConnection, tables: Mapping[str, Table]
) -> NDArray[np.bytes_]:
    """Numbers the subjects of all tables in their order, and gives them sorted."""
    there = {name for (name,) in connection.execute("SHOW TABLES").fetchall()}
    keys = " UNION ".join(
        f'SELECT DISTINCT "{table.key}" AS subject FROM "{name}"'  # noqa: S608 - of the schema
        for name, table in tables.items()
        if name in there
    )
    # A subject of another length breaks the feature that has it (`_compute`); here it would be cut.
    whole = f"octet_length(encode(subject)) = {SUBJECT_BYTES}"
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {_SUBJECTS} AS SELECT subject,"  # noqa: S608 - ours
        f" CAST(row_number() OVER (ORDER BY subject) - 1 AS INTEGER) AS row"
        f" FROM ({keys or _NONE}) WHERE {whole}"
    )
    connection.execute(f"SELECT subject FROM {_SUBJECTS} ORDER BY row")  # noqa: S608 - ours
    parts: list[NDArray[np.bytes_]] = []
    while fetched := connection.fetchmany(_FETCHED_ROWS):
        parts.append(np.array([subject for (subject,) in fetched], dtype=f"S{SUBJECT_BYTES}"))
    return np.concatenate([np.array([], dtype=f"S{SUBJECT_BYTES}"), *parts])


_NONE: Final = "SELECT '' AS subject WHERE false"


def _column(connection: duckdb.DuckDBPyConnection, told_of: NDArray[np.bool_]) -> Cells:
    """Gives the last feature's cells in the order of the subjects, and notes whom it tells of.

    One feature's rows are held at a time: with their codes, those of all would not fit.
    """
    joined = f"SELECT row, cell FROM {_CELLS} JOIN {_SUBJECTS} USING (subject)"  # noqa: S608 - ours
    arrays = cast(
        "dict[str, NDArray[np.int32]]",
        connection.execute(joined).fetchnumpy(),  # pyright: ignore[reportUnknownMemberType]
    )
    connection.execute(f"DROP TABLE temp.main.{_CELLS}")
    column = np.full(len(told_of), ABSENT, dtype=np.int8)
    column[arrays["row"]] = arrays["cell"]
    told_of[arrays["row"]] = True
    return column


def _amounts(connection: duckdb.DuckDBPyConnection, subjects: int) -> Amounts:
    """Gives what each subject adds by the last feature; nothing where it has no finite value."""
    joined = f"SELECT row, amount FROM {_CELLS} JOIN {_SUBJECTS} USING (subject)"  # noqa: S608 - ours
    arrays = cast(
        "dict[str, NDArray[np.float64]]",
        connection.execute(f"{joined} WHERE isfinite(amount)").fetchnumpy(),  # pyright: ignore[reportUnknownMemberType]
    )
    amounts = np.zeros(subjects, dtype=np.float64)
    amounts[arrays["row"].astype(np.int64)] = arrays["amount"]
    return amounts


def _tags(connection: duckdb.DuckDBPyConnection, form: StatedForm, subjects: int) -> Tags:
    """Gives the tags of the last feature's values, brought into their form; zeros for none."""
    tags = np.zeros((subjects, TAG_BYTES), dtype=np.uint8)
    joined = f"SELECT row, said FROM {_CELLS} JOIN {_SUBJECTS} USING (subject)"  # noqa: S608 - ours
    connection.execute(f"{joined} WHERE said IS NOT NULL")
    while fetched := cast("list[tuple[int, str]]", connection.fetchmany(_FETCHED_ROWS)):
        for row, value in fetched:
            if said := in_form(value, form):
                tags[row] = np.frombuffer(tag_of(said), dtype=np.uint8)
    return tags


def _too_low(name: str, level: int, own: int) -> str:
    return f"it reads {name}, of level {level}: its own level must be {level} or more, not {own}"


def _refused(feature: FeatureDefinition, rule: str) -> SafeRoomError:
    return SafeRoomError(
        Reason.MALFORMED_SQL, f"feature {feature.shape.ref}: {rule}", [FieldFault("sql", rule)]
    )
