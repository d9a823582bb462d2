"""Scores of a whole file of applicants: a band beside each, and both parts where columns are there.

Columns that are called like the model's own columns hold each applicant's values of them. They stay
here: what is asked are the subjects.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from saferoom_client.applicants import MOST_TOLD, Applicants, read_applicants
from saferoom_client.cli.answer_words import in_words
from saferoom_client.cli.check_file import FileAsked, ask_on, keep_batch, show_rows
from saferoom_client.files import bad_file
from saferoom_client.room import Room
from saferoom_client.score_batches import BatchScores, OwnParts, RowScore, own_columns
from saferoom_client.scores import Scale, own_part, own_report, scored
from saferoom_client.training.report import TrainingReport
from saferoom_proto.answer import Band, Truth
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError

SCORE_COLUMNS: Final = ("band", "stands_for", "own", "log_odds", "points", "reason", "reasons")
_REFUSED: Final = "refused"


def score_file(room: Room, asked: FileAsked, scale: Scale, *, as_json: bool) -> None:
    """Ask for the score of every applicant of a file, and write them beside them."""
    asked.require_writable()
    view = room.get_template(asked.template)
    scored(view)
    names = own_columns(room.session, view)
    applicants = read_applicants(asked.file, names, asked.column, written=SCORE_COLUMNS, once=True)
    given = {*names} & {*applicants.heading}
    own = own_of(asked.file, applicants, own_report(room.session, view)) if given else ()
    batch, again = keep_batch(room, asked, view, applicants.subjects)
    scores = ask_on(asked, lambda told: room.ask_scores(batch, own, progress=told), quiet=as_json)
    asked.finish(scores.receipt, lambda: _written(applicants, scores, scale))
    named = {str(band): in_words(band) for band in map(Band, range(1, scores.bands + 1))}
    counts = _counts(scores, named)
    show_rows(asked, scores.request_id, counts, named, again=again, as_json=as_json)


def own_of(file: Path, applicants: Applicants, report: TrainingReport) -> OwnParts:
    """Reckon each applicant's own part of the log-odds.

    Raises:
        SafeRoomError: `BAD_CONFIG` if a column is missing; `MALFORMED` naming lines and columns.
    """
    names = {weight.name for weight in report.weights}
    if missing := sorted(names - {*applicants.heading}):
        rule = f"the model reads {', '.join(missing)} too: give all of its columns, or none"
        raise bad_file(file, rule)
    told: list[float] = []
    faults: list[FieldFault] = []
    for number, texts in zip(applicants.numbers, applicants.params, strict=True):
        try:
            told.append(own_part(report, {name: _number(text) for name, text in texts.items()}))
        except SafeRoomError as error:
            place = f"{file} line {number}"
            faults += [FieldFault(place, f"{each.field}: {each.rule}") for each in error.fields]
    if faults:
        detail = f"{len(faults)} values that are no numbers; nothing was sent"
        raise SafeRoomError(Reason.MALFORMED, detail, faults[:MOST_TOLD])
    return told


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")  # which is refused by its column's name


def _written(applicants: Applicants, scores: BatchScores, scale: Scale) -> bytes:
    """Write the applicants with what became of each, as CSV in UTF-8.

    The band is a number, not_found or refused; for a refusal the reason stands beside it.
    """
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow((*applicants.heading, *SCORE_COLUMNS))
    for line, row in zip(applicants.lines, scores, strict=True):
        numbers = (row.stands_for, row.own, row.log_odds, row.points(scale))
        told = ("" if each is None else each for each in (*numbers, row.reason))
        writer.writerow((*line, _told(row), *told, " ".join(row.reasons)))
    return out.getvalue().encode()


def _told(row: RowScore) -> str:
    if row.reason is not None:
        return _REFUSED
    return str(Truth.NOT_FOUND if row.band is None else row.band)


def _counts(scores: BatchScores, bands: Iterable[str]) -> dict[str, int]:
    """Count what became of the rows: by band, and the refused ones by reason."""
    counts = dict.fromkeys((*bands, str(Truth.NOT_FOUND)), 0)
    for row in scores:
        told = Truth.NOT_FOUND if row.band is None else Band(row.band)
        outcome = str(row.reason or told)
        counts[outcome] = counts.get(outcome, 0) + 1
    return counts
