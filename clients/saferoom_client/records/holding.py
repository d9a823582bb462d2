"""An owner's file held to its table and the catalogue, and written in the one form that is sealed.

    heading    each column is found by its name, or its Chinese or English title
    values     each comes into its one form, and is of its column's codes
    rows       what holds between the values of a row, and between rows
    written    as CSV in UTF-8 under the columns' names

What breaks a rule is told by line, column and rule. Memory is that of a batch, and 16 bytes a row
where no row may stand twice.
"""

from __future__ import annotations

import csv
import difflib
import io
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

from saferoom_client.files import bad_file
from saferoom_client.records.annex import FieldType, TableForm, catalogue
from saferoom_client.records.faults import Fault
from saferoom_client.records.forms import FORMS, PLAIN, Form, rule_about
from saferoom_client.records.linking import TableLinks
from saferoom_client.records.quality import ColumnQuality, TableQuality
from saferoom_client.records.rules import Repeats, RowRules
from saferoom_client.records.sources import Batch, open_source
from saferoom_proto.statements.feature import Table

MAX_TOLD: Final = 1000
"""Faults that are kept to be shown; all of them are counted, and given to who wants them."""
KEY_RULE: Final = "every row names its subject"
LIST_RULE: Final = "none of the column's codes"

Reject = Callable[[Fault, Sequence[str]], None]
"""Is given a fault, and its row as it stood in the file; empty where that is not known."""
_BRACKETS: Final = str.maketrans("\uff08\uff09", "()")


@dataclass(slots=True)
class Held:
    """What became of a table's file.

    Attributes:
        heading: of the file.
        bad: how many rows are bad.
        told: the first faults.
        left: how many rows will be left out, since they lead to no subject, or to two.
    """

    heading: tuple[str, ...]
    quality: TableQuality
    bad: int = 0
    told: list[Fault] = field(default_factory=list[Fault])
    left: int = 0

    def tell(self, fault: Fault) -> None:
        """Keep a fault to be shown."""
        if len(self.told) < MAX_TOLD:
            self.told.append(fault)


def ignore_rows(count: int) -> None:
    """Take no notice of progress."""
    del count


class _Column:
    """One column of a table: how its values are written, and what has been counted of them."""

    def __init__(self, form: Form, quality: ColumnQuality, codes: frozenset[str]) -> None:
        self.form: Final = form
        self.quality: Final = quality
        self._codes: Final = codes

    def clean(self, raw: Sequence[str]) -> tuple[list[str], dict[str, str]]:
        """Bring a batch's values into their form; give the rule for each that has none."""
        counted = Counter(raw)
        wrong: dict[str, str] = {}
        known: dict[str, str | None] = {}
        for value in counted:
            cleaned = self.form.clean(value) if value and not value.isspace() else ""
            if cleaned is None:
                wrong[value] = rule_about(self.form, value)
            elif cleaned and self._codes and cleaned not in self._codes:
                wrong[value] = LIST_RULE
                cleaned = None
            known[value] = cleaned
        self.quality.add(counted, known)
        return [known[value] or "" for value in raw], wrong


