"""Reads an owner's tables from CSV and holds every row to its schema.

The form is RFC 4180 in UTF-8: commas, double quotes, a heading with the columns' names in any
order. An empty field is NULL. Nothing is guessed and nothing is rounded: what does not fit its
column's rule makes its row bad. A bad row is told by table, line, column and rule, never by value.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO, Final, Protocol

from saferoom_proto.load import Change
from saferoom_proto.load_faults import MOST_ROWS, LinkCount
from saferoom_proto.load_links import (
    LEFT_RULES,
    LONG_RULE,
    NUMBER_RULE,
    OFTEN_RULE,
    PERIOD_RULE,
    is_number,
)
from saferoom_proto.reasons import SafeRoomError
from saferoom_proto.statements.feature import ColumnType, Table

BATCH_ROWS: Final = 20_000
"""Rows held in Python at a time; larger batches load no faster (measured)."""
MAX_TOLD: Final = MOST_ROWS
"""Bad rows that are told; the others are counted."""

HEADING_RULE: Final = "the heading must name every column once, and nothing else"
QUOTING_RULE: Final = "fields are quoted as in RFC 4180 and have at most 131072 characters"
WIDTH_RULE: Final = "a row has as many fields as the heading"
TEXT_RULE: Final = "text is UTF-8 without NUL characters"
KEY_RULE: Final = "a unified social credit code"


@dataclass(frozen=True, slots=True)
class Form:
    """How a column's values are written: a pattern for the whole field, and the rule in words."""

    pattern: str
    rule: str


