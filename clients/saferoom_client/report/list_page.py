"""What a page of a list says, for programs and as a page for people: a row for each firm."""

from __future__ import annotations

from collections.abc import Iterator

from saferoom_client.report.content import (
    ContentColumn,
    ContentTable,
    columns_of,
    table_document,
)
from saferoom_client.report.page import mark_words, record_lines
from saferoom_client.sheet.rows import Form, Page, Row, Section, moment
from saferoom_client.tongue import later, say, spoken, titled
from saferoom_proto.reports.list_receipt import VerifiedList
from saferoom_proto.reports.listed import ListedFirm, OwnerList

_SAYS = (
    later("It holds only what is public by law by its owner's schema: of each firm the records of"
          " this register that count by the list's template, alike ones once."),
    later("It is the word of the owner's enclave. That the records are true is the owner's to"
          " answer for: whoever is named can dispute them, and is shown that a list told of it."),
    later("The receipt proves it offline: saferoom receipt verify."
          " This page alone proves nothing."),
)  # fmt: skip


def firm_table(told: OwnerList, firm: ListedFirm) -> ContentTable:
    """Give a firm's records as a report gives a table's."""
    columns: tuple[ContentColumn, ...] = columns_of(told.columns, firm.marks)
    return ContentTable(told.table, told.table_title, columns, firm.rows)


def list_document(verified: VerifiedList) -> dict[str, object]:
    """Write a page for a program; each value as its owner holds it."""
    said, told = verified.said, verified.told
    request = said.request
    document: dict[str, object] = {
        "template": said.template.name,
        "title": said.template.title.model_dump(),
        "owner": said.release.owner,
        "asked_by": request.institution,
        "purpose": str(request.purpose),
        "request_id": said.request_id,
        "code": request.code,
        "page": request.page,
        "outcome": said.release.outcome,
        "reason": said.release.reason,
        "time": said.release.time.isoformat(),
        "entry": said.index,
    }
    if told is None:
        return document
    return {
        **document,
        "pages": told.pages,
        "firms": told.firms,
        "more": told.more,
        "store": told.store.model_dump(mode="json"),
        "listed": [
            {"subject": firm.subject, **table_document(firm_table(told, firm))}
            for firm in told.listed
        ],
    }


def list_page(verified: VerifiedList, told: OwnerList) -> Page:
    """Write a page of a list, in the language that is spoken."""
    return Page(
        language=spoken(),
        title=titled(verified.said.template.title),
        lead=say(
            "{table} of {owner}: firms of {code}",
            table=titled(told.table_title),
            owner=titled(told.title),
            code=told.code,
        ),
        tone="yes",
        answer=list_summary(told),
        sections=tuple(_sections(verified, told)),
    )


def list_summary(told: OwnerList) -> str:
    """Say how long a list is, and which page of it this is."""
    whole = say(
        "{firms:,} firms; page {page} of {pages}",
        firms=told.firms,
        page=told.page,
        pages=told.pages,
    )
    more = say("; more stand there than a list may tell") if told.more else ""
    return f"{whole}{more}"


def _sections(verified: VerifiedList, told: OwnerList) -> Iterator[Section]:
    yield Section(say("About"), tuple(_about(verified, told)))
    firms = tuple(Row(firm.subject, "\n".join(_firm(told, firm))) for firm in told.listed)
    yield Section(titled(told.table_title), firms or (Row(say("firms"), say("none")),))
    yield Section(say("What this page is"), (Row("", "\n".join(map(say, _SAYS))),))


def _firm(told: OwnerList, firm: ListedFirm) -> Iterator[str]:
    content = firm_table(told, firm)
    for number, row in enumerate(content.rows):
        if number:
            yield ""
        yield from record_lines(content, row)
    for column in content.columns:
        if column.mark is not None:
            yield f"{titled(column.title)} {mark_words(column.mark)}"


def _about(verified: VerifiedList, told: OwnerList) -> Iterator[Row]:
    said = verified.said
    yield Row(
        say("asked by"),
        say(
            "{institution}, for {purpose}",
            institution=said.request.institution,
            purpose=said.request.purpose,
        ),
    )
    yield Row(say("room"), told.room)
    yield Row(say("picked by"), picked_by(verified))
    yield Row(
        titled(told.title),
        say(
            "{moment}, the records of period {epoch}, entry {index} of the log",
            moment=moment(told.at),
            epoch=told.store.epoch,
            index=said.index,
        ),
    )
    yield Row("id", said.request_id, Form.CODE)


def picked_by(verified: VerifiedList) -> str:
    """Say by what the firms of a list were picked."""
    by, code = verified.listing.by, verified.said.request.code
    if by.table is None:
        return say("the division in their codes begins with {code}", code=code)
    return say(
        "{column} of {table} begins with {code}", column=by.column, table=by.table, code=code
    )
