"""An owner's file, read batch by batch as text: CSV, Excel, Parquet or Arrow.

What a file is, its first bytes say. CSV is RFC 4180 in UTF-8 or GB18030. Nothing is held but one
batch; a number, a day or a truth value of a format that has such becomes the text that CSV would
hold.
"""

from __future__ import annotations

import codecs
import csv
import io
import zlib
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, time
from pathlib import Path
from typing import Final, Protocol
from zipfile import BadZipFile

from saferoom_client.extras import Extra, needing
from saferoom_client.files import bad_file
from saferoom_client.records.faults import Fault

BATCH_ROWS: Final = 2_000
"""Rows held at a time: they stay in a processor's cache. With 20,000 a row takes a third longer."""
ENCODINGS: Final = ("utf-8", "gb18030")
QUOTING_RULE: Final = "fields are quoted as in RFC 4180 and have at most 131072 characters"
WIDTH_RULE: Final = "a row has as many fields as the heading"
ROUNDED_RULE: Final = "Excel rounds numbers of more than 15 digits: make the column text"

_BROKEN: Final = (
    *(BadZipFile, EOFError, LookupError, OSError, SyntaxError, TypeError, ValueError, zlib.error),
)
"""What openpyxl, and what it unpacks and parses with, raise of a workbook that is not whole."""
MOST_SHEET_ROWS: Final = 1 << 20
"""Of Excel itself. A row may say any number of itself, and what lacks before it is read as empty:
one that was numbered 30,000,000 took 46 s."""
_EXACT: Final = 10**15
"""From here on Excel, which counts in doubles and shows 15 digits, may have changed a number."""
_CHUNK: Final = 1 << 20
_ZIP, _OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"
_PARQUET, _ARROW, _STREAM = b"PAR1", b"ARROW1", b"\xff\xff\xff\xff"
_UTF16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of a file, column by column in the heading's order, and what is no row.

    Attributes:
        lines: where each row begins; the heading is line 1.
        columns: the values as they stand; empty where there is none.
    """

    lines: Sequence[int]
    columns: list[list[str]]
    faults: list[Fault] = field(default_factory=list[Fault])


@dataclass(frozen=True, slots=True)
class Source:
    """A file that is open: its heading, then its rows."""

    heading: tuple[str, ...]
    batches: Iterator[Batch]


@contextmanager
def open_source(
    path: Path, *, encoding: str | None = None, sheets: Sequence[str] = ()
) -> Generator[Source]:
    """Open an owner's file, whatever it is.

    Args:
        path: the file.
        encoding: of a CSV file; found out where it is not said.
        sheets: names that the sheet of a workbook with more than one may have.

    Raises:
        SafeRoomError: `BAD_CONFIG` naming the file and what is wrong with it; `NOT_INSTALLED`.
    """
    try:
        with path.open("rb") as file, ExitStack() as stack:
            first = file.read(8)
            file.seek(0)
            yield _opener(path, first)(path, file, stack, encoding, sheets)
    except OSError as error:
        raise bad_file(path, error.strerror or "it can not be read") from error


class _Reader(Protocol):
    @property
    def line_num(self) -> int: ...
    def __next__(self) -> list[str]: ...


_Opener = Callable[[Path, io.BufferedReader, ExitStack, str | None, Sequence[str]], Source]


def _opener(path: Path, first: bytes) -> _Opener:
    if first.startswith(_ZIP):
        return _workbook
    if first.startswith(_OLE):
        raise bad_file(path, "an old or protected workbook: save it as .xlsx without a password")
    if first.startswith((_PARQUET, _ARROW, _STREAM)):
        return _arrow
    if first.startswith(_UTF16):
        raise bad_file(path, "its text is UTF-16: save it as CSV UTF-8, or as .xlsx")
    if not first:
        raise bad_file(path, "it is empty")
    return _csv


def _csv(
    path: Path,
    file: io.BufferedReader,
    stack: ExitStack,
    encoding: str | None,
    sheets: Sequence[str],
) -> Source:
    del sheets
    found = encoding or _encoding(path, file)
    # Bytes that are not of the encoding become lone surrogates here, and are found row by row.
    kept = "utf-8-sig" if found == "utf-8" else found
    errors = "surrogateescape" if found == "utf-8" else "replace"
    text = io.TextIOWrapper(file, kept, errors=errors, newline="")
    stack.callback(text.detach)
    reader = csv.reader(text, strict=True)
    try:
        heading = tuple(next(reader, list[str]()))
    except csv.Error as error:
        raise bad_file(path, f"line 1: {QUOTING_RULE}") from error
    if len(heading) == 1 and any(one in heading[0] for one in "\t;"):
        raise bad_file(path, "its fields are separated by commas in CSV, not by tabs or semicolons")
    return Source(heading, _records(reader, len(heading)))


def _encoding(path: Path, file: io.BufferedReader) -> str:
    """Find out an encoding: the first of which the whole file is."""
    for encoding in ENCODINGS:
        decoder = codecs.getincrementaldecoder(encoding)()
        try:
            while chunk := file.read(_CHUNK):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            continue
        else:
            return encoding
        finally:
            file.seek(0)
    raise bad_file(path, "its text is neither UTF-8 nor GB18030")


def _records(reader: _Reader, width: int) -> Iterator[Batch]:
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
            faults.append(Fault(line, "", QUOTING_RULE))
            continue
        if len(record) == width:
            lines.append(line)
            records.append(record)
        elif record:  # an empty line is no row
            faults.append(Fault(line, "", WIDTH_RULE))
        if len(records) + len(faults) >= BATCH_ROWS:
            yield Batch(lines, _turned(records, width), faults)
            lines, records, faults = [], [], []
    yield Batch(lines, _turned(records, width), faults)


def _turned(records: Sequence[Sequence[str]], width: int) -> list[list[str]]:
    return [list(column) for column in zip(*records, strict=True)] or [[] for _ in range(width)]


def _workbook(
    path: Path,
    file: io.BufferedReader,
    stack: ExitStack,
    encoding: str | None,
    sheets: Sequence[str],
) -> Source:
    del encoding
    with needing(Extra.OWNER, "Excel"):
        from openpyxl import load_workbook  # noqa: PLC0415 - an extra
    try:
        book = load_workbook(file, read_only=True, data_only=True)
    except _BROKEN as error:
        raise bad_file(path, "it is no Excel workbook") from error
    stack.callback(book.close)
    if not book.sheetnames:
        raise bad_file(path, "it is no Excel workbook")
    named = [name for name in book.sheetnames if name in sheets]
    if not named and len(book.sheetnames) > 1:
        told = ", ".join(book.sheetnames)
        raise bad_file(path, f"which sheet? name it: FILE.xlsx#SHEET; it has {told}")
    sheet = book[(named or book.sheetnames)[0]]
    sheet.reset_dimensions()  # what it says of its own size is often wrong
    rows = _whole(path, sheet.iter_rows(values_only=True))
    heading = [_cell(one) for one in next(rows, ())]
    while heading and not heading[-1]:
        heading.pop()
    return Source(tuple(heading), _sheet_rows(rows, len(heading)))


def _whole(path: Path, rows: Iterator[tuple[object, ...]]) -> Iterator[tuple[object, ...]]:
    """Give a sheet's rows; a sheet is read as it goes, so what is damaged shows on the way."""
    read = 0
    try:
        for read, row in enumerate(rows, 1):
            if read > MOST_SHEET_ROWS:
                raise bad_file(path, f"a sheet has at most {MOST_SHEET_ROWS:,} rows")
            yield row
    except _BROKEN as error:
        raise bad_file(path, f"it is damaged after row {read}") from error


