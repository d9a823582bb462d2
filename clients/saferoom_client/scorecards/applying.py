"""Scoring rows with a kept card: points, reasons, and how far the rows have moved since."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from saferoom_client.files import write_file
from saferoom_client.scorecards.cards import (
    card_of,
    kept_measures,
    kinds_of,
    refused,
    saying_faults,
    values_of,
)
from saferoom_client.scorecards.document import KeptBin, KeptColumn, KeptMeasures, Scorecard
from saferoom_client.scorecards.table import Columns, Rows, read_rows, read_values
from saferoom_client.tongue import later

if TYPE_CHECKING:
    from saferoom_models.arrays import Integers

LINE: Final = "line"
POINTS: Final = "points"
REASON: Final = "reason_{rank}"
STABLE: Final = 0.1
MOVED: Final = 0.25
"""A stability index below the first is taken for none, above the second for much
(Siddiqi 2006, chapter 9)."""


@dataclass(frozen=True, slots=True)
class Loss:
    """A column that lost a row points.

    Attributes:
        column: of the card.
        bin: that the row's value lies in.
        points: fewer than the column's best bin has.
    """

    column: KeptColumn
    bin: KeptBin
    points: int


@dataclass(frozen=True, slots=True)
class Scored:
    """Rows with their points.

    Attributes:
        rows: the table.
        points: of each row.
        reasons: of each row, the columns that lost most points first; four at most.
        woe: of each column, the weights of evidence of its values.
        measured: how the points tell the rows apart; none without labels.
        stability: of the points over the card's bands; none for a card that has no bands.
        columns: the stability index of each column over its bins.
    """

    rows: Rows
    points: list[int]
    reasons: list[tuple[Loss, ...]]
    woe: dict[str, list[float]]
    measured: KeptMeasures | None
    stability: float | None
    columns: dict[str, float]


def score_table(card: Scorecard, table: Path, columns: Columns) -> Scored:
    """Score the rows of a table; those of the card's columns that are empty are missing.

    Args:
        card: the card.
        table: CSV, Excel, Parquet or Arrow, with all of the card's columns.
        columns: the column of labels, if it has one, and those to give back.

    Raises:
        SafeRoomError: `BAD_CONFIG` or `MALFORMED` names file, line, column and rule;
            `NOT_INSTALLED`.
    """
    for name in columns.kept:
        if name in {LINE, POINTS} or name.startswith(REASON.format(rank="")):
            rule = later("a column of points or reasons has this name: rename it in the table")
            raise refused(f"--keep {name}", rule, "saferoom scorecard apply --help")
    with saying_faults(str(table)):
        return _scored(card, read_rows(table, columns, kinds_of(card)))


def score_values(card: Scorecard, values: Mapping[str, str]) -> tuple[int, tuple[Loss, ...]]:
    """Score one row that was typed; a column that is not named is missing.

    Returns:
        Its points, and what lost it most of them.

    Raises:
        SafeRoomError: `MALFORMED` naming what is unknown or no number; `NOT_INSTALLED`.
    """
    with saying_faults(card.name):
        scored = _scored(card, read_values(values, kinds_of(card)))
    return scored.points[0], scored.reasons[0]


def write_points(path: Path, scored: Scored) -> None:
    """Write points and reasons as CSV, beside the columns that were to be given back."""
    most = max((len(each) for each in scored.reasons), default=0)
    ranks = range(most)
    heading = [LINE, *scored.rows.kept, POINTS, *(REASON.format(rank=at + 1) for at in ranks)]
    kept = list(scored.rows.kept.values())

    def lines() -> Iterator[Sequence[object]]:
        for at, line in enumerate(scored.rows.lines):
            names = [loss.column.name for loss in scored.reasons[at]]
            names += [""] * (most - len(names))
            yield [line, *(each[at] for each in kept), scored.points[at], *names]

    _write(path, heading, lines())


def write_woe(path: Path, scored: Scored, label: str | None) -> None:
    """Write the same rows with weights of evidence in place of values, as a job trains on them."""
    labels = scored.rows.labels
    told = [] if label is None or labels is None else [label]
    beside = {name: each for name, each in scored.rows.kept.items() if name not in scored.woe}
    heading = [*beside, *told, *scored.woe]
    kept, woe = list(beside.values()), list(scored.woe.values())

    def lines() -> Iterator[Sequence[object]]:
        for at in range(len(scored.rows)):
            given = [labels[at]] if told and labels is not None else []
            yield [*(each[at] for each in kept), *given, *(repr(each[at]) for each in woe)]

    _write(path, heading, lines())


def _write(path: Path, heading: Sequence[str], lines: Iterator[Sequence[object]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(heading)
    writer.writerows(lines)
    write_file(path, text.getvalue().encode())


def _scored(kept: Scorecard, rows: Rows) -> Scored:
    card = card_of(kept)
    places = card.places(values_of(rows))
    each = card.column_points(places)
    points = each.sum(axis=1)
    measured, stability = _measured(kept, points, rows)
    return Scored(
        rows,
        points.tolist(),
        [
            tuple(_loss(kept.columns[at], int(row[at])) for at in reasons)
            for row, reasons in zip(places, card.reasons(each), strict=True)
        ],
        {
            column.name: column.woe()[at].tolist()
            for column, at in zip(card.columns, places.T, strict=True)
        },
        measured,
        stability,
        _moved(kept, places),
    )


def _loss(column: KeptColumn, place: int) -> Loss:
    held = column.bins[place]
    return Loss(column, held, column.most - held.points)


def _measured(
    kept: Scorecard, points: Integers, rows: Rows
) -> tuple[KeptMeasures | None, float | None]:
    import numpy as np  # noqa: PLC0415 - an extra

    from saferoom_models.scorecard.measures import measure, stability  # noqa: PLC0415

    if kept.fitted is None:
        return None, None
    edges = [band.low for band in kept.fitted.bands if band.low is not None]
    at = np.searchsorted(np.array(edges, dtype=np.int64), points, side="right")
    now = np.bincount(at, minlength=len(edges) + 1).tolist()
    index = stability([band.rows for band in kept.fitted.bands], now)
    if rows.labels is None:
        return None, index
    told = measure(points, np.array(rows.labels, dtype=np.int64), edges)
    return kept_measures(told), index


def _moved(kept: Scorecard, places: Integers) -> dict[str, float]:
    import numpy as np  # noqa: PLC0415 - an extra

    from saferoom_models.scorecard.measures import stability  # noqa: PLC0415

    return {
        column.name: stability(
            [each.events + each.others for each in column.bins],
            np.bincount(at, minlength=len(column.bins)).tolist(),
        )
        for column, at in zip(kept.columns, places.T, strict=True)
    }
