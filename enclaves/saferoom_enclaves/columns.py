"""Reads features' values for training and scores, in a child: a row of numbers for each subject.

Which columns a feature becomes follows from its definition alone
(`saferoom_proto.statements.training.columns_of`). Where the store is silent and silence means
"unknown", the mean of what is known stands in the number's place, and the column after it says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias, cast

import duckdb
import numpy as np
from numpy.typing import NDArray

from saferoom_enclaves.engine import silenced
from saferoom_enclaves.features.computed import FeatureDefinition
from saferoom_enclaves.features.sql import Gate, wrapped
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements.feature import Absent, FeatureKind, Table
from saferoom_proto.uscc import SUBJECT_BYTES

Codes: TypeAlias = NDArray[np.bytes_]
Floats: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]

_NUMBERS: Final = (FeatureKind.ORDERED, FeatureKind.FLAG)


@dataclass(frozen=True, slots=True)
class Read:
    """What a feature's SQL gave.

    Attributes:
        feature: the feature.
        codes: the subjects it gave a row about; dtype S18.
        values: of each; masked where there is none.
    """

    feature: FeatureDefinition
    codes: Codes
    values: np.ma.MaskedArray[tuple[int], np.dtype[np.object_]]


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
    made = [_made(each, subjects) for each in read(store, features, tables)]
    return np.column_stack([_filled(each) for each, _ in made])


def read(
    store: duckdb.DuckDBPyConnection,
    features: Sequence[FeatureDefinition],
    tables: Mapping[str, Table],
) -> list[Read]:
    """Run features' SQL; as `columns`."""
    gate = Gate(tables)
    try:
        return [_read(store, gate, feature) for feature in features]
    finally:
        gate.close()


def columns_like(found: Sequence[Read], subjects: Codes, fill: Floats) -> tuple[Floats, Flags]:
    """Make the columns of other subjects than those that a model was trained on.

    Args:
        found: what the features' SQL gave.
        subjects: the rows wanted; dtype S18.
        fill: for each column the mean in training, which stands where a number is unknown.

    Returns:
        The columns, as `columns` gives them; and whether all features are silent about a subject.
    """
    whole, silent = columns_known(found, subjects)
    return np.where(np.isnan(whole), fill, whole), silent


def columns_known(found: Sequence[Read], subjects: Codes) -> tuple[Floats, Flags]:
    """Make columns as `columns_like` does, with nothing in the place of what is unknown."""
    made = [_made(each, subjects) for each in found]
    whole = np.column_stack([values for values, _ in made])
    return whole, np.logical_and.reduce([~known for _, known in made])


def _read(store: duckdb.DuckDBPyConnection, gate: Gate, feature: FeatureDefinition) -> Read:
    sql = gate.check(feature.sql)
    if sql.level > feature.level:
        raise SafeRoomError(Reason.MALFORMED_SQL, f"{feature.shape.ref}: its level is too low")
    # Text, to tell the classes by; a number else, and nothing where it is no number.
    value = "DOUBLE" if feature.shape.kind in _NUMBERS else "VARCHAR"
    select = f"SELECT subject, CAST(value AS {value}) AS value FROM ({wrapped(sql)})"  # noqa: S608 - checked
    with silenced(Reason.MALFORMED_SQL, f"feature {feature.shape.ref}"):
        found = cast(
            "dict[str, NDArray[np.object_]]",
            store.execute(select, sql.parameters(feature.as_of)).fetchnumpy(),  # pyright: ignore[reportUnknownMemberType]
        )
    codes = np.array(list(found["subject"]), dtype=f"S{SUBJECT_BYTES}")
    return Read(feature, codes, np.ma.asarray(found["value"]))


def width(feature: FeatureDefinition) -> int:
    """Tell how many columns a feature becomes."""
    if feature.shape.kind is FeatureKind.CLASSES:
        return len(feature.class_values)
    return 1 if feature.shape.absent is Absent.FALSE else 2


def _made(read: Read, subjects: Codes) -> tuple[Floats, Flags]:
    """Give a feature's columns, and of whom it is known; a number that is not is none yet."""
    feature = read.feature
    held, places = _places(read.codes, subjects)
    given = read.values[places]
    if feature.shape.kind is FeatureKind.CLASSES:
        said = np.full(len(subjects), "", dtype=object)
        said[held] = given.filled("")
        texts = said.astype(str)
        made = [np.isin(texts, values).astype(np.float64) for values in feature.class_values]
        known = np.isin(texts, [value for values in feature.class_values for value in values])
        if feature.shape.absent is Absent.FALSE:  # silence means the first class, as in a check
            made[0] += 1.0 - sum(made)
        return np.column_stack(made), known
    numbers = np.full(len(subjects), np.nan)
    numbers[held] = given.filled(np.nan)
    known = np.isfinite(numbers)
    if feature.shape.absent is Absent.FALSE:
        return np.where(known, numbers, 0.0)[:, None], known
    unknown = np.where(known, 0.0, 1.0)
    return np.column_stack([np.where(known, numbers, np.nan), unknown]), known


def _filled(values: Floats) -> Floats:
    """Put the mean of what is known where a number is not."""
    known = ~np.isnan(values[:, 0])
    mean = float(values[known, 0].mean()) if known.any() else 0.0
    return np.where(np.isnan(values), mean, values)


def _places(found: Codes, subjects: Codes) -> tuple[Flags, NDArray[np.int64]]:
    """Tell which subjects are among those found, and at which place each of these stands."""
    held = np.isin(subjects, found)
    order = np.argsort(found)
    return held, order[np.searchsorted(found, subjects[held], sorter=order)]
