"""A page of a list: what a child is asked for it, and how what it found is laid out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from saferoom_enclaves.children.jobs import Pick, Picked
from saferoom_enclaves.reports.approved import PublicTable
from saferoom_enclaves.reports.disputed import Marks
from saferoom_proto.reports.listed import ListedFirm
from saferoom_proto.reports.told import ReportedColumn
from saferoom_proto.statements import Column, Listing, ListRequest, Table
from saferoom_proto.statements.listing import PAGE_FIRMS

MOST_ROWS: Final = 10_000
"""Rows of one table about one subject, where what is public by law about a firm are dozens; and of
a page of a list, fifty for each firm."""


@dataclass(frozen=True, slots=True, repr=False)
class ReadPage:
    """A page as it was read, in the clear. It shows no text form."""

    table: Table
    columns: tuple[ReportedColumn, ...]
    firms: int
    more: bool
    listed: tuple[ListedFirm, ...]


def read_page(
    listing: Listing,
    public: tuple[PublicTable, ...],
    request: ListRequest,
    pick: Callable[[Pick], Picked],
) -> Picked:
    """Have a page read: a child is told of no column that was not admitted.

    Args:
        listing: what the owner approved.
        public: the tables that it reads, the register first.
        request: which page of it, of which district or industry.
        pick: has a child do it.
    """
    narrow = {each.table.name: each.wanted.table for each in public}
    order = Pick(
        table=narrow[listing.table],
        columns=listing.columns,
        only=listing.only,
        by=None if listing.by.table is None else narrow[listing.by.table],
        by_column=listing.by.column,
        code=request.code,
        first=(request.page - 1) * PAGE_FIRMS,
        firms=PAGE_FIRMS,
        most=listing.most,
        most_rows=MOST_ROWS,
    )
    return pick(order)


def laid_out(
    listing: Listing,
    public: tuple[PublicTable, ...],
    page: Picked,
    marks: Mapping[str, Marks],
) -> ReadPage:
    """Lay out a page: each firm once, with its rows, and what it disputes of these columns."""
    register = next(each.table for each in public if each.table.name == listing.table)
    columns = {column.name: column for column in register.columns}
    listed = tuple(
        ListedFirm(
            subject=str(subject),
            rows=tuple(row[1:] for row in rows),
            marks=tuple(
                mark
                for mark in marks.get(str(subject), {}).get(listing.table, ())
                if mark.column in listing.columns
            ),
        )
        for subject, rows in groupby(page.rows, key=lambda row: row[0])
    )
    told = described(columns[name] for name in listing.columns)
    return ReadPage(register, told, page.firms, page.more, listed)


def described(columns: Iterable[Column]) -> tuple[ReportedColumn, ...]:
    """Describe columns as their schema does."""
    return tuple(
        ReportedColumn(name=each.name, title=each.title, type=each.type) for each in columns
    )
