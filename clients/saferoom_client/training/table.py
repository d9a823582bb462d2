"""A bank's own table for a training: a subject, a label and columns of numbers in each row.

CSV, Excel, Parquet or Arrow, as `records.sources` reads them. Every row is held to its rules before
anything is sent; what breaks one is told by its line, its column and the rule.
"""

from __future__ import annotations

import hashlib
import math
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from saferoom_client.applicants import SUBJECT_NAMES
from saferoom_client.files import bad_file
from saferoom_client.records.faults import Fault
from saferoom_client.records.sources import Batch, open_source
from saferoom_client.tongue import later
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements.job import FEWEST_ITEMS, MOST_ITEMS
from saferoom_proto.uscc import parse_uscc

LABELS: Final = {"1": 1, "0": 0, "1.0": 1, "0.0": 0, "true": 1, "false": 0}
NUMBER_RULE: Final = later(
    "a number; fill what is missing, and make a column of 0 and 1 of each class"
)
LABEL_RULE: Final = later("1 for the event, else 0")
_MOST_TOLD: Final = 20


@dataclass(frozen=True, slots=True)
class TrainingTable:
    """A table every row of which may be trained on.

    Attributes:
        subjects: their codes, all different.
        labels: 1 for an event, else 0.
        columns: values by name, in the file's order.
    """

    subjects: tuple[str, ...]
    labels: tuple[int, ...]
    columns: dict[str, array[float]]

    @property
    def digest(self) -> str:
        """Tell this table from another, whatever file it is read from: 64 hexadecimal digits."""
        told = hashlib.sha256("\n".join((*self.subjects, *self.columns)).encode() + b"\0")
        told.update(bytes(self.labels))
        for values in self.columns.values():
            told.update(values.tobytes())
        return told.hexdigest()


def read_table(
    path: Path,
    *,
    label: str,
    subject: str | None = None,
    columns: Sequence[str] = (),
    encoding: str | None = None,
) -> TrainingTable:
    """Read a table.

    Args:
        path: the file.
        label: the column of labels.
        subject: the column of subjects; by default the one that has its usual name.
        columns: those to train on; by default all others.
        encoding: of a CSV file; found out where it is not said.

    Raises:
        SafeRoomError: `BAD_CONFIG` for the file or its heading; `MALFORMED` naming each bad line,
            its column and the rule; `NOT_INSTALLED`.
    """
    with open_source(path, encoding=encoding) as source:
        places = _places(path, source.heading, label, subject, columns)
        reading = _Reading(places)
        for batch in source.batches:
            reading.take(batch)
    if reading.bad:
        faults = [
            FieldFault(f"{path} line {fault.line}", f"{fault.column or 'row'}: {fault.rule}")
            for fault in sorted(reading.faults)[:_MOST_TOLD]
        ]
        detail = f"{reading.bad} bad lines; nothing was sent"
        raise SafeRoomError(Reason.MALFORMED, detail, faults)
    count = len(reading.lines)
    if not FEWEST_ITEMS <= count <= MOST_ITEMS:
        raise bad_file(path, f"it has {count} rows; a set has {FEWEST_ITEMS} to {MOST_ITEMS}")
    return TrainingTable(tuple(reading.lines), tuple(reading.labels), reading.columns)


@dataclass(frozen=True, slots=True)
class _Places:
    """Which column of the file is what."""

    subject: int
    label: int
    columns: dict[str, int]


def _places(
    path: Path, heading: Sequence[str], label: str, subject: str | None, columns: Sequence[str]
) -> _Places:
    require_columns(path, heading, (label, *columns))
    named = SUBJECT_NAMES if subject is None else (subject,)
    found = next((name for name in named if name in heading), None)
    if found is None:
        wanted = " or ".join(named)
        raise bad_file(path, f"no column {wanted} in its heading; name it with --subject-column")
    chosen = tuple(columns) or tuple(name for name in heading if name not in {found, label})
    if {found, label} & set(chosen) or len(set(chosen)) != len(chosen) or not chosen:
        raise bad_file(path, "the columns to train on are others than subject and label, each once")
    return _Places(
        heading.index(found),
        heading.index(label),
        {name: heading.index(name) for name in chosen},
    )


def require_columns(path: Path, heading: Sequence[str], names: Sequence[str]) -> None:
    """Refuse a heading that lacks one of the columns, or has a name twice."""
    if len(set(heading)) != len(heading):
        raise bad_file(path, "a column's name stands twice in its heading")
    for name in names:
        if name not in heading:
            raise bad_file(path, f"no column {name} in its heading")


class _Reading:
    """Rows read so far, and what is wrong with them."""

    def __init__(self, places: _Places) -> None:
        self._places: Final = places
        self.lines: Final[dict[str, int]] = {}
        """Each subject, in the file's order, and its line."""
        self.labels: Final[list[int]] = []
        self.columns: Final = {name: array("d") for name in places.columns}
        self.faults: Final[list[Fault]] = []
        self.bad = 0

    def take(self, batch: Batch) -> None:
        """Take a batch of rows; of bad ones a few more are kept than are told."""
        found = [*batch.faults, *self._subjects(batch), *self._labels(batch)]
        for name, at in self._places.columns.items():
            found += numbers(name, batch.columns[at], batch.lines, self.columns[name])
        self.bad += len({fault.line for fault in found})
        self.faults.extend(found[: max(0, 10 * _MOST_TOLD - len(self.faults))])

    def _subjects(self, batch: Batch) -> Iterator[Fault]:
        for text, line in zip(batch.columns[self._places.subject], batch.lines, strict=True):
            try:
                subject = parse_uscc(text)
            except SafeRoomError as error:
                yield Fault(line, "subject", error.fields[0].rule)
                continue
            if (first := self.lines.setdefault(subject, line)) != line:
                yield Fault(line, "subject", f"the same subject stands in line {first}")

    def _labels(self, batch: Batch) -> Iterator[Fault]:
        for text, line in zip(batch.columns[self._places.label], batch.lines, strict=True):
            label = LABELS.get(text.strip().lower())
            self.labels.append(label or 0)
            if label is None:
                yield Fault(line, "label", LABEL_RULE)


def numbers(
    name: str, texts: Sequence[str], lines: Sequence[int], into: array[float]
) -> Iterator[Fault]:
    """Read a column's numbers, one for each text, and tell of those that are none."""
    for text, line in zip(texts, lines, strict=True):
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        into.append(value)
        if not math.isfinite(value):
            yield Fault(line, name, NUMBER_RULE)