def hold(
    table: Table,
    path: Path,
    out: BinaryIO,
    reject: Reject,
    *,
    encoding: str | None = None,
    sheets: Sequence[str] = (),
    links: TableLinks | None = None,
    leaves: bool = False,
    progress: Callable[[int], None] = ignore_rows,
) -> Held:
    """Hold a file to its table, and write its rows in their one form.

    Args:
        table: of the schema.
        path: the file.
        out: takes the rows as CSV; worthless if any row is bad.
        reject: is given every fault.
        encoding: of a CSV file; found out where it is not said.
        sheets: names that the sheet of a workbook may have.
        links: what the table is to the links of its store.
        leaves: whether rows that lead to no subject, or to two, are left out; else they are bad.
        progress: is told how many rows more have been read.

    Raises:
        SafeRoomError: `BAD_CONFIG`: the file can not be read, or its heading is not the table's.
    """
    form = catalogue().tables.get(table.name)
    columns = _columns(table, form)
    names = [column.name for column in table.brought]
    links = links or TableLinks(table)
    rules = RowRules(form, names)
    unique = form.unique if form and set(form.unique) <= set(names) else ()
    repeats = Repeats([names.index(name) for name in unique])
    counted = [column.quality for column in columns]
    quality = TableQuality(table.name, table.title.zh, table.title.en, counted)
    text = io.TextIOWrapper(out, "utf-8", newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    with open_source(path, encoding=encoding, sheets=sheets) as source:
        held = Held(source.heading, quality)
        places = _places(path, source.heading, table)
        key = names.index(table.key) if table.link is None else None
        for batch in source.batches:
            cleaned, faults = _cleaned(batch, places, columns, names, key)
            faults += rules.faults(batch.lines, cleaned)
            faults += links.bad(batch.lines, cleaned)
            stray = list(links.stray(batch.lines, cleaned, {row for row, _ in faults}))
            if leaves:
                _leave(held, batch, stray, reject)
            else:
                faults += stray
            repeats.note(batch.lines, cleaned, {row for row, _ in faults})
            writer.writerows(zip(*cleaned, strict=True))
            _reject(held, batch, faults, reject)
            quality.rows += len(batch.lines) + len(batch.faults)
            progress(len(batch.lines))
    for fault in repeats.faults():
        held.tell(fault)
        held.bad += 1
        reject(fault, ())
    quality.bad = held.bad
    quality.left = held.left
    text.flush()
    text.detach()
    return held


def _columns(table: Table, form: TableForm | None) -> list[_Column]:
    """Say how a table's columns are written: as the catalogue has them, where it has them so."""
    known = {column.name: column for column in form.columns} if form else {}
    columns: list[_Column] = []
    for column in table.brought:
        own = known.get(column.name)
        if column.name == table.key:
            type_ = FieldType.USCC
        else:
            type_ = own.type if own is not None and own.stored is column.type else None
        codes = {code for each in (own.codes if own else ()) for code in each.codes}
        written = PLAIN[column.type] if type_ is None else FORMS[type_]
        quality = ColumnQuality.of(column, type_)
        columns.append(_Column(written, quality, frozenset(codes if type_ else ())))
    return columns


def _cleaned(
    batch: Batch,
    places: Sequence[int],
    columns: Sequence[_Column],
    names: Sequence[str],
    key: int | None,
) -> tuple[list[list[str]], list[tuple[int, Fault]]]:
    """Bring a batch into its form; give each fault with the place of its row in the batch."""
    cleaned: list[list[str]] = []
    faults: list[tuple[int, Fault]] = []
    for at, (place, column) in enumerate(zip(places, columns, strict=True)):
        raw = batch.columns[place]
        values, wrong = column.clean(raw)
        cleaned.append(values)
        if wrong:
            faults += [
                (row, Fault(batch.lines[row], names[at], wrong[value]))
                for row, value in enumerate(raw)
                if value in wrong
            ]
        if at == key and "" in values:
            faults += [
                (row, Fault(batch.lines[row], names[at], KEY_RULE))
                for row, value in enumerate(raw)
                if not value.strip()
            ]
    return cleaned, faults


def _leave(held: Held, batch: Batch, stray: Sequence[tuple[int, Fault]], reject: Reject) -> None:
    """Tell the rows of a batch that are left out; each is given to its owner like a bad one."""
    held.left += len(stray)
    for row, fault in stray:
        reject(fault, tuple(column[row] for column in batch.columns))


def _reject(held: Held, batch: Batch, faults: list[tuple[int, Fault]], reject: Reject) -> None:
    """Tell the faults of a batch in the order of its lines."""
    if not faults and not batch.faults:
        return
    held.bad += len({row for row, _ in faults}) + len(batch.faults)
    told = [(fault, tuple(column[row] for column in batch.columns)) for row, fault in faults]
    told += [(fault, ()) for fault in batch.faults]
    for fault, row in sorted(told, key=lambda each: each[0]):
        held.tell(fault)
        reject(fault, row)


def _places(path: Path, heading: Sequence[str], table: Table) -> list[int]:
    """Find each column in a heading, by its name or either title.

    Raises:
        SafeRoomError: `BAD_CONFIG` naming what is missing, too much, or there twice.
    """
    plain = [_plain(title) for title in heading]
    called = {
        column.name: {_plain(each) for each in (column.name, column.title.zh, column.title.en)}
        for column in table.brought
    }
    found: dict[str, list[int]] = {
        name: [at for at, title in enumerate(plain) if title in titles]
        for name, titles in called.items()
    }
    taken = [at for places in found.values() for at in places]
    strange = [title for at, title in enumerate(heading) if at not in taken]
    if strange:
        near = difflib.get_close_matches(
            _plain(strange[0]), [title for titles in called.values() for title in titles], 1
        )
        rule = f"its heading has {strange[0]!r}, which no column is called"
        raise bad_file(path, f"{rule}; near it: {near[0]}" if near else rule)
    titled = {column.name: column.title.zh for column in table.columns}
    if missing := [name for name, places in found.items() if not places]:
        told = ", ".join(f"{name} ({titled[name]})" for name in missing)
        raise bad_file(path, f"its heading lacks {told}")
    if twice := [name for name, places in found.items() if len(places) > 1]:
        raise bad_file(path, f"its heading has {twice[0]} ({titled[twice[0]]}) twice")
    return [places[0] for places in found.values()]


def _plain(title: str) -> str:
    """Give a title as it is compared: without spaces, case, or the width of its brackets."""
    return "".join(title.split()).translate(_BRACKETS).casefold()
