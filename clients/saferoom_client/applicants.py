"""A bank's own list of applicants: a CSV with a column of subjects, and perhaps of parameters.

UTF-8, with or without its mark, or GB18030, as spreadsheets in China save it. Every line is held to
its rules before anything is sent; a line that breaks one is told by its number and the rule.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from saferoom_client.batch import Asked
from saferoom_client.batch_answer import BatchAnswer
from saferoom_client.files import bad_file, read_file
from saferoom_proto.answer import Truth
from saferoom_proto.batch import MOST_ROWS
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.uscc import parse_uscc

SUBJECT_NAMES: Final = ("uscc", "subject", "统一社会信用代码")
"""What the column of subjects is called, where its name is not given."""
ANSWER_COLUMNS: Final = ("answer", "reason")
MOST_TOLD: Final = 20
"""Bad lines that are told one by one."""
_ENCODINGS: Final = ("utf-8-sig", "gb18030")


@dataclass(frozen=True, slots=True)
class Applicants:
    """A list of applicants, each line of which is a row that may be asked.

    Attributes:
        heading: the columns' names.
        lines: each applicant's fields, as they stand in the file.
        subjects: each one's code.
        params: each one's values of the columns that were asked for.
        numbers: of the lines in the file.
    """

    heading: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]
    subjects: tuple[str, ...]
    params: tuple[dict[str, str], ...]
    numbers: tuple[int, ...]

    def rows(self) -> Iterator[Asked]:
        """Give the rows of a batch."""
        for subject, own in zip(self.subjects, self.params, strict=True):
            yield (subject, own) if own else subject


def read_applicants(
    path: Path,
    parameters: Collection[str],
    column: str | None,
    *,
    written: Collection[str] = ANSWER_COLUMNS,
    once: bool = False,
) -> Applicants:
    """Read a list of applicants.

    Args:
        path: the CSV file.
        parameters: names of the template's parameters: a column of such a name holds its values.
        column: the column of subjects; by default the one that has its usual name.
        written: the columns that the answers will have.
        once: whether a subject stands in one line only, whatever its values.

    Raises:
        SafeRoomError: `BAD_CONFIG` for the file, its encoding or heading; `MALFORMED` naming each
            bad line and its rule.
    """
    reader = csv.reader(io.StringIO(_text(path), newline=""), strict=True)
    try:
        heading = tuple(next(reader, list[str]()))
        at = _subject_column(path, heading, column, written)
        own = {name: heading.index(name) for name in heading if name in parameters}
        return _applicants(path, reader, _Columns(heading, at, own, once))
    except csv.Error as error:
        rule = f"line {reader.line_num}: {error}"
        raise SafeRoomError(Reason.MALFORMED, rule, [FieldFault(str(path), rule)]) from None


def write_answers(applicants: Applicants, answer: BatchAnswer) -> bytes:
    """Write the applicants with what became of each, as CSV in UTF-8.

    The answer is yes, no, not_found or refused; for a refusal the reason stands beside it.
    """
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow((*applicants.heading, *ANSWER_COLUMNS))
    for line, row in zip(applicants.lines, answer, strict=True):
        truth = row.truth
        reason = row.reason if truth is None else None
        writer.writerow((*line, truth or "refused", reason or ""))
    return out.getvalue().encode()


def summary(answer: BatchAnswer) -> dict[str, int]:
    """Count what became of the rows: by answer, and the refused ones by reason."""
    counts: dict[str, int] = {str(truth): 0 for truth in Truth}
    for row in answer:
        outcome = row.truth or row.reason
        counts[str(outcome)] = counts.get(str(outcome), 0) + 1
    return counts


def _text(path: Path) -> str:
    data = read_file(path)
    for encoding in _ENCODINGS:
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise bad_file(path, "its text is neither UTF-8 nor GB18030")


def _subject_column(
    path: Path, heading: Sequence[str], column: str | None, written: Collection[str]
) -> int:
    if len(set(heading)) != len(heading):
        raise bad_file(path, "a column's name stands twice in its heading")
    if taken := set(heading) & set(written):
        raise bad_file(path, f"the column {min(taken)} is written by this command; rename it")
    names = SUBJECT_NAMES if column is None else (column,)
    for name in names:
        if name in heading:
            return heading.index(name)
    wanted = " or ".join(names)
    raise bad_file(path, f"no column {wanted} in its heading; name it with --column")


@dataclass(frozen=True, slots=True)
class _Columns:
    """Where in a line what stands."""

    heading: tuple[str, ...]
    subject: int
    own: dict[str, int]
    once: bool


def _applicants(path: Path, reader: Iterator[list[str]], columns: _Columns) -> Applicants:
    lines: list[tuple[str, ...]] = []
    subjects: list[str] = []
    params: list[dict[str, str]] = []
    numbers: list[int] = []
    seen: dict[tuple[str, ...], int] = {}
    faults: list[FieldFault] = []
    bad = 0
    for number, fields in enumerate(reader, start=2):
        if not fields:
            continue  # an empty line is no applicant
        try:
            subject, values = _row(fields, columns)
        except ValueError as error:
            bad += 1
            faults.append(FieldFault(f"{path} line {number}", str(error)))
            continue
        key = (subject, *(() if columns.once else values.values()))
        if (first := seen.setdefault(key, number)) != number:
            bad += 1
            one = f"the same subject stands in line {first}"
            rule = one if columns.once else f"the same row stands in line {first}"
            faults.append(FieldFault(f"{path} line {number}", rule))
            continue
        lines.append(tuple(fields))
        subjects.append(subject)
        params.append(values)
        numbers.append(number)
    if bad:
        detail = f"{bad} bad lines; nothing was sent"
        raise SafeRoomError(Reason.MALFORMED, detail, faults[:MOST_TOLD])
    if not 1 <= len(lines) <= MOST_ROWS:
        raise bad_file(path, f"it has {len(lines)} applicants; a batch has 1 to {MOST_ROWS}")
    return Applicants(columns.heading, tuple(lines), tuple(subjects), tuple(params), tuple(numbers))


def _row(fields: list[str], columns: _Columns) -> tuple[str, dict[str, str]]:
    if len(fields) != len(columns.heading):
        raise ValueError(f"{len(fields)} fields, and the heading has {len(columns.heading)}")
    try:
        subject = parse_uscc(fields[columns.subject])
    except SafeRoomError as error:
        raise ValueError(error.fields[0].rule) from None
    values = {name: fields[place].strip() for name, place in columns.own.items()}
    if empty := [name for name, value in values.items() if not value]:
        raise ValueError(f"no value for {empty[0]}")
    return subject, values
