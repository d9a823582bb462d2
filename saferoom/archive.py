"""What the database holds, read in threads so that no call waits for another's disk.

Nothing here writes: statements, requests and answers come in through the ledger (`notary.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, cast

from sqlalchemy import Row, Select, bindparam, exists, func, or_, select

from saferoom.evidence import Role
from saferoom.ledger.entries import Position
from saferoom.mentions import About
from saferoom.register import Organisation
from saferoom.state import tables
from saferoom.state.columns import Signatures
from saferoom.state.database import Database
from saferoom.state.digests import first_digits, has_digest, number_of
from saferoom_proto.dsse import Envelope
from saferoom_proto.statements import Dispute


@dataclass(frozen=True, slots=True)
class Found:
    """A statement in the ledger, as it can be proven: under its own commit's checkpoint."""

    kind: str
    envelope: Envelope
    salt: bytes
    position: Position


@dataclass(frozen=True, slots=True)
class Principal:
    """A member's certificate, PEM, as it called first."""

    fingerprint: str
    organisation: str
    name: str
    certificate: str
    first_seen: datetime


@dataclass(frozen=True, slots=True)
class FoundAnswer:
    """One owner's word on a request, and the answer sealed to the asker."""

    owner: str
    institution: str
    sealed: bytes
    release: Found


@dataclass(frozen=True, slots=True)
class FoundUse:
    """A word on a question, and the question as far as the room has it."""

    word: Found
    request: Envelope | None


@dataclass(frozen=True, slots=True)
class StreamItem:
    """A statement's place in an owner's stream, and the running hash with it."""

    sequence: int
    running: str
    envelope: Envelope


MOST: Final = 1000
"""Statements found at once by a field: some MB on the wire."""

