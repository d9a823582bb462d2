"""An owner's part of a report, as it is sealed to the asker and to nobody else.

The plaintext is JSON, filled up with spaces to the next power of two: what it says is public by
law, and whom it is about is the asker's matter. The release carries a hash of the whole; the salt
in it keeps that commitment from being guessed.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final, Literal, Protocol, TypeVar

from pydantic import Field, StringConstraints, ValidationError, model_validator

from saferoom_proto.asker_seal import AskerSeal
from saferoom_proto.encoding import parse_object
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements.base import (
    Digest,
    Instant,
    Owner,
    Part,
    Title,
    Uscc,
    field_faults,
)
from saferoom_proto.statements.enclave import Count, Release, StoreState
from saferoom_proto.statements.feature import ColumnType
from saferoom_proto.statements.report import MOST_COLUMNS, MOST_TABLES, ReportPart
from saferoom_proto.suite import Suite, suite_of

FEWEST_BYTES: Final = 16 * 1024
"""A few dozen rows: such parts all look alike."""
MOST_BYTES: Final = 1024 * 1024
"""Twelve owners' parts (`statements.report.MOST_OWNERS`) stay below what a client takes at once."""
MOST_MARKS: Final = 1024

T = TypeVar("T", bound=Part)

REPORT_SEAL: Final = AskerSeal("report v1")

Value = Annotated[str, StringConstraints(max_length=64 * 1024)]


class Mark(StrEnum):
    """What became of what a subject says against a column."""

    DISPUTED = "disputed"
    """The subject says that it is wrong, and its owner has not settled that."""
    CORRECTED = "corrected"
    """It was wrong; its owner says that it is not any more."""


class MarkedColumn(Part):
    """A column that the subject disputes, or that was corrected after it did.

    Attributes:
        column: which.
        mark: what stands of it.
        since: when the subject disputed it.
        epoch: the store's period from which on it is corrected, where the owner named one.
    """

    column: Owner
    mark: Mark
    since: Instant
    epoch: Count | None = None


class ReportedColumn(Part):
    """A column, as its owner's schema describes it."""

    name: Owner
    title: Title
    type: ColumnType


class ReportedTable(Part):
    """The rows of one table about the subject, each once, in the order of what they say."""

    name: Owner
    title: Title
    columns: Annotated[tuple[ReportedColumn, ...], Field(min_length=1, max_length=MOST_COLUMNS)]
    rows: tuple[tuple[Value | None, ...], ...]
    """Each value as text, in the order of the columns; none where there is none."""
    marks: Annotated[tuple[MarkedColumn, ...], Field(max_length=MOST_MARKS)] = ()

    @model_validator(mode="after")
    def _rectangular(self) -> ReportedTable:
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError("a row has a value for each column")
        if not {each.column for each in self.marks} <= {each.name for each in self.columns}:
            raise ValueError("a mark is of a column that is told")
        return self


Salt = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9+/]{43}=$")]
"""32 random bytes, base64."""


class OwnerReport(Part):
    """What one owner's enclave tells of one subject."""

    format: Literal["saferoom-owner-report/v1"] = "saferoom-owner-report/v1"
    room: str
    owner: Owner
    title: Title
    """The owner's, as its charter has it."""
    subject: Uscc
    request: Digest
    template: Digest
    store: StoreState
    schema_digest: Digest
    tables: Annotated[tuple[ReportedTable, ...], Field(min_length=1, max_length=MOST_TABLES)]
    at: Instant
    salt: Salt

    @property
    def told_with(self) -> tuple[object, ...]:
        """What it shares with its release."""
        return self.room, self.owner, self.request, self.template, self.store, self.at

    def to_bytes(self) -> bytes:
        """Write the plaintext, filled up.

        Raises:
            SafeRoomError: `TOO_LARGE` past `MOST_BYTES`.
        """
        return filled_up(self)

    @classmethod
    def from_bytes(cls, plaintext: bytes) -> OwnerReport:
        """Read a plaintext; `MALFORMED` names the field."""
        return read_plain(cls, plaintext, "report")


def filled_up(told: Part) -> bytes:
    """Write what is told, filled up with spaces to the next power of two.

    Raises:
        SafeRoomError: `TOO_LARGE` past `MOST_BYTES`.
    """
    written = told.model_dump_json().encode()
    if len(written) > MOST_BYTES:
        raise SafeRoomError(Reason.TOO_LARGE, f"more than {MOST_BYTES} bytes")
    # JSON may end in spaces (RFC 8259 section 2).
    return written.ljust(max(FEWEST_BYTES, 1 << (len(written) - 1).bit_length()))


def read_plain(kind: type[T], plaintext: bytes, what: str) -> T:
    """Read what was filled up; `MALFORMED` names the field."""
    parse_object(plaintext, MOST_BYTES)
    try:
        return kind.model_validate_json(plaintext)
    except ValidationError as error:
        raise SafeRoomError(Reason.MALFORMED, what, field_faults(error)) from None


def commitment(plaintext: bytes, suite: Suite = Suite.INTERNATIONAL) -> str:
    """Commit to a plaintext, as a release of a suite does."""
    return suite.digest(plaintext)


class Told(Protocol):
    """What was told with a release."""

    @property
    def told_with(self) -> tuple[object, ...]:
        """What it shares with its release (`require_of`)."""
        ...


def require_committed(release: Release, plaintext: bytes) -> None:
    """Refuse with `BAD_PROOF` a plaintext that a release does not commit to."""
    if release.answer is None or commitment(plaintext, suite_of(release.answer)) != release.answer:
        raise SafeRoomError(Reason.BAD_PROOF, "not what the release commits to")


def require_of(release: Release, told: Told) -> None:
    """Refuse with `BAD_PROOF` what says that it was told with another release."""
    word = (release.room, release.owner, release.request, release.template)
    if told.told_with != (*word, release.store, release.time):
        raise SafeRoomError(Reason.BAD_PROOF, "it was told with another release")


def require_told(release: Release, plaintext: bytes, subject: str, part: ReportPart) -> OwnerReport:
    """Open a plaintext that a release commits to: about this subject, of this part's columns.

    Raises:
        SafeRoomError: `BAD_PROOF`; `MALFORMED` for what no enclave writes.
    """
    require_committed(release, plaintext)
    told = OwnerReport.from_bytes(plaintext)
    require_of(release, told)
    if told.subject != subject:
        raise SafeRoomError(Reason.BAD_PROOF, "the report is about another subject")
    named = [(each.name, tuple(column.name for column in each.columns)) for each in told.tables]
    if named != [(each.table, each.columns) for each in part.tables]:
        raise SafeRoomError(Reason.BAD_PROOF, "the report tells other columns than were approved")
    return told
