"""Tells in which band of a model's points every subject is; in a child.

The columns are read as they were for training, and brought to its scale by the same code: a
subject's band is a function of its record and of the model alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import duckdb
import numpy as np
from numpy.typing import NDArray

from saferoom_enclaves.children.jobs import NO_BAND, Score
from saferoom_enclaves.columns import Codes, columns_like, read
from saferoom_models.vertical.points import bands, kept, log_odds
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements.feature import Table
from saferoom_proto.uscc import SUBJECT_BYTES

_NOBODY: Final = b"0" * SUBJECT_BYTES
"""No subject has this code: what comes of it is what comes of everybody that no feature tells of.
It is the least of all codes."""


def banded(
    store: duckdb.DuckDBPyConnection, job: Score, tables: Mapping[str, Table]
) -> tuple[Codes, NDArray[np.uint8]]:
    """Band the points of all subjects of whom any of the features tells.

    Returns:
        Their codes, ascending; their bands, and behind these that of everybody else.

    Raises:
        SafeRoomError: MALFORMED_SQL, a feature cannot be computed; TOO_LARGE, memory is exhausted;
            CONFLICT, the model has other columns.
    """
    model = job.model
    found = read(store, job.features, tables)
    nobody = np.array([_NOBODY], dtype=f"S{SUBJECT_BYTES}")
    subjects = np.unique(np.concatenate([nobody, *(each.codes for each in found)]))
    means = np.array(model.means)
    try:
        columns, silent = columns_like(found, subjects, means)
    except ValueError as error:
        raise SafeRoomError(Reason.CONFLICT, "the model has other columns") from error
    scales = np.array([np.inf if each is None else each for each in model.scales])
    points = log_odds(kept(columns, means, scales), np.array(model.weights))
    told = bands(points, job.edges).astype(np.uint8)
    if job.silent:
        told[silent] = NO_BAND
    return subjects[1:], np.concatenate([told[1:], told[:1]])
