"""Holds what a child answers to what it can have been asked, before anything of it is used.

A child runs code over records and over bytes that others made; whoever takes it over may answer
anything. What is refused here is `INTERNAL`, and quotes nothing.
"""

from __future__ import annotations

import mmap
import os
import stat
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from pydantic import ValidationError

from saferoom_enclaves.children import jobs
from saferoom_enclaves.children.frames import Frame
from saferoom_enclaves.rows import RULES
from saferoom_enclaves.vault import freeze
from saferoom_proto.load import Change
from saferoom_proto.load_links import LEFT_RULES
from saferoom_proto.reasons import Reason, SafeRoomError

T = TypeVar("T")


def answered(frame: Frame, form: type[T]) -> T:
    """Read an answer that must be of one form; a failure that it tells of is raised."""
    try:
        answer = jobs.Answer.model_validate_json(frame.message).answer
    except ValidationError:
        raise garbled("not of any form") from None
    if isinstance(answer, jobs.Failed):
        raise SafeRoomError(answer.reason, "told by a child")
    if not isinstance(answer, form):
        raise garbled("of another job's form")
    return answer


def require_built(built: jobs.Built, order: jobs.Build) -> None:
    """Hold what a child says of rows to the schema's names and the rows' rules."""
    tables = {table.name: table for table in order.tables}
    if built.rows.keys() != tables.keys() or built.bad_row_count < bool(built.bad_rows):
        raise garbled("rows of other tables")
    for row in (*built.bad_rows, *built.left):
        columns = (
            {column.name for column in tables[row.table].columns} if row.table in tables else ()
        )
        if (row.column and row.column not in columns) or row.rule not in RULES:
            raise garbled("a bad row that cannot be")
    _require_linked(built, order)


def _require_linked(built: jobs.Built, order: jobs.Build) -> None:
    """Hold links to the order: of each linked table that came, and none left that may not be."""
    came = [
        table.name
        for table, change in zip(order.tables, order.changes, strict=True)
        if table.link is not None and change is not Change.KEEP
    ]
    told = [link.table for link in built.links]
    whole = built.bad_row_count > 0 or len(told) == len(came)
    if not whole or len(set(told)) != len(told) or not set(told) <= set(came):
        raise garbled("links of other tables")
    leaves = [link.table for link in built.links if link.left and not built.bad_row_count]
    if not {*leaves, *(row.table for row in built.left)} <= set(order.leaves):
        raise garbled("rows left out that may not be")
    if any(row.rule not in LEFT_RULES for row in built.left):
        raise garbled("a row left out that cannot be")


def require_about(found: jobs.TableFound, wanted: jobs.TableWanted, subject: str) -> None:
    """Hold rows to their table: about this subject, and without what is withheld."""
    columns = wanted.table.columns
    key = next(at for at, column in enumerate(columns) if column.name == wanted.table.key)
    hidden = [at for at, withheld in enumerate(wanted.withheld) if withheld]
    for row in found.rows:
        if len(row) != len(columns) or row[key] != subject or any(row[at] for at in hidden):
            raise garbled("a row that was not asked for")
    if len(found.withheld) != len(columns):
        raise garbled("other columns than the table's")


def require_picked(found: jobs.Picked, order: jobs.Pick) -> None:
    """Hold a page to what was asked: of the firms that its list has left for it, and no others.

    Raises:
        SafeRoomError: `TOO_LARGE` for more rows than are wanted; `INTERNAL`.
    """
    if len(found.rows) > order.most_rows:
        raise SafeRoomError(Reason.TOO_LARGE, "more rows on a page than are wanted")
    firms = {row[0] for row in found.rows if row}
    if any(len(row) != len(order.columns) + 1 for row in found.rows) or None in firms:
        raise garbled("a row that was not asked for")
    left = min(order.firms, max(0, found.firms - order.first))
    whole = found.firms <= order.most and (not found.more or found.firms == order.most)
    if not whole or len(firms) != left:
        raise garbled("other firms than were asked for")


def require_file(files: Sequence[int], most_bytes: int, *, wanted: bool) -> None:
    """Hold a store's file to what a child can have made; one comes with good rows only."""
    if bool(files) != wanted:
        raise garbled("a store comes with good rows only")
    for found in map(os.fstat, files):
        own = stat.S_ISREG(found.st_mode) and not found.st_nlink
        if not own or not 0 < found.st_size <= most_bytes:
            raise garbled("not a file of its own")


@contextmanager
def lent_memory(content: bytes = b"") -> Generator[int]:
    """Lend memory that a child is given, to read or to write."""
    file = os.memfd_create("lent", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        with open(file, "wb", closefd=False) as writing:
            writing.write(content)
        yield file
    finally:
        os.close(file)


def frozen(written: int) -> memoryview:
    """Seal what a child wrote, and give it: mapped, not copied."""
    try:
        freeze(written)
    except OSError:
        raise garbled("still being written") from None
    size = os.fstat(written).st_size
    if not size:
        return memoryview(b"")
    return memoryview(mmap.mmap(written, size, prot=mmap.PROT_READ))


def garbled(rule: str) -> SafeRoomError:
    """Say that a child answered what cannot be."""
    return SafeRoomError(Reason.INTERNAL, f"a child's answer: {rule}")
