"""Tells in which band of a model's points every subject is; in a child.

The columns are read as they were for training, and brought to its scale by the same code: a
subject's band is a function of its record and of the model alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import duckdb
import numpy as np
from numpy.typing import NDArray

from saferoom_enclaves.children.fit_jobs import BoostedTold
from saferoom_enclaves.children.jobs import NO_BAND, Score
from saferoom_enclaves.columns import Codes, Floats, columns_like, read, width
from saferoom_models.pooled.trees import Boosted, Node
from saferoom_models.vertical.points import bands, kept, log_odds, reasons
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements.feature import Table
from saferoom_proto.uscc import SUBJECT_BYTES

_NOBODY: Final = b"0" * SUBJECT_BYTES
"""No subject has this code: what comes of it is what comes of everybody that no feature tells of.
It is the least of all codes."""


@dataclass(frozen=True, slots=True, eq=False)
class BandedRows:
    """What is told of every subject of whom any of the features tells.

    Attributes:
        subjects: their codes, ascending.
        bands: theirs, and behind these that of everybody else.
        lost: the features that raise the odds the most, a bit for each; in the bands' order.
    """

    subjects: Codes
    bands: NDArray[np.uint8]
    lost: NDArray[np.uint64]


def banded(store: duckdb.DuckDBPyConnection, job: Score, tables: Mapping[str, Table]) -> BandedRows:
    """Band the points of all subjects of whom any of the features tells.

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
    whole, weights = kept(columns, means, scales), np.array(model.weights)
    if model.boosted is None:
        points = log_odds(whole, weights) + model.intercept
    else:
        points = _by_trees(model.boosted, model.intercept, columns)
    told = bands(points, job.edges).astype(np.uint8)
    lost = np.zeros(len(subjects), np.uint64)
    if job.reasons:
        widths = [width(each) for each in job.features]
        lost = reasons(whole, weights, np.repeat(np.arange(len(widths)), widths), job.reasons)
    if job.silent:
        told[silent] = NO_BAND
        lost[silent] = 0
    # Nobody comes first, and goes last.
    return BandedRows(subjects[1:], np.roll(told, -1), np.roll(lost, -1))


def _by_trees(boosted: BoostedTold, baseline: float, columns: Floats) -> Floats:
    trees = tuple(
        tuple(Node(one.column, one.threshold, one.left, one.right, one.value) for one in tree)
        for tree in boosted.trees
    )
    return Boosted(boosted.edges, trees, baseline).log_odds(columns)
