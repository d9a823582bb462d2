"""Turns features into an index of cells: what checks are answered from, without any SQL.

When a snapshot opens, each feature's SQL runs once over the whole store, and DuckDB itself turns
the values into cell numbers. No value leaves the database; the index holds, for every subject and
feature, one small number: which cell of the feature's grid its value lies in.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_CEILING, Decimal, localcontext
from typing import Final, TypeAlias, assert_never, cast

import duckdb
import numpy as np
from numpy.typing import NDArray

from saferoom_enclaves.engine import silenced
from saferoom_enclaves.feature_sql import CheckedSql, Gate, wrapped
from saferoom_enclaves.store import Store
from saferoom_proto.formula import FeatureRef, FeatureShape
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements.feature import Absent, Feature, FeatureKind, Table

SUBJECT_BYTES: Final = 18
"""Length of a unified social credit code."""
ABSENT: Final = -1
"""The cell of a subject about whom a feature is unknown."""

_FETCHED_ROWS: Final = 50_000
"""Subjects held as Python strings at a time while the index is made."""

Cells: TypeAlias = NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class FeatureDefinition:
    """A feature as the enclave computes it.

    Attributes:
        shape: its name, kind, grid or classes, and what absence means.
        sql: gives every subject its value (`feature_sql`).
        as_of: the date that `$as_of` stands for.
        class_values: for an unordered feature, the values of each class, in the classes' order.
    """

    shape: FeatureShape
    sql: str
    as_of: date
    class_values: tuple[tuple[str, ...], ...] = ()

    def __post_init__(self) -> None:
        """Refuses classes without values, and values in two classes."""
        values = [value for cell in self.class_values for value in cell]
        whole = len(self.class_values) == len(self.shape.classes) and all(self.class_values)
        if not whole or len(set(values)) != len(values):
            raise SafeRoomError(
                Reason.MALFORMED, f"{self.shape.ref}: each class has values of its own"
            )

    @classmethod
    def of(cls, feature: Feature) -> FeatureDefinition:
        """Takes what the owner's statement says."""
        shape = FeatureShape(
            FeatureRef(feature.owner, feature.name),
            feature.kind,
            feature.grid,
            tuple(cell.name for cell in feature.classes),
            feature.absent,
        )
        values = tuple(cell.values for cell in feature.classes)
        return cls(shape, feature.sql, feature.as_of, values)


class FeatureIndex:
    """Every subject's cell of every feature. Immutable; any thread may read it.

    It takes 18 bytes a subject and one byte a subject and feature: 58 MB for a million subjects
    and forty features. A look-up is a binary search and one read a feature.
    """

    def __init__(self, subjects: NDArray[np.bytes_], cells: Mapping[FeatureShape, Cells]) -> None:
        """Takes the sorted subjects (dtype S18, no two alike) and each feature's cells (int8)."""
        self._subjects = subjects
        # Read through memory views: an array would make a scalar object of every element.
        self._codes = subjects.view(np.uint8).data
        self._columns: dict[FeatureRef, tuple[memoryview[int], int | None]] = {
            shape.ref: (column.data, 0 if shape.absent is Absent.FALSE else None)
            for shape, column in cells.items()
        }

    @property
    def subjects(self) -> int:
        """How many subjects there are."""
        return len(self._subjects)

    @property
    def features(self) -> frozenset[FeatureRef]:
        """Which features there are."""
        return frozenset(self._columns)

    def counts(self, feature: FeatureRef) -> dict[int, int]:
        """Gives how many subjects are in each cell of a feature; `ABSENT` is a cell too."""
        column, _ = self._columns[feature]
        cells, counts = np.unique(np.asarray(column), return_counts=True)
        return dict(zip(map(int, cells), map(int, counts), strict=True))

    def __contains__(self, subject: str) -> bool:
        """Tells whether any feature's SQL gave a row about the subject."""
        return self._row(subject) is not None

    def cells(self, subject: str, names: Iterable[FeatureRef]) -> tuple[int | None, ...]:
        """Gives a subject's cells, in the order of the names.

        Args:
            subject: the 18 characters; a subject nobody has a row about is absent everywhere.
            names: the features.

        Returns:
            For each feature the cell (`FeatureShape` tells which number is which). Where the store
            is silent: cell 0 if its absence means no, and None if it means unknown.

        Raises:
            SafeRoomError: UNKNOWN_FEATURE, the index has no such feature.
        """
        row = self._row(subject)
        try:
            columns = [self._columns[name] for name in names]
        except KeyError as error:
            raise SafeRoomError(Reason.UNKNOWN_FEATURE, f"{error.args[0]}") from error
        if row is None:
            return tuple([absent for _, absent in columns])
        return tuple(
            [absent if (cell := column[row]) == ABSENT else cell for column, absent in columns]
        )

    def cells_of(self, subjects: bytes, names: Sequence[FeatureRef]) -> Cells:
        """Gives the cells of many subjects; as `cells`.

        Args:
            subjects: their codes, 18 bytes each.
            names: the features.

        Returns:
            An array of shape (subjects, features); `ABSENT` is unknown.
        """
        wanted = np.frombuffer(subjects, dtype=f"S{SUBJECT_BYTES}")
        rows, known = np.zeros(len(wanted), np.int64), np.zeros(len(wanted), np.bool_)
        if len(self._subjects):
            rows = np.minimum(self._subjects.searchsorted(wanted), len(self._subjects) - 1)
            known = self._subjects[rows] == wanted
        cells = np.full((len(wanted), len(names)), ABSENT, dtype=np.int8)
        for at, name in enumerate(names):
            column, absent = self._columns[name]
            held = np.frombuffer(column, dtype=np.int8)
            cells[known, at] = held[rows[known]]
            if absent is not None:
                cells[cells[:, at] == ABSENT, at] = absent
        return cells

    def _row(self, subject: str) -> int | None:
        code = subject.encode()
        if len(code) != SUBJECT_BYTES:
            return None  # numpy would widen every subject to compare them
        row = int(self._subjects.searchsorted(code))
        start = row * SUBJECT_BYTES
        return row if bytes(self._codes[start : start + SUBJECT_BYTES]) == code else None


