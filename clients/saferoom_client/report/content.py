"""What a report says, whoever asked for it: an institution, or the subject itself.

Values are of records, so others wrote them. To programs they are given as they are. To people, by
`plain`: no value makes a line or a column of its own, and no two look alike by it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from unicodedata import category

from saferoom_client.holdings import OwnHoldings
from saferoom_client.report.asking import ReportAnswer
from saferoom_proto.reasons import Reason
from saferoom_proto.reports.receipt import VerifiedReport
from saferoom_proto.reports.told import MarkedColumn, ReportedColumn
from saferoom_proto.statements import ColumnType, Disclosure, Title, load
from saferoom_proto.statements.report import PUBLIC_LEVEL

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


@dataclass(frozen=True, slots=True)
class ContentColumn:
    """A column, and what stands of it if its subject disputed it."""

    name: str
    title: Title
    type: ColumnType
    mark: MarkedColumn | None = None


@dataclass(frozen=True, slots=True)
class ContentTable:
    """The rows of one table about the subject, each value as its owner holds it."""

    name: str
    title: Title
    columns: tuple[ContentColumn, ...]
    rows: tuple[tuple[str | None, ...], ...]


@dataclass(frozen=True, slots=True)
class ContentPart:
    """What one owner's enclave told.

    Attributes:
        owner: whose.
        title: the owner's, where it is known.
        at: when.
        epoch: the period of its records.
        index: the word's entry of the log.
        tables: what it told.
    """

    owner: str
    title: Title | None
    at: datetime
    epoch: int
    index: int
    tables: tuple[ContentTable, ...]


@dataclass(frozen=True, slots=True)
class Content:
    """A report.

    Attributes:
        subject: whom it is about.
        room: of which room.
        title: of its template; none for a subject's own.
        asked_by: the institution; none for a subject's own.
        purpose: what for; likewise.
        request_id: digest of the request; likewise.
        parts: by owner, in order of their names.
        missing: owners whose part is missing, and why.
    """

    subject: str
    room: str
    title: Title | None
    asked_by: str | None
    purpose: str | None
    request_id: str | None
    parts: tuple[ContentPart, ...]
    missing: Mapping[str, Reason]

    @property
    def rows(self) -> int:
        """How many rows it tells."""
        return sum(len(table.rows) for part in self.parts for table in part.tables)

    @property
    def marks(self) -> Iterable[tuple[str, MarkedColumn]]:
        """What stands of columns that the subject disputed, each with its table."""
        for part in self.parts:
            for table in part.tables:
                for column in table.columns:
                    if column.mark is not None:
                        yield f"{part.owner}.{table.name}", column.mark


def of_answer(answer: ReportAnswer) -> Content:
    """Give what a report that was asked for says."""
    return of_receipt(answer.verified, answer.missing)


def of_receipt(verified: VerifiedReport, missing: Mapping[str, Reason] | None = None) -> Content:
    """Give what a report's receipt shows."""
    request = verified.request
    refused = {
        owner: part.release.reason
        for owner, part in verified.parts.items()
        if part.release.reason is not None
    }
    absent = dict.fromkeys(verified.missing, Reason.UNAVAILABLE)
    return Content(
        subject=request.subject,
        room=request.room,
        title=verified.template.title,
        asked_by=request.institution,
        purpose=str(request.purpose),
        request_id=verified.request_id,
        parts=tuple(_parts(verified)),
        missing=absent | refused if missing is None else missing,
    )


def of_holdings(
    subject: str, room: str, held: Mapping[str, OwnHoldings], missing: Mapping[str, Reason]
) -> Content:
    """Give what is public by law in what a subject's own readings show."""
    return Content(
        subject=subject,
        room=room,
        title=None,
        asked_by=None,
        purpose=None,
        request_id=None,
        parts=tuple(_held(owner, own) for owner, own in sorted(held.items())),
        missing=missing,
    )


def document(content: Content) -> dict[str, object]:
    """Write a report for a program; each value as its owner holds it."""
    return {
        "subject": content.subject,
        "room": content.room,
        "title": None if content.title is None else content.title.model_dump(),
        "asked_by": content.asked_by,
        "purpose": content.purpose,
        "request_id": content.request_id,
        "missing": {owner: str(reason) for owner, reason in content.missing.items()},
        "parts": [
            {
                "owner": part.owner,
                "title": None if part.title is None else part.title.model_dump(),
                "time": part.at.isoformat(),
                "epoch": part.epoch,
                "entry": part.index,
                "tables": [table_document(table) for table in part.tables],
            }
            for part in content.parts
        ],
    }


def plain(value: str) -> str:
    r"""Give a value so that it stays one line, and changes nothing of how the rest is shown.

    What would is given by its number, as `\n`, and a backslash by two.
    """
    return "".join(
        one.encode("unicode_escape").decode() if one == "\\" or category(one) in _HIDDEN else one
        for one in value
    )


def columns_of(
    columns: Iterable[ReportedColumn], marks: Iterable[MarkedColumn]
) -> tuple[ContentColumn, ...]:
    """Give columns as they were told, each with what stands of it."""
    kept = tuple(marks)
    return tuple(
        ContentColumn(each.name, each.title, each.type, _mark(kept, each.name)) for each in columns
    )


def table_document(table: ContentTable) -> dict[str, object]:
    """Write a table for a program."""
    return {
        "name": table.name,
        "title": table.title.model_dump(),
        "columns": [
            {
                "name": column.name,
                "title": column.title.model_dump(),
                "type": column.type,
                "mark": None if column.mark is None else column.mark.model_dump(mode="json"),
            }
            for column in table.columns
        ],
        "rows": [
            {column.name: value for column, value in zip(table.columns, row, strict=True)}
            for row in table.rows
        ],
    }


def _parts(verified: VerifiedReport) -> Iterable[ContentPart]:
    for owner, part in verified.parts.items():
        told = part.told
        if told is None:
            continue
        tables = tuple(
            ContentTable(
                table.name,
                table.title,
                columns_of(table.columns, table.marks),
                table.rows,
            )
            for table in told.tables
        )
        epoch = told.store.epoch
        yield ContentPart(owner, told.title, part.release.time, epoch, part.index, tables)


def _held(owner: str, own: OwnHoldings) -> ContentPart:
    tables: list[ContentTable] = []
    for table in own.holdings.tables:
        public = [at for at, column in enumerate(table.columns) if column.level <= PUBLIC_LEVEL]
        columns = tuple(
            ContentColumn(each.name, each.title, each.type)
            for each in (table.columns[at] for at in public)
        )
        # As an enclave tells it: each row once, and none that says nothing.
        rows = dict.fromkeys(tuple(row[at] for at in public) for row in table.rows)
        told = tuple(row for row in rows if any(value is not None for value in row))
        if columns and told:
            tables.append(ContentTable(table.name, table.title, columns, told))
    store = own.holdings.store
    at = load(own.disclosure.statement, Disclosure).time
    return ContentPart(owner, None, at, store.epoch, own.index, tuple(tables))


def _mark(marks: Iterable[MarkedColumn], name: str) -> MarkedColumn | None:
    found = [each for each in marks if each.column == name]
    return found[0] if found else None