def _sheet_rows(rows: Iterator[tuple[object, ...]], width: int) -> Iterator[Batch]:
    lines: list[int] = []
    records: list[list[str]] = []
    faults: list[Fault] = []
    for line, row in enumerate(rows, 2):
        cells = [_cell(one) for one in row]
        cells += [""] * (width - len(cells))
        if any(cells[width:]):
            faults.append(Fault(line, "", WIDTH_RULE))
        elif any(isinstance(one, int | float) and abs(one) >= _EXACT for one in row):
            faults.append(Fault(line, "", ROUNDED_RULE))
        elif any(cells):
            lines.append(line)
            records.append(cells[:width])
        if len(records) + len(faults) >= BATCH_ROWS:
            yield Batch(lines, _turned(records, width), faults)
            lines, records, faults = [], [], []
    yield Batch(lines, _turned(records, width), faults)


def _cell(value: object) -> str:
    """Write a cell as CSV would hold it."""
    match value:
        case bool():
            return str(value).lower()
        case float():  # what Excel shows of a double
            return str(int(value)) if value.is_integer() else format(value, ".15g")
        case datetime() if value.time() == time():
            return value.date().isoformat()
        case datetime() | date():
            return value.isoformat()
        case _:
            return "" if value is None else str(value)


def _arrow(
    path: Path,
    file: io.BufferedReader,
    stack: ExitStack,
    encoding: str | None,
    sheets: Sequence[str],
) -> Source:
    del stack, encoding, sheets
    with needing(Extra.OWNER, "Parquet and Arrow"):
        from saferoom_client.records import arrow  # noqa: PLC0415 - an extra
    try:
        heading, tables = arrow.open_table(file, BATCH_ROWS)
    except arrow.ERRORS as error:
        raise bad_file(path, "it is no whole Parquet or Arrow file") from error
    except arrow.NestedError as error:
        rule = f"the column {error.args[0]} holds no plain values"
        raise bad_file(path, rule) from error
    return Source(heading, _arrow_rows(path, tables, arrow.ERRORS))


def _arrow_rows(
    path: Path, tables: Iterator[list[list[str]]], errors: tuple[type[Exception], ...]
) -> Iterator[Batch]:
    line = 2
    try:
        for columns in tables:
            rows = len(columns[0]) if columns else 0
            yield Batch(range(line, line + rows), columns)
            line += rows
    except errors as error:
        raise bad_file(path, f"it is damaged after row {line - 2}") from error