_STATEMENT: Final = tables.statement.c
_LATER: Final = tables.checkpoint.alias("later")
_CHECKPOINT_SIZE: Final = (
    select(func.min(_LATER.c.size))
    .where(_LATER.c.size > _STATEMENT.entry_idx)
    .correlate(tables.statement)
    .scalar_subquery()
)
"""Every commit has its own checkpoint, so an entry's is the first that covers it."""
_FOUND: Final = (
    select(
        _STATEMENT.kind,
        _STATEMENT.payload_type,
        _STATEMENT.payload,
        _STATEMENT.signatures,
        _STATEMENT.entry_idx,
        tables.salt.c.salt,
        tables.checkpoint.c.size,
        tables.checkpoint.c.note,
    )
    .outerjoin(tables.salt, tables.salt.c.entry_idx == _STATEMENT.entry_idx)
    .join(tables.checkpoint, tables.checkpoint.c.size == _CHECKPOINT_SIZE)
)
_BY_DIGEST: Final = _FOUND.where(has_digest(tables.statement, bindparam("digest")))
NEWEST: Final = (1 << 63) - 1
"""Past every entry: the largest number that SQLite holds."""
_MENTIONED: Final = (
    _FOUND.join(tables.mention, tables.mention.c.statement == _STATEMENT.number)
    .where(tables.mention.c.what == bindparam("what"))
    .where(tables.mention.c.value.in_(bindparam("values", expanding=True)))
    .where(_STATEMENT.entry_idx < bindparam("before"))
)
_OTHER: Final = tables.mention.alias("other")
_MENTIONED_BOTH: Final = (
    select(_STATEMENT.payload_type, _STATEMENT.payload, _STATEMENT.signatures)
    .join(tables.mention, tables.mention.c.statement == _STATEMENT.number)
    .join(_OTHER, _OTHER.c.statement == _STATEMENT.number)
    .where(tables.mention.c.what == bindparam("what"))
    .where(tables.mention.c.value == bindparam("value"))
    .where(_OTHER.c.what == bindparam("other_what"))
    .where(_OTHER.c.value == bindparam("other_value"))
    .order_by(_STATEMENT.entry_idx.desc())
    .limit(MOST)
)
_ENDED: Final = tables.mention.alias("ended")
_CLOSED: Final = exists().where(
    _ENDED.c.what == About.DISPUTES_CLOSED, _ENDED.c.value == _STATEMENT.digest
)
_WITHDRAWN: Final = exists().where(
    _ENDED.c.what == About.DISPUTES_WITHDRAWN, _ENDED.c.value == _STATEMENT.digest
)
_STANDING: Final = (
    select(_STATEMENT.digest)
    .join(tables.mention, tables.mention.c.statement == _STATEMENT.number)
    .join(_OTHER, _OTHER.c.statement == _STATEMENT.number)
    .where(tables.mention.c.what == About.DISPUTES_OF_SUBJECT)
    .where(tables.mention.c.value == bindparam("subject"))
    .where(_OTHER.c.what == About.DISPUTES_TO_OWNER, _OTHER.c.value == bindparam("owner"))
    .where(_STATEMENT.kind == Dispute.KIND, ~_CLOSED)
    .where(or_(~_WITHDRAWN, _STATEMENT.accepted_at > bindparam("since")))
)
_FEDERATION: Final = (
    select(tables.federation_message.c.what)
    .where(tables.federation_message.c.federation == bindparam("federation"))
    .order_by(tables.federation_message.c.number)
)
_FEDERATIONS: Final = select(tables.federation_message.c.federation).distinct()
_ANSWERS: Final = (
    _FOUND.add_columns(tables.answer.c.owner, tables.answer.c.institution, tables.answer.c.sealed)
    .join(tables.answer, tables.answer.c.release == _STATEMENT.number)
    .where(tables.answer.c.request == number_of(tables.request, "request_id"))
)
_USES: Final = (
    _FOUND.add_columns(
        tables.request.c.payload_type.label("asked_type"),
        tables.request.c.payload.label("asked"),
        tables.request.c.signatures.label("asked_signatures"),
    )
    .join(tables.entry, has_digest(tables.statement, tables.entry.c.statement_digest))
    .join(tables.use, tables.use.c.entry_idx == tables.entry.c.idx)
    .join(tables.asked, tables.asked.c.entry_idx == tables.entry.c.idx)
    .outerjoin(tables.request, has_digest(tables.request, tables.asked.c.request_id))
    .where(tables.use.c.whom == bindparam("whom"))
    .where(tables.use.c.entry_idx < bindparam("before"))
    .order_by(tables.use.c.entry_idx.desc())
    .limit(bindparam("most"))
)
_CONCERNS: Final = (
    select(tables.use.c.entry_idx)
    .where(tables.use.c.whom == bindparam("whom"))
    .where(tables.use.c.entry_idx == bindparam("entry_idx"))
)
_OF_KINDS: Final = (
    select(_STATEMENT.payload_type, _STATEMENT.payload, _STATEMENT.signatures)
    .where(_STATEMENT.kind.in_(bindparam("kinds", expanding=True)))
    .order_by(_STATEMENT.entry_idx)
)
_NEWEST: Final = (
    select(tables.entry.c.idx, _STATEMENT.payload_type, _STATEMENT.payload, _STATEMENT.signatures)
    .join_from(
        tables.entry,
        tables.statement,
        has_digest(tables.statement, tables.entry.c.statement_digest),
    )
    .where(tables.entry.c.kind.in_(bindparam("kinds", expanding=True)))
    .where(tables.entry.c.idx < bindparam("before"))
    .order_by(tables.entry.c.idx.desc())
    .limit(MOST)
)
_STREAM: Final = (
    select(
        tables.stream.c.sequence,
        tables.stream.c.running,
        _STATEMENT.payload_type,
        _STATEMENT.payload,
        _STATEMENT.signatures,
    )
    .join(tables.statement, _STATEMENT.number == tables.stream.c.statement)
    .where(tables.stream.c.owner == bindparam("owner"))
    .where(tables.stream.c.sequence > bindparam("after"))
    .where(tables.stream.c.sequence <= bindparam("up_to"))
    .order_by(tables.stream.c.sequence)
    .limit(bindparam("most"))
)

_LOOKUP: Final = (
    "SELECT payload_type, payload, signatures FROM statement WHERE found_by = ? AND digest = ?"
)