FORMS: Final[dict[ColumnType, Form]] = {
    ColumnType.BIGINT: Form(r"[+-]?[0-9]{1,19}", "a whole number of 64 bits"),
    ColumnType.DOUBLE: Form(
        r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?",
        "a finite number with a decimal point",
    ),
    ColumnType.DECIMAL: Form(
        r"[+-]?[0-9]{1,14}(\.[0-9]{1,4})?",
        "a number with at most 14 digits before its point and 4 after",
    ),
    ColumnType.DATE: Form(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", "a date as YYYY-MM-DD"),
    ColumnType.BOOLEAN: Form(r"true|false|TRUE|FALSE|1|0", "true, false, 1 or 0"),
}
"""The forms of every type but TEXT. DuckDB's casts alone would take `1.7` for a whole number."""


RULES: Final = frozenset(
    {HEADING_RULE, QUOTING_RULE, WIDTH_RULE, TEXT_RULE, KEY_RULE}
    | {NUMBER_RULE, PERIOD_RULE, LONG_RULE, OFTEN_RULE, *LEFT_RULES}
    | {form.rule for form in FORMS.values()}
)
"""All that can be wrong with a row."""


@dataclass(frozen=True, slots=True)
class TableLoad:
    """One table of a load: its schema, its rows as CSV, and what they do to those before.

    Attributes:
        leaves: rows of a linked table that lead to no subject, or to two, are left out.
    """

    schema: Table
    csv: BinaryIO | bytes
    change: Change = Change.WHOLE
    leaves: bool = False


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that breaks its schema.

    Attributes:
        table: the table's name.
        line: the line in its file on which the row begins; the heading is line 1.
        column: the column's name; empty where the rule is about the whole row.
        rule: what its value should have been.
    """

    table: str
    line: int
    column: str
    rule: str


Fault = tuple[int, str, str]
"""A line, a column and a rule."""


@dataclass(slots=True)
class BadRows:
    """The bad rows of a load: the first `MAX_TOLD` faults, and how many rows there are."""

    told: list[BadRow] = field(default_factory=list[BadRow])
    count: int = 0

    def add(self, table: str, faults: Sequence[Fault]) -> None:
        """Takes the faults of a batch."""
        self.count += len({line for line, _, _ in faults})
        room = max(0, MAX_TOLD - len(self.told))
        self.told += [BadRow(table, *fault) for fault in sorted(faults)[:room]]


@dataclass(frozen=True, slots=True)
class BuiltStore:
    """What became of a load: a store, or the rows for which there is none.

    Attributes:
        plaintext: the DuckDB file, already without a name; closing it frees its memory. None if
            any row is bad: a load is taken whole or not at all.
        rows: how many rows each table has.
        bad_rows: the first faults, at most `MAX_TOLD`.
        bad_row_count: how many rows are bad.
        left: of the rows that were left out, the first, at most `MAX_TOLD`.
        links: of each linked table that rows came for, what became of them.
    """

    plaintext: BinaryIO | None
    rows: dict[str, int]
    bad_rows: tuple[BadRow, ...]
    bad_row_count: int
    left: tuple[BadRow, ...] = ()
    links: tuple[LinkCount, ...] = ()


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of a table, column by column in the schema's order, and those found bad so far."""

    lines: list[int]
    columns: list[list[str | None]]
    faults: list[Fault]


def read_batches(
    load: TableLoad, numbers: Collection[str], parse_subject: Callable[[str], str]
) -> Iterator[Batch]:
    """Reads a table in batches of text, held to the rules that are not about a column's type.

    Args:
        load: the table.
        numbers: its columns that hold the numbers of a map or of what a map leads from.
        parse_subject: gives a subject's code in its one form, or raises SafeRoomError.
    """
    data = io.BytesIO(load.csv) if isinstance(load.csv, bytes) else load.csv
    # Bytes that are not UTF-8 become lone surrogates here and are found batch by batch.
    text = io.TextIOWrapper(data, "utf-8-sig", errors="surrogateescape", newline="")
    try:
        reader = csv.reader(text, strict=True)
        names = [column.name for column in load.schema.brought]
        heading = next(reader, list[str]())
        if sorted(heading) != sorted(names):
            yield Batch([], [[] for _ in names], [(1, "", HEADING_RULE)])
            return
        order = [heading.index(name) for name in names]
        for lines, records, faults in _records(reader, len(names)):
            columns = [[record[at] or None for record in records] for at in order]
            batch = Batch(lines, columns, faults)
            _check_text(names, batch)
            is_linked = load.schema.link is not None
            for name in numbers:
                _check_numbers(names.index(name), name, batch, needed=not is_linked)
            if not is_linked:
                key = load.schema.key
                _check_subjects(names.index(key), key, batch, parse_subject)
            yield batch
    except csv.Error:
        yield Batch([], [[] for _ in load.schema.brought], [(1, "", QUOTING_RULE)])
    finally:
        text.detach()


class _Reader(Protocol):
    """What `csv.reader` gives; its class has a name only since Python 3.13."""

    @property
    def line_num(self) -> int: ...
    def __next__(self) -> list[str]: ...


_Records = tuple[list[int], list[list[str]], list[Fault]]


def _records(reader: _Reader, width: int) -> Iterator[_Records]:
    """Reads records of the right width with the lines they begin on; the others are faults."""
    lines: list[int] = []
    records: list[list[str]] = []
    faults: list[Fault] = []
    while True:
        line = reader.line_num + 1
        try:
            record = next(reader)
        except StopIteration:
            break
        except csv.Error:
            faults.append((line, "", QUOTING_RULE))
            continue
        if len(record) == width:
            lines.append(line)
            records.append(record)
        elif record:  # an empty line is no row
            faults.append((line, "", WIDTH_RULE))
        if len(records) + len(faults) >= BATCH_ROWS:
            yield lines, records, faults
            lines, records, faults = [], [], []
    yield lines, records, faults


def _check_text(names: list[str], batch: Batch) -> None:
    for name, column in zip(names, batch.columns, strict=True):
        if is_text("".join(value for value in column if value)):
            continue
        for row, value in enumerate(column):
            if value and not is_text(value):
                batch.faults.append((batch.lines[row], name, TEXT_RULE))
                column[row] = None


def is_text(value: str) -> bool:
    """Tell whether a value is UTF-8 without NUL characters."""
    return "\0" not in value and (value.isascii() or _encodes(value))


def _encodes(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_subjects(key: int, name: str, batch: Batch, parse_subject: Callable[[str], str]) -> None:
    column = batch.columns[key]
    parsed: dict[str | None, str | None] = {None: None}
    for row, value in enumerate(column):
        if value is not None and value not in parsed:
            parsed[value] = _parsed(value, parse_subject)
        column[row] = parsed[value]
        if column[row] is None:
            batch.faults.append((batch.lines[row], name, KEY_RULE))


def _check_numbers(at: int, name: str, batch: Batch, *, needed: bool) -> None:
    # A row without a number leads to nobody, which is told as such; a map's row says something.
    batch.faults.extend(
        (batch.lines[row], name, NUMBER_RULE)
        for row, value in enumerate(batch.columns[at])
        if (needed if value is None else not is_number(value))
    )


def _parsed(value: str, parse_subject: Callable[[str], str]) -> str | None:
    try:
        return parse_subject(value)
    except SafeRoomError:
        return None
