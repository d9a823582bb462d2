"""A page of a list, as it is sealed to the asker and to nobody else.

The plaintext is JSON, filled up as a part of a report is (`saferoom_proto.reports.told`). The
release carries a hash of the whole.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Final, Literal

from pydantic import Field, model_validator

from saferoom_proto.asker_seal import AskerSeal
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.reports.told import (
    MOST_MARKS,
    MarkedColumn,
    ReportedColumn,
    Salt,
    Value,
    filled_up,
    read_plain,
    require_committed,
    require_of,
)
from saferoom_proto.statements.base import Digest, Instant, Owner, Part, Title, Uscc
from saferoom_proto.statements.enclave import Release, StoreState
from saferoom_proto.statements.listing import (
    MOST_FIRMS,
    MOST_PAGES,
    PAGE_FIRMS,
    Code,
    Listing,
    ListRequest,
    PickedBy,
    division_of,
)
from saferoom_proto.statements.report import MOST_COLUMNS

LIST_SEAL: Final = AskerSeal("list v1")


class ListedFirm(Part):
    """A firm, its rows of the register, each once in the order of what they say, and its marks."""

    subject: Uscc
    rows: Annotated[tuple[tuple[Value | None, ...], ...], Field(min_length=1)]
    """Each value as text, in the order of the columns; none where there is none."""
    marks: Annotated[tuple[MarkedColumn, ...], Field(max_length=MOST_MARKS)] = ()


class OwnerList(Part):
    """What one owner's enclave tells: a page of a list, its firms in the order of their codes."""

    format: Literal["saferoom-owner-list/v1"] = "saferoom-owner-list/v1"
    room: str
    owner: Owner
    title: Title
    """The owner's, as its charter has it."""
    request: Digest
    template: Digest
    code: Code
    page: Annotated[int, Field(ge=1, le=MOST_PAGES)]
    firms: Annotated[int, Field(ge=0, le=MOST_FIRMS)]
    """How many the whole list has."""
    more: bool
    """Whether there are more than the list may have: they are on no page."""
    store: StoreState
    schema_digest: Digest
    table: Owner
    table_title: Title
    columns: Annotated[tuple[ReportedColumn, ...], Field(min_length=1, max_length=MOST_COLUMNS)]
    listed: Annotated[tuple[ListedFirm, ...], Field(max_length=PAGE_FIRMS)]
    at: Instant
    salt: Salt

    @model_validator(mode="after")
    def _in_order(self) -> OwnerList:
        if any(one.subject >= other.subject for one, other in pairwise(self.listed)):
            raise ValueError("each firm stands once, in the order of the codes")
        names = {each.name for each in self.columns}
        for firm in self.listed:
            if any(len(row) != len(self.columns) for row in firm.rows):
                raise ValueError("a row has a value for each column")
            if not {each.column for each in firm.marks} <= names:
                raise ValueError("a mark is of a column that is told")
        before = (self.page - 1) * PAGE_FIRMS
        if len(self.listed) != min(PAGE_FIRMS, max(0, self.firms - before)):
            raise ValueError("a page has as many firms as the list has left for it")
        return self

    @property
    def pages(self) -> int:
        """How many pages the list has; one of nobody has one, too."""
        return max(1, -(-self.firms // PAGE_FIRMS))

    @property
    def told_with(self) -> tuple[object, ...]:
        """What it shares with its release."""
        return self.room, self.owner, self.request, self.template, self.store, self.at

    def to_bytes(self) -> bytes:
        """Write the plaintext, filled up.

        Raises:
            SafeRoomError: `TOO_LARGE` for more than is told at once.
        """
        return filled_up(self)

    @classmethod
    def from_bytes(cls, plaintext: bytes) -> OwnerList:
        """Read a plaintext; `MALFORMED` names the field."""
        return read_plain(cls, plaintext, "list")


def require_listed(
    release: Release, plaintext: bytes, request: ListRequest, listing: Listing
) -> OwnerList:
    """Open a page that a release commits to: the one that was asked for, and no more than allowed.

    Raises:
        SafeRoomError: `BAD_PROOF`; `MALFORMED` for what no enclave writes.
    """
    require_committed(release, plaintext)
    told = OwnerList.from_bytes(plaintext)
    require_of(release, told)
    if (told.code, told.page) != (request.code, request.page):
        raise SafeRoomError(Reason.BAD_PROOF, "another page than was asked for")
    columns = tuple(each.name for each in told.columns)
    if (told.table, columns) != (listing.table, listing.columns):
        raise SafeRoomError(Reason.BAD_PROOF, "the list tells other columns than were approved")
    if told.firms > listing.most or (told.more and told.firms != listing.most):
        raise SafeRoomError(Reason.BAD_PROOF, "the list has more firms than it may, or fewer")
    for firm in told.listed:
        _require_meant(firm, columns, request.code, listing)
    return told


def _require_meant(firm: ListedFirm, columns: tuple[str, ...], code: str, listing: Listing) -> None:
    """Refuse a firm that does not belong there, as far as what is told of it shows."""
    if listing.by.of is PickedBy.DIVISION and not division_of(firm.subject).startswith(code):
        raise SafeRoomError(Reason.BAD_PROOF, f"{firm.subject} is of another district")
    for only in listing.only:
        if only.column not in columns:
            continue
        at = columns.index(only.column)
        for row in firm.rows:
            value = row[at]
            if (value not in only.values) if only.values else (value is not None):
                detail = f"{firm.subject} is listed by a row that does not count"
                raise SafeRoomError(Reason.BAD_PROOF, detail)
