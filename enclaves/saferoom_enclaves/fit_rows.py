"""Reads the rows that a model of the room is fitted to; in a child.

Of several owners, the host's child first names of whom it would be fitted; of those whom all owners
hold, the others' columns are then put beside its own.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

import duckdb
import numpy as np

from saferoom_enclaves.children.fit_jobs import FindRows, Fit, RowsFound
from saferoom_enclaves.columns import Codes, Floats, columns_known, read
from saferoom_models.arrays import Integers
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements.training import unknown_column
from saferoom_proto.uscc import SUBJECT_BYTES


@dataclass(frozen=True, slots=True, repr=False)
class Rows:
    """What is fitted to.

    Attributes:
        subjects: their codes, ascending.
        values: of this owner's columns; not a number where one is unknown.
        others: of the other owners' columns, likewise; none of one owner.
        labels: 1 for the event.
    """

    subjects: Codes
    values: Floats
    others: Floats
    labels: Integers

    @property
    def whole(self) -> Floats:
        """All columns, this owner's first."""
        return np.hstack([self.values, self.others])


@dataclass(frozen=True, slots=True, repr=False)
class Given:
    """Whom a model is fitted to, and the other owners' columns of them, row by row."""

    subjects: bytes
    columns: bytes

    @classmethod
    def of(cls, files: Sequence[int]) -> Given | None:
        """Read it out of memory that the child was given; none if it was given none."""
        if not files:
            return None
        subjects, columns = (os.pread(each, os.fstat(each).st_size, 0) for each in files)
        return cls(subjects, columns)


def find_rows(store: duckdb.DuckDBPyConnection, job: FindRows, file: BinaryIO) -> RowsFound:
    """Name of whom any feature tells and the label is known.

    Raises:
        SafeRoomError: MALFORMED_SQL, a feature cannot be computed; TOO_LARGE, memory is exhausted.
    """
    subjects = read_rows(store, job, None).subjects
    file.write(subjects.tobytes())
    return RowsFound(rows=len(subjects))


def read_rows(store: duckdb.DuckDBPyConnection, job: Fit | FindRows, given: Given | None) -> Rows:
    """Read of whom any feature tells and the label is known, or of those of them who are given.

    Raises:
        SafeRoomError: as `find_rows`; `CONFLICT` if one who is given is none of them.
    """
    found = read(store, (*job.features, job.label), {each.name: each for each in job.tables})
    features, label = found[:-1], found[-1:]
    if given is None:
        subjects = np.unique(np.concatenate([each.codes for each in features]))
    else:
        subjects = np.frombuffer(given.subjects, f"S{SUBJECT_BYTES}")
    values, silent = columns_known(features, subjects)
    told, _ = columns_known(label, subjects)
    labels = told[:, 0]
    kept = ~silent & np.isfinite(labels)
    others = np.zeros((len(subjects), 0))
    if given is not None and isinstance(job, Fit):
        if not kept.all():
            raise SafeRoomError(Reason.CONFLICT, "a subject that was not found first")
        others = _unfilled(given.columns, len(subjects), job.others)
    return Rows(subjects[kept], values[kept], others[kept], (labels[kept] != 0).astype(np.int64))


def _unfilled(columns: bytes, rows: int, names: Sequence[str]) -> Floats:
    """Take out again what a giver put in the place of what it does not know."""
    values = np.frombuffer(columns, np.float64).reshape(rows, len(names)).copy()
    places = {name: at for at, name in enumerate(names)}
    for name, at in places.items():
        marked = places.get(unknown_column(name))
        if marked is not None:
            values[values[:, marked] != 0, at] = np.nan
    return values
