"""Rows for a scorecard: numbers or classes in columns, with what is missing, and perhaps labels.

Read whole before anything is made of them; what is wrong is told by line and column.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from saferoom_client.applicants import SUBJECT_NAMES
from saferoom_client.files import bad_file
from saferoom_client.records.faults import Fault
from saferoom_client.records.sources import open_source
from saferoom_client.tongue import later
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements.base import shown_as_written

EVENT: Final = "1"
NUMBER_RULE: Final = later(
    "no finite number; leave the place empty where a value is missing, or name the column with"
    " --classes"
)
LABEL_RULE: Final = later("a label: the event's (--event), or one other value for all else")
CLASS_RULE: Final = later("a class has at most 200 characters, all of which can be seen")
_MOST_TOLD: Final = 20
_MOST_CHARACTERS: Final = 200
"""Of a name or a class, as a card keeps it."""
_CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns of a table are taken, and as what.

    Attributes:
        label: the column of labels; none for rows without.
        event: the label of the event.
        named: to take; all others, if none is named.
        leave: not to take.
        classes: to take as classes, though they look like numbers.
        kept: not taken, but to be given back beside the points.
    """

    label: str | None = None
    event: str = EVENT
    named: tuple[str, ...] = ()
    leave: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rows:
    """A table.

    Attributes:
        lines: where each row stands.
        labels: 1 for the event, else 0; none without a column of labels.
        numbers: columns of numbers by name, NaN where there is none.
        classes: columns of classes by name, empty where there is none.
        kept: columns to be given back, as they stand.
        digest: SHA-256 of the file, 64 hexadecimal digits.
    """

    lines: list[int]
    labels: list[int] | None
    numbers: dict[str, list[float]]
    classes: dict[str, list[str]]
    kept: dict[str, list[str]]
    digest: str

    def __len__(self) -> int:
        """Count rows."""
        return len(self.lines)


@dataclass(slots=True)
class _Texts:
    """A file's columns as they stand, and what is no row."""

    lines: list[int] = field(default_factory=list[int])
    columns: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    faults: list[Fault] = field(default_factory=list[Fault])


def read_rows(path: Path, asked: Columns, kinds: Mapping[str, bool] | None = None) -> Rows:
    """Read a table.

    Args:
        path: CSV, Excel, Parquet or Arrow.
        asked: which columns.
        kinds: of a card that is there: its columns, and whether they are of classes.

    Raises:
        SafeRoomError: `BAD_CONFIG` for the file or its heading; `MALFORMED` naming each bad line,
            its column and the rule; `NOT_INSTALLED`.
    """
    texts = _read(path, asked, kinds)
    faults = texts.faults
    labels = None
    if asked.label is not None:
        labels = _labels(texts, asked.label, asked.event, faults)
    numbers: dict[str, list[float]] = {}
    classes: dict[str, list[str]] = {}
    besides = {asked.label, *asked.kept} if kinds is None else set[str]()
    for name, column in texts.columns.items():
        if (kinds is not None and name not in kinds) or name in besides:
            continue
        if kinds[name] if kinds is not None else _of_classes(name, column, asked):
            classes[name] = list(_classes(name, column, texts.lines, faults))
        else:
            numbers[name] = list(_numbers(name, column, texts.lines, faults))
    _refuse(path, faults)
    if not texts.lines:
        raise bad_file(path, "it has no rows")
    kept = {name: texts.columns[name] for name in asked.kept}
    return Rows(texts.lines, labels, numbers, classes, kept, _digest(path))


def read_values(values: Mapping[str, str], kinds: Mapping[str, bool]) -> Rows:
    """Read one row that was typed, of a card's columns; one that is not named is missing.

    Raises:
        SafeRoomError: `MALFORMED` naming what is unknown or no number.
    """
    faults = [
        FieldFault(name, later("the card has no such column"))
        for name in sorted(values.keys() - kinds.keys())
    ]
    numbers: dict[str, list[float]] = {}
    classes: dict[str, list[str]] = {}
    for name, of_classes in kinds.items():
        text = values.get(name, "").strip()
        if of_classes:
            classes[name] = [text]
        elif (number := _number(text)) is None:
            faults.append(FieldFault(name, NUMBER_RULE))
        else:
            numbers[name] = [number]
    if faults:
        refusal = SafeRoomError(Reason.MALFORMED, faults[0].rule, faults)
        refusal.add_note("saferoom scorecard show CARD")
        raise refusal
    return Rows([1], None, numbers, classes, {}, "")


