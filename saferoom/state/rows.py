"""What is written beside a ledger entry, in its transaction: one value for each kind of row.

Each class names the SQL that writes it and gives that SQL's parameters once the entry has its
place. Rows of one class are written together, so the classes stand in the order in which their
foreign keys allow them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Final

from sqlalchemy import bindparam, delete, insert, update
from sqlalchemy.dialects import sqlite
from sqlalchemy.sql.dml import UpdateBase

from saferoom.state import tables
from saferoom.state.digests import first_digits, number_of
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import check_digest


@dataclass(frozen=True, slots=True)
class Place:
    """Where and when a row is written.

    Attributes:
        entry_idx: index of the ledger entry that the row belongs to; None without one.
        accepted_at: the instant of the commit.
    """

    entry_idx: int | None
    accepted_at: datetime


@dataclass(frozen=True, slots=True)
class StatementRow:
    """A signed statement.

    Attributes:
        kind: what it says, one of the contract's kinds of statement.
        envelope: its bytes and signatures, as they came.
        owners: whose enclaves must follow it; each one's stream gets it as its next statement.
    """

    SQL: ClassVar[UpdateBase] = insert(tables.statement)

    kind: str
    envelope: Envelope
    owners: tuple[str, ...] = ()

    def values(self, place: Place) -> Mapping[str, object]:
        """Give the row's columns."""
        return {
            "number": None,  # SQLite gives it the next
            "digest": self.envelope.digest,
            "found_by": first_digits(self.envelope.digest),
            "kind": self.kind,
            "payload_type": self.envelope.media_type,
            "payload": self.envelope.payload,
            "signatures": self.envelope.signatures,
            "entry_idx": place.entry_idx,
            "accepted_at": place.accepted_at,
        }


@dataclass(frozen=True, slots=True)
class MentionRow:
    """A value of a statement's field, by which the statement is found.

    Attributes:
        what: the kind of statement and the name of the field.
        value: what stands there.
        statement_digest: of the statement, whose own row stands beside it.
    """

    SQL: ClassVar[UpdateBase] = insert(tables.mention).values(
        what=bindparam("about"),
        value=bindparam("named"),
        statement=number_of(tables.statement, "statement_digest"),
    )

    what: str
    value: str
    statement_digest: str

    def __post_init__(self) -> None:
        check_digest(self.statement_digest)

    def values(self, place: Place) -> Mapping[str, object]:  # noqa: ARG002 - as the others
        """Give the row's columns."""
        return {
            "about": self.what,
            "named": self.value,
            "statement_digest": self.statement_digest,
        }


@dataclass(frozen=True, slots=True)
class RequestRow:
    """A signed request, by the digest of its signed bytes; the first of equal ones is kept."""

    # A trigger leaves out what stands there already (`request_once`).
    SQL: ClassVar[UpdateBase] = insert(tables.request)

    institution: str
    envelope: Envelope

    def values(self, place: Place) -> Mapping[str, object]:
        """Give the row's columns."""
        return {
            "number": None,  # SQLite gives it the next
            "request_id": self.envelope.digest,
            "found_by": first_digits(self.envelope.digest),
            "institution": self.institution,
            "payload_type": self.envelope.media_type,
            "payload": self.envelope.payload,
            "signatures": self.envelope.signatures,
            "accepted_at": place.accepted_at,
        }


@dataclass(frozen=True, slots=True)
class AnswerRow:
    """One owner's word on a request, with the answer sealed to the asker (empty for a refusal).

    Its request, and the release as a statement, stand in rows of the same or an earlier entry.

    Attributes:
        entry_idx: the release's entry, if that was written earlier; None for the entry that the
            row is written with.
    """

    SQL: ClassVar[UpdateBase] = insert(tables.answer).values(
        request=number_of(tables.request, "request_id"),
        owner=bindparam("answers"),
        institution=bindparam("asks"),
        release=number_of(tables.statement, "release_digest"),
        sealed=bindparam("sealed_answer"),
        entry_idx=bindparam("stands_at"),
    )

    request_id: str
    owner: str
    institution: str
    release_digest: str
    sealed: bytes
    entry_idx: int | None = None

    def __post_init__(self) -> None:
        check_digest(self.request_id)
        check_digest(self.release_digest)

    def values(self, place: Place) -> Mapping[str, object]:
        """Give the row's columns."""
        return {
            "request_id": self.request_id,
            "answers": self.owner,
            "asks": self.institution,
            "release_digest": self.release_digest,
            "sealed_answer": self.sealed,
            "stands_at": place.entry_idx if self.entry_idx is None else self.entry_idx,
        }


@dataclass(frozen=True, slots=True)
class UseRow:
    """Whom a word on a question concerns; what stands there already stays.

    Attributes:
        whom: the subject's code, or the owner's name.
        entry_idx: the word's entry, if that was written earlier; None for the entry that the row
            is written with.
    """

    SQL: ClassVar[UpdateBase] = sqlite.insert(tables.use).on_conflict_do_nothing()

    whom: str
    entry_idx: int | None = None

    def values(self, place: Place) -> Mapping[str, object]:
        """Give the row's columns."""
        return {
            "whom": self.whom,
            "entry_idx": place.entry_idx if self.entry_idx is None else self.entry_idx,
        }


