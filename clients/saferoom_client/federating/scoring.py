"""Scoring: a bank's own rows by a model that it trained with others and holds. Nothing is sent.

The rows go to a file as they stand, with three columns more: log-odds and probability, or what is
wrong with the row. Values beyond a column's bounds are taken as the bounds, as they were trained
on.
"""

from __future__ import annotations

import csv
import io
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from saferoom_client.extras import Extra, needing
from saferoom_client.federating.folder import KeptModel, find_model
from saferoom_client.files import bad_file, refuse_existing, require_writable, write_file
from saferoom_client.profile import Profile
from saferoom_client.records.faults import Fault
from saferoom_client.records.sources import Batch, Source, open_source
from saferoom_client.training.table import numbers, require_columns

SCORE_COLUMNS: Final = ("log_odds", "probability", "error")
LINE_COLUMN: Final = "line"
"""Comes first: where the row begins in the file that was scored; the heading is line 1."""
_MOST_TOLD: Final = 20

Words = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class FederationScored:
    """What came of scoring a file.

    Attributes:
        model: by which.
        file: where the rows stand with their scores.
        rows: that were scored.
        bad: rows that were not; what is wrong stands beside each.
        cut: rows scored that have a value beyond a column's bounds.
        faults: the first of what is wrong.
    """

    model: KeptModel
    file: Path
    rows: int
    bad: int
    cut: int
    faults: tuple[Fault, ...]


def score_file(
    profile: Profile,
    named: str,
    rows: Path,
    out: Path,
    *,
    words: Words = str,
    told: Callable[[int], None] = lambda _: None,
) -> FederationScored:
    """Score the rows of a file, and write them with their scores.

    Args:
        profile: of the member that trained the model.
        named: the federation: its id, first digits or name.
        rows: the file; each of the model's columns is in its heading.
        out: where to, as CSV in UTF-8; it must not be there yet.
        words: gives a rule in the language of who reads the file.
        told: is told how many rows have been read.

    Raises:
        SafeRoomError: `UNKNOWN_STATEMENT` where this member folder has no such model;
            `BAD_CONFIG` for a file that cannot be read, its heading, or a place that cannot be
            written; `NOT_INSTALLED`.
    """
    model = find_model(profile, named)
    refuse_existing(out)
    require_writable(out)
    scoring = _Scoring(model, words, told)
    with open_source(rows) as source:
        write_file(out, scoring.pieces(rows, source))
    return FederationScored(
        model, out, scoring.rows, scoring.bad, scoring.cut, tuple(scoring.faults)
    )


class _Scoring:
    """Scores batch after batch; none is held but the one at hand."""

    def __init__(self, model: KeptModel, words: Words, told: Callable[[int], None]) -> None:
        self._model: Final = model.fitted
        self._words: Final = words
        self._told: Final = told
        self.rows = self.bad = self.cut = 0
        self.faults: Final[list[Fault]] = []

    def pieces(self, path: Path, source: Source) -> Iterator[bytes]:
        """Give the file that is written, a piece for each batch."""
        heading = source.heading
        require_columns(path, heading, self._model.names)
        for name in (LINE_COLUMN, *SCORE_COLUMNS):
            if name in heading:
                raise bad_file(path, f"the column {name} is written by this command; rename it")
        places = [heading.index(name) for name in self._model.names]
        yield _lines([(LINE_COLUMN, *heading, *SCORE_COLUMNS)])
        for batch in source.batches:
            yield _lines(self._scored(batch, places, len(heading)))
            self._told(self.rows + self.bad)
        if not self.rows + self.bad:
            raise bad_file(path, "it has no rows")

    def _scored(
        self, batch: Batch, places: Sequence[int], width: int
    ) -> Iterator[tuple[object, ...]]:
        columns = [array("d") for _ in places]
        faults = [*batch.faults]
        for name, at, into in zip(self._model.names, places, columns, strict=True):
            faults += numbers(name, batch.columns[at], batch.lines, into)
        wrong: dict[int, list[Fault]] = defaultdict(list)
        for fault in sorted(faults):
            wrong[fault.line].append(fault)
        self.faults.extend(sorted(faults)[: _MOST_TOLD - len(self.faults)])
        scores = self._scores(columns, [line not in wrong for line in batch.lines])
        rows = dict(zip(batch.lines, zip(*batch.columns, strict=True), strict=True))
        for line in sorted({*rows, *wrong}):
            own = rows.get(line, ("",) * width)
            if line in wrong:
                self.bad += 1
                yield (line, *own, "", "", "; ".join(map(self._said, wrong[line])))
            else:
                self.rows += 1
                yield (line, *own, *next(scores), "")

    def _scores(
        self, columns: Sequence[array[float]], good: Sequence[bool]
    ) -> Iterator[tuple[str, str]]:
        """Give log-odds and probability of each row that is good."""
        with needing(Extra.MODELLING, "federated training"):
            import numpy as np  # noqa: PLC0415 - an extra

        values = np.array(columns, np.float64).T[np.array(good, bool)]
        lows, highs = np.array(self._model.bounds).T
        self.cut += int(((values < lows) | (values > highs)).any(axis=1).sum())
        points = self._model.points(values)
        chances = np.exp(-np.logaddexp(0, -points))
        return iter(
            [(f"{odds:.6g}", f"{chance:.6g}") for odds, chance in zip(points, chances, strict=True)]
        )

    def _said(self, fault: Fault) -> str:
        rule = self._words(fault.rule)
        return f"{fault.column}: {rule}" if fault.column else rule


def _lines(rows: Iterator[tuple[object, ...]] | list[tuple[object, ...]]) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out).writerows(rows)
    return out.getvalue().encode(errors="surrogateescape")