def materialise(
    store: Store, features: Sequence[FeatureDefinition], tables: Mapping[str, Table]
) -> FeatureIndex:
    """Computes every feature over a store.

    The work is bounded by the process's address space; put it under `Store.interrupt_after` to
    bound its time.

    Args:
        store: an opened store. It is left as it was.
        features: the features in force, each checked again here.
        tables: the store's tables by name.

    Raises:
        SafeRoomError: MALFORMED_SQL, a feature's SQL is not allowed, its value is not of its kind,
            or a subject has more than one row; DEADLINE, it was interrupted; TOO_LARGE, it does not
            fit into memory. The feature is named, a value never is.
    """
    gate = Gate(tables)
    try:
        return _index(store.connection, gate, features)
    finally:
        gate.close()


def check_definition(feature: FeatureDefinition, tables: Mapping[str, Table]) -> None:
    """Refuses a feature that could not be materialised, whatever the records.

    Raises:
        SafeRoomError: MALFORMED_SQL, as in `materialise`; only several rows of one subject can
            show later, for they depend on the records.
    """
    gate = Gate(tables)
    try:
        _index(gate.connection, gate, [feature])
    finally:
        gate.close()


def _index(
    connection: duckdb.DuckDBPyConnection, gate: Gate, features: Sequence[FeatureDefinition]
) -> FeatureIndex:
    names = [feature.shape.ref for feature in features]
    if len(set(names)) != len(names):
        raise SafeRoomError(Reason.MALFORMED, "a feature stands twice")
    made = [f'"_cells_{at}"' for at in range(len(features))]
    try:
        for name, feature in zip(made, features, strict=True):
            with silenced(Reason.MALFORMED_SQL, f"feature {feature.shape.ref}"):
                _compute(connection, name, feature, gate.check(feature.sql))
        with silenced(Reason.INTERNAL, "indexing the features"):
            subjects = _subjects(connection, made)
            cells = {
                feature.shape: _column(connection, name, len(subjects))
                for name, feature in zip(made, features, strict=True)
            }
        return FeatureIndex(subjects, cells)
    finally:
        # No table of an owner's begins with an underscore, so nothing of the store is named here.
        for name in (*made, '"_subjects"'):
            with suppress(
                duckdb.Error
            ):  # an interruption may hit this too: the next run replaces it
                connection.execute(f"DROP TABLE IF EXISTS temp.main.{name}")


def _compute(
    connection: duckdb.DuckDBPyConnection, name: str, feature: FeatureDefinition, sql: CheckedSql
) -> None:
    """Runs a feature's SQL, keeping subjects and cells, and holds it to one row a subject."""
    cell, parameters = _cell(feature, sql.value_type)
    select = f"SELECT subject, CAST({cell} AS TINYINT) AS cell FROM ({wrapped(sql)})"  # noqa: S608 - checked
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {name} AS {select}",
        {**sql.parameters(feature.as_of), **parameters},
    )
    odd_length = f"FILTER (octet_length(encode(subject)) <> {SUBJECT_BYTES})"
    counts = f"count(*), count(subject), count(DISTINCT subject), count(*) {odd_length}"
    row = connection.execute(f"SELECT {counts} FROM {name}").fetchone()  # noqa: S608 - ours
    rows, named, distinct, odd = cast("tuple[int, int, int, int]", row)
    if rows != named or odd:
        raise _refused(feature, "a row has no subject, or none of 18 characters")
    if rows != distinct:
        raise _refused(feature, "a subject has more than one row: aggregate by the subject")


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


def _subjects(connection: duckdb.DuckDBPyConnection, made: Sequence[str]) -> NDArray[np.bytes_]:
    """Numbers the subjects of all features in their order, and gives them sorted."""
    all_of = " UNION ".join(f"SELECT subject FROM {name}" for name in made)  # noqa: S608 - ours
    numbered = "SELECT subject, row_number() OVER (ORDER BY subject) - 1 AS row FROM"
    connection.execute(
        f'CREATE OR REPLACE TEMP TABLE "_subjects" AS {numbered} ({all_of or _NONE})'
    )
    connection.execute('SELECT subject FROM "_subjects" ORDER BY row')
    parts: list[NDArray[np.bytes_]] = []
    while fetched := connection.fetchmany(_FETCHED_ROWS):
        parts.append(np.array([subject for (subject,) in fetched], dtype=f"S{SUBJECT_BYTES}"))
    return np.concatenate([np.array([], dtype=f"S{SUBJECT_BYTES}"), *parts])


_NONE: Final = "SELECT '' AS subject WHERE false"


def _column(connection: duckdb.DuckDBPyConnection, name: str, subjects: int) -> Cells:
    """Gives a feature's cells in the order of the subjects."""
    connection.execute(f'SELECT row, cell FROM {name} JOIN "_subjects" USING (subject)')  # noqa: S608
    arrays = cast(
        "dict[str, NDArray[np.int64]]",
        connection.fetchnumpy(),  # pyright: ignore[reportUnknownMemberType]
    )
    column = np.full(subjects, ABSENT, dtype=np.int8)
    column[arrays["row"]] = arrays["cell"]
    return column


def _refused(feature: FeatureDefinition, rule: str) -> SafeRoomError:
    return SafeRoomError(
        Reason.MALFORMED_SQL, f"feature {feature.shape.ref}: {rule}", [FieldFault("sql", rule)]
    )