@dataclass(frozen=True, slots=True)
class AskedRow:
    """The question that a word is on; what stands there already stays.

    Attributes:
        request_id: the question.
        entry_idx: as of `UseRow`.
    """

    SQL: ClassVar[UpdateBase] = sqlite.insert(tables.asked).on_conflict_do_nothing()

    request_id: str
    entry_idx: int | None = None

    def __post_init__(self) -> None:
        check_digest(self.request_id)

    def values(self, place: Place) -> Mapping[str, object]:
        """Give the row's columns."""
        return {
            "entry_idx": place.entry_idx if self.entry_idx is None else self.entry_idx,
            "request_id": self.request_id,
        }


@dataclass(frozen=True, slots=True)
class OrganisationRow:
    """An organisation of the room."""

    SQL: ClassVar[UpdateBase] = insert(tables.organisation)

    name: str
    title_en: str
    title_zh: str
    roles: tuple[str, ...]

    def values(self, place: Place) -> Mapping[str, object]:
        """Give the row's columns."""
        return {
            "name": self.name,
            "title_en": self.title_en,
            "title_zh": self.title_zh,
            "roles": self.roles,
            "enrolled_at": place.accepted_at,
        }


@dataclass(frozen=True, slots=True)
class OrganisationRoles:
    """An organisation's roles from now on; none, once it is revoked."""

    SQL: ClassVar[UpdateBase] = (
        update(tables.organisation)
        .where(tables.organisation.c.name == bindparam("changed"))
        .values(roles=bindparam("given"))
    )

    name: str
    roles: tuple[str, ...]

    def values(self, place: Place) -> Mapping[str, object]:  # noqa: ARG002 - as the others
        """Give the parameters."""
        return {"changed": self.name, "given": self.roles}


@dataclass(frozen=True, slots=True)
class PrincipalRow:
    """Somebody who may call, by certificate (PEM)."""

    SQL: ClassVar[UpdateBase] = insert(tables.principal)

    fingerprint: str
    organisation: str
    name: str
    roles: tuple[str, ...]
    certificate: str

    def __post_init__(self) -> None:
        check_digest(self.fingerprint)

    def values(self, place: Place) -> Mapping[str, object]:
        """Give the row's columns."""
        return {
            "fingerprint": self.fingerprint,
            "organisation": self.organisation,
            "name": self.name,
            "roles": self.roles,
            "certificate": self.certificate,
            "enrolled_at": place.accepted_at,
            "revoked_at": None,
        }


@dataclass(frozen=True, slots=True)
class PrincipalRevoked:
    """A principal's certificate counts no more; the first revocation's instant stays.

    Nothing is written for a certificate that nobody enrolled: who enrols one looks for its
    revocation among the statements.
    """

    SQL: ClassVar[UpdateBase] = (
        update(tables.principal)
        .where(tables.principal.c.fingerprint == bindparam("revoked"))
        .where(tables.principal.c.revoked_at.is_(None))
        .values(revoked_at=bindparam("accepted_at"))
    )

    fingerprint: str

    def __post_init__(self) -> None:
        check_digest(self.fingerprint)

    def values(self, place: Place) -> Mapping[str, object]:
        """Give the parameters."""
        return {"revoked": self.fingerprint, "accepted_at": place.accepted_at}


@dataclass(frozen=True, slots=True)
class FederationRow:
    """What happened in a federated training: a bank's message, or that a step was closed."""

    SQL: ClassVar[UpdateBase] = insert(tables.federation_message)

    federation: str
    number: int
    what: bytes

    def values(self, place: Place) -> Mapping[str, object]:  # noqa: ARG002 - as the others
        """Give the row's columns."""
        return {"federation": self.federation, "number": self.number, "what": self.what}


@dataclass(frozen=True, slots=True)
class FederationForgotten:
    """A training is over: nobody asks for anything of it again but how it ended, which stays."""

    SQL: ClassVar[UpdateBase] = (
        delete(tables.federation_message)
        .where(tables.federation_message.c.federation == bindparam("over"))
        .where(tables.federation_message.c.number < bindparam("before"))
    )

    federation: str
    before: int = 2**31 - 1

    def values(self, place: Place) -> Mapping[str, object]:  # noqa: ARG002 - as the others
        """Give the parameters."""
        return {"over": self.federation, "before": self.before}


@dataclass(frozen=True, slots=True)
class SaltErased:
    """An earlier entry's salt goes: from then on nobody can tell what the entry commits to.

    SQLite overwrites the salt in the file, and the log ahead of it when it is next reused or
    closed. Copies of the file are their keepers' to erase.
    """

    SQL: ClassVar[UpdateBase] = delete(tables.salt).where(
        tables.salt.c.entry_idx == bindparam("erased")
    )

    entry_idx: int

    def values(self, place: Place) -> Mapping[str, object]:  # noqa: ARG002 - as the others
        """Give the parameters."""
        return {"erased": self.entry_idx}


Row = (
    StatementRow
    | MentionRow
    | RequestRow
    | AnswerRow
    | UseRow
    | AskedRow
    | OrganisationRow
    | OrganisationRoles
    | PrincipalRow
    | PrincipalRevoked
    | FederationRow
    | FederationForgotten
    | SaltErased
)

ORDER: Final[tuple[type[Row], ...]] = (
    StatementRow,
    MentionRow,
    RequestRow,
    AnswerRow,
    UseRow,
    AskedRow,
    OrganisationRow,
    OrganisationRoles,
    PrincipalRow,
    PrincipalRevoked,
    FederationRow,
    FederationForgotten,
    SaltErased,
)
"""The order of writing within a transaction."""
