"""What a list template asks: which firms of a district or an industry stand on a register.

A register is one table of an owner. Everything that a list tells, counts or is picked by is public
by law: the owner's enclave looks at its schema for that, as for a report.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar, Final

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements.base import (
    Digest,
    Instant,
    Name,
    Nonce,
    Owner,
    Part,
    Payload,
    Purpose,
    Usage,
    distinct,
    shown_as_written,
)
from saferoom_proto.statements.feature import Schema
from saferoom_proto.statements.report import MOST_COLUMNS, Columns
from saferoom_proto.statements.request import LONGEST_WINDOW, ReplyKey, require_window

PAGE_FIRMS: Final = 200
"""Firms of one page: of a register with some rows a firm that is well below what a page holds."""
MOST_FIRMS: Final = 5_000
"""Of one list, which are 25 pages: a district of a city has so many firms on no register."""
MOST_PAGES: Final = MOST_FIRMS // PAGE_FIRMS
MOST_ONLY: Final = 4
MOST_VALUES: Final = 16

Code = Annotated[
    str,
    StringConstraints(pattern=r"^[^\s\x00-\x1f\x7f]{1,64}$"),
    AfterValidator(shown_as_written),
]
"""A code of a district or an industry, or its beginning: `4104`, `C26`."""


class PickedBy(StrEnum):
    """What says of which district or industry a firm is."""

    DIVISION = "division"
    """The division in its own code, of six digits (GB 32100: the third to the eighth): that of the
    authority that registered it. It stays when a firm moves."""
    COLUMN = "column"
    """A column of a table of the same owner, in any of its rows about the firm."""


class ListedBy(Part):
    """What picks the firms of a list: a code that begins as the asked one does.

    Codes of districts (GB/T 2260) and of industries (GB/T 4754) are of levels: each begins with
    that of what it belongs to.

    Attributes:
        of: what is looked at.
        table: of a column, its table.
        column: likewise.
        fewest: how many characters of a code must be asked for at least: so is the widest region
            or branch that a list can be of.
    """

    of: PickedBy
    table: Annotated[Owner | None, Field(exclude_if=lambda each: each is None)] = None
    column: Annotated[Owner | None, Field(exclude_if=lambda each: each is None)] = None
    fewest: Annotated[int, Field(ge=1, le=18)]

    @model_validator(mode="after")
    def _whole(self) -> ListedBy:
        named = (self.table is not None, self.column is not None)
        if named != ((self.of is PickedBy.COLUMN,) * 2):
            raise ValueError("a column, and nothing else, names its table and itself")
        if self.of is PickedBy.DIVISION and self.fewest > DIVISION_DIGITS:
            raise ValueError(f"a division has {DIVISION_DIGITS} digits")
        return self


DIVISION_DIGITS: Final = 6
DIVISION_FROM: Final = 2
"""Where a code's division begins, from 0 (GB 32100-2015, 5.3)."""


def division_of(subject: str) -> str:
    """Give the division in a firm's code."""
    return subject[DIVISION_FROM : DIVISION_FROM + DIVISION_DIGITS]


class Only(Part):
    """Which rows of the register count: those with one of these values in a column.

    Without values: those that have none there, as of a firm that was not taken off.
    """

    column: Owner
    values: Annotated[
        tuple[
            Annotated[str, StringConstraints(min_length=1, max_length=200)],
            ...,
        ],
        Field(max_length=MOST_VALUES),
        AfterValidator(distinct),
    ]


class Listing(Part):
    """The firms of a district or an industry that have such a row in a table, in order of codes.

    Attributes:
        owner: whose register.
        table: which of its tables.
        columns: what is told of each row. Rows of a firm that are alike in these are told once.
        only: which rows count: all that meet each of these.
        by: what picks the firms.
        most: how many firms of a list are told at most: the first, in order of their codes.
    """

    owner: Owner
    table: Owner
    columns: Columns
    only: Annotated[tuple[Only, ...], Field(max_length=MOST_ONLY)] = ()
    by: ListedBy
    most: Annotated[int, Field(ge=1, le=MOST_FIRMS)]

    @model_validator(mode="after")
    def _each_once(self) -> Listing:
        if len({each.column for each in self.only}) != len(self.only):
            raise ValueError("a column is held to one set of values")
        held = {each.column for each in self.only}
        if len({*self.columns, *held}) >= MOST_COLUMNS:
            raise ValueError(f"a list reads fewer than {MOST_COLUMNS} columns of its register")
        return self

    @property
    def read(self) -> tuple[tuple[str, str], ...]:
        """What it tells, counts or is picked by, each as table and column, the told ones first."""
        told = [(self.table, column) for column in self.columns]
        held = [(self.table, each.column) for each in self.only]
        by = [(self.by.table, self.by.column)] if self.by.table and self.by.column else []
        return tuple(dict.fromkeys([*told, *held, *by]))

    def read_under(self, schema: Schema) -> tuple[tuple[str, str], ...]:
        """Give the same, and of each table the column with the firm's code, by a schema."""
        keys = [(each.name, each.key) for each in schema.tables if each.name in self.tables]
        return tuple(dict.fromkeys([*self.read, *keys]))

    def require_within(self, code: str, page: int) -> None:
        """Refuse with `OFF_DOMAIN` a code that is too wide, or a page that no such list has."""
        if len(code) < self.by.fewest:
            rule = f"at least {self.by.fewest} characters of it"
            raise SafeRoomError(Reason.OFF_DOMAIN, "the code", [FieldFault("code", rule)])
        if (page - 1) * PAGE_FIRMS >= self.most:
            rule = f"a list of at most {self.most} firms has no page {page}"
            raise SafeRoomError(Reason.OFF_DOMAIN, "the page", [FieldFault("page", rule)])

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables that it reads, the register first."""
        return tuple(dict.fromkeys((self.table, *(t for t in (self.by.table,) if t))))


class ListRequest(Payload):
    """Asks for a page of a list, by an agreement's key; about nobody beforehand.

    The enclave's word on it is a release, as on a check: which of the two it is about, its request
    shows.
    """

    KIND: ClassVar[str] = "list-request"
    SIGNED_BY: ClassVar[Usage] = Usage.INSTITUTION

    institution: Name
    template: Digest
    certificate: Digest
    """The digest of the release certificate, not of anybody's X.509 certificate."""
    code: Code
    """Of the district or industry, or its beginning."""
    page: Annotated[int, Field(ge=1, le=MOST_PAGES)]
    purpose: Purpose
    nonce: Nonce
    not_before: Instant
    not_after: Instant
    reply_key: ReplyKey
    """Made for this request: the page is sealed to it."""

    @model_validator(mode="after")
    def _in_order(self) -> ListRequest:
        require_window(self.not_before, self.not_after, LONGEST_WINDOW)
        return self
