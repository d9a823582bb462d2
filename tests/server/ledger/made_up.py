"""Made-up statements, and entries for them."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Final

from saferoom.ledger.entries import NewEntry
from saferoom.ledger.ledger import Ledger
from saferoom.state.database import Database
from saferoom.state.rows import AnswerRow, RequestRow, Row, StatementRow
from saferoom_proto.dsse import Envelope, sign
from saferoom_proto.entry import commitment, leaf
from saferoom_proto.keys import SigningKey

NOON: Final = datetime(2026, 11, 23, 12, tzinfo=UTC)
ORIGIN: Final = "room.example/log"
KEY: Final = SigningKey.from_seed(bytes(range(32)))


def envelope(number: int, kind: str = "consent") -> Envelope:
    """Make a statement by number; equal numbers give equal ones."""
    payload = b'{"number":%d}' % number
    return sign(f"application/vnd.saferoom.{kind}.v1+json", payload, KEY)


def salt(number: int) -> bytes:
    return hashlib.sha256(b"salt %d" % number).digest()


def consent(number: int, *rows: Row, owners: tuple[str, ...] = ()) -> NewEntry:
    """Make the entry of a statement that enclaves may have to follow."""
    made = envelope(number)
    own = StatementRow("consent", made, owners)
    return NewEntry("consent", made.digest, salt(number), (own, *rows))


def release(number: int) -> NewEntry:
    """Make what a check records: request, release and sealed answer."""
    request, made = envelope(number, "request"), envelope(number, "release")
    rows = (
        StatementRow("release", made),
        RequestRow("bank", request),
        AnswerRow(request.digest, "tax", "bank", made.digest, b"sealed"),
    )
    return NewEntry("release", made.digest, salt(number), rows)


def leaf_of(entry: NewEntry) -> bytes:
    return leaf(commitment(entry.salt, entry.statement_digest))


async def open_ledger(database: Database) -> Ledger:
    """Open a database's ledger under the made-up room's key."""
    return await Ledger.open(database, origin=ORIGIN, key=KEY, clock=lambda: NOON)
