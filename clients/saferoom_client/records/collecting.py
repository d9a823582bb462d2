"""The files of a load, held to their tables and ready to be sealed, and what is wrong with them.

The rows in their one form lie in a file without a name, in the owner's own folder for such: a crash
leaves nothing of them.
"""

from __future__ import annotations

import csv
import os
import tempfile
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, TextIO

from saferoom_client.files import PRIVATE_FILE, bad_file
from saferoom_client.formulas import as_text
from saferoom_client.records.annex import catalogue
from saferoom_client.records.blanks import sheet_name
from saferoom_client.records.faults import Fault
from saferoom_client.records.holding import Held, Reject, hold
from saferoom_client.records.linking import links_of
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements.feature import Table


@dataclass(frozen=True, slots=True)
class Collected:
    """The tables of a load.

    Attributes:
        held: what became of each.
        files: each table's rows, to be sealed; worthless if any row is bad.
    """

    held: dict[str, Held]
    files: dict[str, Path]

    @property
    def bad(self) -> int:
        """How many rows are bad."""
        return sum(each.bad for each in self.held.values())

    @property
    def left(self) -> dict[str, int]:
        """How many rows of each linked table are left out, by what its map says here."""
        return {name: each.left for name, each in self.held.items() if each.left}

    @property
    def told(self) -> list[tuple[str, Fault]]:
        """The first faults, by table."""
        return [(name, fault) for name, each in self.held.items() for fault in each.told]


@dataclass(slots=True)
class Rejects:
    """Writes the bad rows for their owner, as CSV: where, what rule, and the row as it stood.

    Attributes:
        path: where to; nothing is written without it, nor without a bad row.
        words: gives a rule in the language of who reads it.
        headings: of table, line, column and rule.
    """

    path: Path | None
    words: Callable[[str], str]
    headings: Sequence[str]
    written: int = 0
    _file: TextIO | None = field(default=None, repr=False)

    def of(self, table: Table) -> Reject:
        """Give what takes the bad rows of a table."""
        titles = {column.name: column.title.zh for column in table.columns}

        def reject(fault: Fault, row: Sequence[str]) -> None:
            if self.path is None:
                return
            if self._file is None:
                self._file = _private(self.path)
                csv.writer(self._file).writerow(self.headings)
            column = titles.get(fault.column, "")
            told = (table.name, fault.line, column, self.words(fault.rule))
            csv.writer(self._file).writerow((*told, *map(as_text, row)))
            self.written += 1

        return reject

    def close(self) -> None:
        """Finish the file."""
        if self._file is not None:
            self._file.close()


@contextmanager
def collected(
    tables: Sequence[Table],
    files: Mapping[str, str],
    rejects: Rejects,
    *,
    encoding: str | None = None,
    whole: bool = True,
    leaves: bool = False,
    progress: Callable[[int], None],
) -> Generator[Collected]:
    """Hold the files of a load to their tables.

    Args:
        tables: of the schema.
        files: each table's file; of a workbook, `FILE.xlsx#SHEET` names the sheet.
        rejects: takes the bad rows.
        encoding: of CSV files; found out where it is not said.
        whole: whether every table has to have a file.
        leaves: whether rows are left out that lead to no subject, or to two; else they are bad.
        progress: is told how many rows more have been read.

    Raises:
        SafeRoomError: `BAD_CONFIG` for a file that can not be used; `MALFORMED` for a table that
            the schema has not, or a file for it is missing; `NOT_INSTALLED`.
    """
    _require_known([table.name for table in tables], files, whole=whole)
    held: dict[str, Held] = {}
    paths: dict[str, Path] = {}
    links = links_of(tables, files)
    # A map is read before what it leads from.
    ordered = sorted(tables, key=lambda table: table.link is not None)
    with ExitStack() as stack:
        stack.callback(rejects.close)
        for table in (each for each in ordered if each.name in files):
            path, sheets = _place(files[table.name], table.name)
            out: BinaryIO = stack.enter_context(tempfile.TemporaryFile())
            held[table.name] = hold(
                table,
                path,
                out,
                rejects.of(table),
                encoding=encoding,
                sheets=sheets,
                links=links[table.name],
                leaves=leaves,
                progress=progress,
            )
            for _, said in links[table.name].maps:
                said.is_whole = not held[table.name].bad
            out.flush()
            paths[table.name] = Path(f"/proc/self/fd/{out.fileno()}")
        yield Collected(held, paths)


def require_apart(places: Sequence[Path | None], files: Mapping[str, str]) -> None:
    """Refuse to write over a file that is to be loaded.

    Raises:
        SafeRoomError: `BAD_CONFIG` naming the file.
    """
    read = [_place(text, name)[0] for name, text in files.items()]
    for place in places:
        if (
            place is not None
            and place.exists()
            and any(each.exists() and place.samefile(each) for each in read)
        ):
            raise bad_file(place, "it is one of the files to load")


def _require_known(names: Sequence[str], files: Mapping[str, str], *, whole: bool) -> None:
    strange = f"no table of the schema; it has {', '.join(sorted(names))}"
    faults = [FieldFault(name, strange) for name in files if name not in names]
    rule = "a load brings every table of the schema"
    faults += [FieldFault(name, rule) for name in names if whole and name not in files]
    if faults:
        raise SafeRoomError(Reason.MALFORMED, faults[0].rule, faults)


def _place(text: str, table: str) -> tuple[Path, tuple[str, ...]]:
    """Read where a table's file is, and which names its sheet may have."""
    name, mark, sheet = text.rpartition("#")
    if mark and not Path(text).exists():
        return Path(name), (sheet,)
    form = catalogue().tables.get(table)
    return Path(text), (table, *((sheet_name(form),) if form else ()))


def _private(path: Path) -> TextIO:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, PRIVATE_FILE)
    except OSError as error:
        raise bad_file(path, error.strerror or "it can not be written") from error
    os.fchmod(handle, PRIVATE_FILE)
    # With a byte order mark: without it Excel reads UTF-8 as something else.
    return os.fdopen(handle, "w", encoding="utf-8-sig", newline="")