def _read(path: Path, asked: Columns, kinds: Mapping[str, bool] | None) -> _Texts:
    found = _Texts()
    with open_source(path) as source:
        wanted = _wanted(path, source.heading, asked, kinds)
        found.columns = {name: [] for name in wanted}
        for batch in source.batches:
            found.lines += batch.lines
            found.faults += batch.faults
            for name, at in wanted.items():
                found.columns[name] += batch.columns[at]
    return found


def _wanted(
    path: Path, heading: Sequence[str], asked: Columns, kinds: Mapping[str, bool] | None
) -> dict[str, int]:
    """Find the columns that are read, by the file's heading."""
    if len(set(heading)) != len(heading):
        raise bad_file(path, "a column's name stands twice in its heading")
    label = () if asked.label is None else (asked.label,)
    named = (*label, *asked.named, *asked.leave, *asked.classes, *asked.kept, *(kinds or ()))
    for name in named:
        if name not in heading:
            raise bad_file(path, f"no column {name} in its heading")
    left = {*label, *asked.leave, *asked.kept, *SUBJECT_NAMES}
    if kinds is not None:
        chosen = tuple(kinds)
    else:
        chosen = asked.named or tuple(name for name in heading if name not in left)
        if set(chosen) & {*label, *asked.leave, *asked.kept} or not chosen:
            raise bad_file(path, "columns that count are others than the label")
        for name in chosen:
            if not name or not _is_shown(name):
                raise bad_file(path, "a column's name has 1 to 200 characters that can be seen")
    taken = {*label, *asked.kept, *chosen}
    return {name: at for at, name in enumerate(heading) if name in taken}


def _labels(texts: _Texts, label: str, wanted: str, faults: list[Fault]) -> list[int]:
    """Read labels: the event's, and one other, whatever it is."""
    column = [text.strip().removesuffix(".0") for text in texts.columns[label]]
    other: str | None = None
    labels: list[int] = []
    for text, line in zip(column, texts.lines, strict=True):
        event = text == wanted
        if not event and other is None:
            other = text
        if not text or (not event and text != other):
            faults.append(Fault(line, label, LABEL_RULE))
        labels.append(int(event))
    return labels


def _of_classes(name: str, column: Iterable[str], asked: Columns) -> bool:
    """Tell whether a column holds classes: where it was said, or where no text is a number."""
    if name in asked.classes:
        return True
    texts = {text.strip() for text in column} - {""}
    return bool(texts) and all(_number(text) is None for text in texts)


def _classes(
    name: str, column: Iterable[str], lines: Iterable[int], faults: list[Fault]
) -> Iterable[str]:
    for text, line in zip(column, lines, strict=True):
        if not _is_shown(text.strip()):
            faults.append(Fault(line, name, CLASS_RULE))
        yield text.strip()


def _is_shown(text: str) -> bool:
    """Tell whether a text is kept and shown as it is."""
    try:
        return len(shown_as_written(text)) <= _MOST_CHARACTERS
    except ValueError:
        return False


def _numbers(
    name: str, column: Iterable[str], lines: Iterable[int], faults: list[Fault]
) -> Iterable[float]:
    for text, line in zip(column, lines, strict=True):
        number = _number(text)
        if number is None:
            faults.append(Fault(line, name, NUMBER_RULE))
        yield math.nan if number is None else number


def _number(text: str) -> float | None:
    """Read a number: NaN where there is none, nothing for what is no finite number."""
    if not text.strip():
        return math.nan
    try:
        number = float(text)
    except ValueError:
        return None
    return None if math.isinf(number) or "_" in text else number


def _refuse(path: Path, faults: list[Fault]) -> None:
    if faults:
        told = [
            FieldFault(f"{path} line {fault.line}", f"{fault.column or 'row'}: {fault.rule}")
            for fault in sorted(faults)[:_MOST_TOLD]
        ]
        bad = len({fault.line for fault in faults})
        refusal = SafeRoomError(Reason.MALFORMED, f"{bad} bad lines; nothing was made", told)
        refusal.add_note("saferoom scorecard fit --help")
        raise refusal


def _digest(path: Path) -> str:
    told = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            told.update(chunk)
    return told.hexdigest()