class Archive:
    """Reads the server's database."""

    def __init__(self, database: Database) -> None:
        self._database: Final = database

    async def of_kinds(self, kinds: Sequence[str]) -> tuple[Envelope, ...]:
        """Give all statements of some kinds in the order in which they were recorded."""
        rows = await self._rows(_OF_KINDS, kinds=list(kinds))
        return tuple(_envelope(row) for row in rows)

    async def newest(self, kinds: Sequence[str], before: int) -> Mapping[int, Envelope]:
        """Give the newest statements of some kinds before an entry, by their entries."""
        rows = await self._rows(_NEWEST, kinds=list(kinds), before=before)
        return {row.idx: _envelope(row) for row in rows}

    async def organisations(self) -> tuple[Organisation, ...]:
        """Give all organisations."""
        return tuple(
            Organisation(
                row.name, row.title_en, row.title_zh, frozenset(Role(role) for role in row.roles)
            )
            for row in await self._rows(select(tables.organisation))
        )

    async def principals(self) -> tuple[Principal, ...]:
        """Give the certificates on the roll, in order of organisation, name and time."""
        by = tables.principal.c
        rows = await self._rows(
            select(tables.principal).order_by(by.organisation, by.name, by.enrolled_at)
        )
        return tuple(
            Principal(row.fingerprint, row.organisation, row.name, row.certificate, row.enrolled_at)
            for row in rows
        )

    def statement(self, digest: str) -> Envelope | None:
        """Give a statement by its digest, without its proof; none if the ledger holds none.

        In the caller's own thread: it takes 20 microseconds from the cache, and a check that
        changes threads for it ten times that.
        """
        found = cast(
            "tuple[str, bytes, str] | None",
            self._database.lookups.execute(_LOOKUP, (first_digits(digest), digest)).fetchone(),
        )
        if found is None:
            return None
        payload_type, payload, signatures = found
        return Envelope.read(payload_type, payload, Signatures().read(signatures))

    async def find(self, digest: str) -> Found | None:
        """Find a statement by its digest; none if the ledger holds none."""
        rows = await self._rows(_BY_DIGEST, digest=digest)
        return _found(rows[0]) if rows else None

    async def about(
        self, about: About, *values: str, most: int = MOST, before: int = NEWEST
    ) -> tuple[Found, ...]:
        """Find the newest statements with one of some values in a field, in their order.

        Args:
            about: the field.
            values: of it.
            most: how many at most.
            before: an entry of the log: only those before it.
        """
        query = _MENTIONED.order_by(_STATEMENT.entry_idx.desc()).limit(most)
        rows = await self._rows(query, what=about, values=values, before=before)
        return tuple(_found(row) for row in reversed(rows))

    async def about_both(
        self, one: tuple[About, str], other: tuple[About, str]
    ) -> tuple[Envelope, ...]:
        """Find the newest statements with each of two values in its field, the newest first."""
        (what, value), (other_what, other_value) = one, other
        named = {"other_what": other_what, "other_value": other_value}
        rows = await self._rows(_MENTIONED_BOTH, what=what, value=value, **named)
        return tuple(_envelope(row) for row in rows)

    async def standing_disputes(self, subject: str, owner: str, since: datetime) -> int:
        """Count a subject's disputes with an owner: those open, or opened since and taken back."""
        return len(await self._rows(_STANDING, subject=subject, owner=owner, since=since))

    async def federations_kept(self) -> tuple[str, ...]:
        """Give the federations of whose training something is kept."""
        return tuple(row.federation for row in await self._rows(_FEDERATIONS))

    async def federation_messages(self, federation: str) -> tuple[bytes, ...]:
        """Find what happened in a federated training, in order."""
        return tuple(row.what for row in await self._rows(_FEDERATION, federation=federation))

    async def answers(self, request_id: str) -> tuple[FoundAnswer, ...]:
        """Find the recorded answers to a request, in order of the owners' names."""
        found = [
            FoundAnswer(row.owner, row.institution, row.sealed, _found(row))
            for row in await self._rows(_ANSWERS, request_id=request_id)
        ]
        return tuple(sorted(found, key=lambda answer: answer.owner))

    async def uses(self, whom: str, before: int, most: int) -> tuple[FoundUse, ...]:
        """Find the uses that concern a subject or an owner before an entry, the newest first."""
        return tuple(
            FoundUse(_found(row), _asked(row))
            for row in await self._rows(_USES, whom=whom, before=before, most=most)
        )

    async def is_use_of(self, whom: str, entry_idx: int) -> bool:
        """Tell whether an entry is a use that concerns a subject or an owner."""
        return bool(await self._rows(_CONCERNS, whom=whom, entry_idx=entry_idx))

    async def stream(self, owner: str, after: int, up_to: int, most: int) -> tuple[StreamItem, ...]:
        """Give an owner's next statements: after one place, up to another, at most so many."""
        rows = await self._rows(_STREAM, owner=owner, after=after, up_to=up_to, most=most)
        return tuple(StreamItem(row.sequence, row.running, _envelope(row)) for row in rows)

    async def _rows(
        self, query: Select[*tuple[object, ...]], **values: object
    ) -> Sequence[Row[*tuple[object, ...]]]:
        def read() -> Sequence[Row[*tuple[object, ...]]]:
            with self._database.read() as connection:
                return connection.execute(query, values).all()

        return await asyncio.to_thread(read)


def _envelope(row: Row[*tuple[object, ...]]) -> Envelope:
    return Envelope.read(row.payload_type, row.payload, row.signatures)


def _asked(row: Row[*tuple[object, ...]]) -> Envelope | None:
    if row.asked is None:
        return None
    return Envelope.read(row.asked_type, row.asked, row.asked_signatures)


def _found(row: Row[*tuple[object, ...]]) -> Found:
    position = Position(row.entry_idx, row.size, row.note)
    return Found(row.kind, _envelope(row), row.salt or b"", position)
