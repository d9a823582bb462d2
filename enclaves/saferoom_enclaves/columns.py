"""Reads features' values for joint training, in a child: one row of numbers for each subject.

Which columns a feature becomes follows from its definition alone
(`saferoom_proto.statements.training.columns_of`). Where the store is silent and silence means
"unknown", the mean of what is known stands in the number's place, and the column after it says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias, cast

import duckdb
import numpy as np
from numpy.typing import NDArray

from saferoom_enclaves.engine import silenced
from saferoom_enclaves.feature_sql import Gate, wrapped
from saferoom_enclaves.features import FeatureDefinition
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements.feature import Absent, FeatureKind, Table
from saferoom_proto.uscc import SUBJECT_BYTES

Codes: TypeAlias = NDArray[np.bytes_]
Floats: TypeAlias = NDArray[np.float64]

_NUMBERS: Final = (FeatureKind.ORDERED, FeatureKind.FLAG)


def columns(
    store: duckdb.DuckDBPyConnection,
    features: Sequence[FeatureDefinition],
    tables: Mapping[str, Table],
    subjects: Codes,
) -> Floats:
    """Read the columns that features become.

    Args:
        store: an opened store.
        features: in the template's order, each checked again here.
        tables: the store's tables by name.
        subjects: the rows wanted; dtype S18, in the rows' order.

    Returns:
        Shape (subjects, columns); every number is finite.

    Raises:
        SafeRoomError: MALFORMED_SQL, a feature cannot be computed; TOO_LARGE, memory is exhausted.
    """
    gate = Gate(tables)
    try:
        made = [each for feature in features for each in _of(store, gate, feature, subjects)]
    finally:
        gate.close()
    return np.column_stack(made)


def _of(
    store: duckdb.DuckDBPyConnection, gate: Gate, feature: FeatureDefinition, subjects: Codes
) -> list[Floats]:
    sql = gate.check(feature.sql)
    if sql.level > feature.level:
        raise SafeRoomError(Reason.MALFORMED_SQL, f"{feature.shape.ref}: its level is too low")
    kind = feature.shape.kind
    # Text, to tell the classes by; a number else, and nothing where it is no number.
    value = "DOUBLE" if kind in _NUMBERS else "VARCHAR"
    select = f"SELECT subject, CAST(value AS {value}) AS value FROM ({wrapped(sql)})"  # noqa: S608 - checked
    with silenced(Reason.MALFORMED_SQL, f"feature {feature.shape.ref}"):
        found = cast(
            "dict[str, NDArray[np.object_]]",
            store.execute(select, sql.parameters(feature.as_of)).fetchnumpy(),  # pyright: ignore[reportUnknownMemberType]
        )
    held, places = _places(found["subject"], subjects)
    given = np.ma.asarray(found["value"])[places]
    if kind is FeatureKind.CLASSES:
        said = np.full(len(subjects), "", dtype=object)
        said[held] = given.filled("")
        texts = said.astype(str)
        made = [np.isin(texts, values).astype(np.float64) for values in feature.class_values]
        if feature.shape.absent is Absent.FALSE:  # silence means the first class, as in a check
            made[0] += 1.0 - sum(made)
        return made
    numbers = np.full(len(subjects), np.nan)
    numbers[held] = given.filled(np.nan)
    known = np.isfinite(numbers)
    if feature.shape.absent is Absent.FALSE:
        return [np.where(known, numbers, 0.0)]
    mean = float(numbers[known].mean()) if known.any() else 0.0
    return [np.where(known, numbers, mean), np.where(known, 0.0, 1.0)]


def _places(
    found: NDArray[np.object_], subjects: Codes
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Tell which subjects are among those found, and at which place each of these stands."""
    codes = np.array(list(found), dtype=f"S{SUBJECT_BYTES}")
    held = np.isin(subjects, codes)
    order = np.argsort(codes)
    return held, order[np.searchsorted(codes, subjects[held], sorter=order)]
