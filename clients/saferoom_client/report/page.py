"""A report as a page for people: a section for each table, a row for each record."""

from __future__ import annotations

from collections.abc import Iterator

from saferoom_client.report.content import (
    Content,
    ContentColumn,
    ContentPart,
    ContentTable,
    plain,
)
from saferoom_client.sheet.rows import Form, Page, Row, Section, moment
from saferoom_client.tongue import later, say, spoken, titled
from saferoom_proto.reports.told import Mark, MarkedColumn

_MARKS = {
    Mark.DISPUTED: later("disputed by the subject since {day:%Y-%m-%d}, and not settled"),
    Mark.CORRECTED: later("corrected after the subject disputed it on {day:%Y-%m-%d}"),
}
_SAYS = (
    later("It holds only what is public by law by its owners' schemas, and all of it that they"
          " hold under these tables and columns; rows that are alike in them stand here once."),
    later("Each part is the word of its owner's enclave. That the records are true is their owner's"
          " to answer for: whoever is named in them can dispute them."),
    later("The receipt proves each part offline: saferoom receipt verify. This page alone proves"
          " nothing."),
)  # fmt: skip


def page_of(content: Content) -> Page:
    """Write a report as a page, in the language that is spoken."""
    title = say("Public report") if content.title is None else titled(content.title)
    return Page(
        language=spoken(),
        title=title,
        lead=say("What is public by law about {subject}", subject=content.subject),
        tone="refused" if content.missing else "yes",
        answer=_summary(content),
        sections=tuple(_sections(content)),
    )


def _summary(content: Content) -> str:
    told = say(
        "{rows:,} records of {parts:,} data owners", rows=content.rows, parts=len(content.parts)
    )
    marks = len(list(content.marks))
    marked = say("; columns with a mark: {marks:,}", marks=marks) if marks else ""
    missing = ", ".join(content.missing)
    lacks = say("; missing: {owners}", owners=missing) if missing else ""
    return f"{told}{marked}{lacks}"


def _sections(content: Content) -> Iterator[Section]:
    yield Section(say("About"), tuple(_about(content)))
    for part in content.parts:
        if not part.tables:
            yield Section(_named(part), (Row(say("records"), say("none")),))
        for table in part.tables:
            yield _section(part, table)
    if content.missing:
        rows = tuple(Row(owner, str(reason)) for owner, reason in content.missing.items())
        yield Section(say("Missing"), rows)
    yield Section(say("What this page is"), (Row("", "\n".join(map(say, _SAYS))),))


def _about(content: Content) -> Iterator[Row]:
    yield Row(say("subject"), content.subject)
    if content.asked_by is not None:
        yield Row(
            say("asked by"),
            say(
                "{institution}, for {purpose}",
                institution=content.asked_by,
                purpose=content.purpose,
            ),
        )
    else:
        yield Row(say("asked by"), say("the subject itself"))
    yield Row(say("room"), content.room)
    for part in content.parts:
        told = say(
            "{moment}, the records of period {epoch}, entry {index} of the log",
            moment=moment(part.at),
            epoch=part.epoch,
            index=part.index,
        )
        yield Row(_named(part), told)
    if content.request_id is not None:
        yield Row("id", content.request_id, Form.CODE)


def _section(part: ContentPart, table: ContentTable) -> Section:
    heading = f"{_named(part)} · {titled(table.title)}"
    marks = tuple(
        Row(_column(column), mark_words(column.mark))
        for column in table.columns
        if column.mark is not None
    )
    records = tuple(
        Row(f"{number:,}", "\n".join(record_lines(table, row)))
        for number, row in enumerate(table.rows, 1)
    )
    return Section(heading, (*marks, *(records or (Row(say("records"), say("none")),))))


def record_lines(table: ContentTable, row: tuple[str | None, ...]) -> Iterator[str]:
    """Say what a record holds, a line for each column that has a value."""
    for column, value in zip(table.columns, row, strict=True):
        if value is not None:
            mark = "" if column.mark is None else " *"
            yield f"{_column(column)}{mark}: {plain(value)}"


def mark_words(mark: MarkedColumn) -> str:
    """Say what stands of a column that the subject disputed."""
    said = say(_MARKS[mark.mark], day=mark.since)
    if mark.epoch is None:
        return f"* {said}"
    return say("* {said}, in the records from period {epoch} on", said=said, epoch=mark.epoch)


def _column(column: ContentColumn) -> str:
    return titled(column.title)


def _named(part: ContentPart) -> str:
    return part.owner if part.title is None else titled(part.title)
