from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, insert, select
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import IntegrityError

from saferoom.state import tables
from saferoom.state.columns import Instant, Signatures, Words
from saferoom.state.database import Database
from saferoom.state.rows import (
    ORDER,
    AnswerRow,
    AskedRow,
    MentionRow,
    OrganisationRow,
    Place,
    PrincipalRevoked,
    PrincipalRow,
    RequestRow,
    Row,
    SaltErased,
    StatementRow,
    UseRow,
)
from saferoom_proto.dsse import Signature, sign
from saferoom_proto.keys import SigningKey
from saferoom_proto.reasons import Reason, SafeRoomError

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
KEY = SigningKey.from_seed(bytes(32))
DIALECT = sqlite.dialect()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database.open(tmp_path / "room.db") as database:
        yield database


def fill(connection: Connection) -> None:
    """Write one row into each table that is append-only."""
    entry = {
        "idx": 0,
        "leaf_hash": bytes(32),
        "commitment": bytes(32),
        "kind": "consent",
        "statement_digest": "sha256:" + "0" * 64,
        "accepted_at": NOON,
    }
    envelope = sign("application/vnd.saferoom.consent.v1+json", b"{}", KEY)
    statement = StatementRow("consent", envelope).values(Place(0, NOON))
    with connection.begin():
        connection.execute(insert(tables.entry), entry)
        connection.execute(insert(tables.node), {"level": 0, "idx": 0, "hash": bytes(32)})
        connection.execute(insert(tables.checkpoint), {"size": 1, "note": "n"})
        connection.execute(insert(tables.statement), statement)
        connection.execute(
            insert(tables.stream),
            {
                "owner": "tax",
                "sequence": 1,
                "statement": 1,
                "running": "sha256:" + "1" * 64,
            },
        )
        for row in (UseRow("tax"), AskedRow("sha256:" + "2" * 64)):
            connection.execute(row.SQL, dict(row.values(Place(0, NOON))))
        mention = MentionRow("consent.subject", "somebody", envelope.digest)
        connection.execute(MentionRow.SQL, dict(mention.values(Place(0, NOON))))


@pytest.mark.parametrize("name", [table.name for table in tables.APPEND_ONLY])
@pytest.mark.parametrize(
    "rewriting",
    [
        "DELETE FROM {table}",
        "UPDATE {table} SET {column} = {column}",
        "INSERT OR REPLACE INTO {table} SELECT * FROM {table}",
        "UPDATE OR REPLACE {table} SET {column} = {column}",
    ],
)
def test_what_is_append_only_refuses(database: Database, name: str, rewriting: str) -> None:
    fill(database.writer)
    column = tables.METADATA.tables[name].columns[0].name
    sql = rewriting.format(table=name, column=column)
    with pytest.raises(IntegrityError, match="append-only"), database.writer.begin():
        database.writer.exec_driver_sql(sql)
    count = database.writer.exec_driver_sql(f"SELECT count(*) FROM {name}").scalar_one()
    assert count == 1


def test_a_salt_may_be_deleted_and_leaves_no_trace_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "room.db"
    salt = os.urandom(32)
    with Database.open(path) as database:
        fill(database.writer)
        with database.writer.begin():
            database.writer.execute(insert(tables.salt), {"entry_idx": 0, "salt": salt})
        raw = sqlite3.connect(path)
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        raw.close()
        assert salt in path.read_bytes()
        with database.writer.begin():
            database.writer.execute(SaltErased.SQL, dict(SaltErased(0).values(Place(1, NOON))))
    assert not (tmp_path / "room.db-wal").exists()
    assert salt not in path.read_bytes()


@pytest.mark.parametrize(
    ("table", "values"),
    [
        ("entry", "(-1, zeroblob(32), zeroblob(32), 'k', 'd', 0)"),
        ("entry", "(0, zeroblob(31), zeroblob(32), 'k', 'd', 0)"),
        ("entry", "(0, zeroblob(32), zeroblob(33), 'k', 'd', 0)"),
        ("entry", "(0, zeroblob(32), zeroblob(32), 'k', NULL, 0)"),
        ("entry", "(0, zeroblob(32), zeroblob(32), 'k', 'd', 'noon')"),
        ("salt", "(0, zeroblob(32))"),  # of no entry
        ("node", "(0, 0, zeroblob(20))"),
        ("node", "(-1, 0, zeroblob(32))"),
        ("stream", "('tax', 1, 7, 'r')"),  # of no statement
        ("answer", "(7, 'tax', 'bank', 7, x'00', 0)"),
        ("answer", "(NULL, 'tax', 'bank', NULL, x'00', 0)"),
        ("statement", "(NULL, 'sha256:00', '01', 'k', 't', x'00', '[]', NULL, 0)"),
        ("request", "(NULL, 'sha256:00', '01', 'bank', 't', x'00', '[]', 0)"),
    ],
)
def test_a_row_that_makes_no_sense_is_refused(database: Database, table: str, values: str) -> None:
    with pytest.raises(IntegrityError), database.writer.begin():
        database.writer.exec_driver_sql(f"INSERT INTO {table} VALUES {values}")
    assert database.writer.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one() == 0


@given(st.datetimes(timezones=st.timezones()))
def test_an_instant_comes_back_as_the_same_instant(instant: datetime) -> None:
    column = Instant()
    kept = column.process_bind_param(instant, DIALECT)
    read = column.process_result_value(kept, DIALECT)
    assert read is not None
    assert read - instant.astimezone(UTC) == timedelta(0)
    assert read.utcoffset() == timedelta(0)


def test_instants_on_disk_are_microseconds_since_1970_utc() -> None:
    beijing = timezone(timedelta(hours=8))
    instant = datetime(1970, 1, 1, 8, 0, 1, 5, tzinfo=beijing)
    assert Instant().process_bind_param(instant, DIALECT) == 1_000_005


def test_an_instant_without_a_time_zone_is_refused() -> None:
    with pytest.raises(SafeRoomError, match="time zone"):
        Instant().process_bind_param(datetime(2026, 1, 1), DIALECT)  # noqa: DTZ001 - what is refused


@given(st.lists(st.text()).map(tuple))
def test_words_come_back(words: tuple[str, ...]) -> None:
    assert (
        Words().process_result_value(Words().process_bind_param(words, DIALECT), DIALECT) == words
    )


def test_signatures_come_back() -> None:
    signatures = (Signature("ed25519:aa", b"\x00" * 64), Signature("ed25519:bb", b"\xff" * 64))
    kept = Signatures().process_bind_param(signatures, DIALECT)
    assert Signatures().process_result_value(kept, DIALECT) == signatures


@pytest.mark.parametrize("column", [Instant(), Words(), Signatures()])
def test_null_is_none(column: Instant | Words | Signatures) -> None:
    assert column.process_bind_param(None, DIALECT) is None
    assert column.process_result_value(None, DIALECT) is None


def write(database: Database, *rows: Row) -> None:
    with database.writer.begin():
        for row in rows:
            database.writer.execute(type(row).SQL, dict(row.values(Place(0, NOON))))


def test_rows_are_written_as_they_are(database: Database) -> None:
    fill(database.writer)
    asked = sign("application/vnd.saferoom.request.v1+json", b'{"a":1}', KEY)
    release = sign("application/vnd.saferoom.release.v1+json", b'{"b":2}', KEY)
    write(
        database,
        StatementRow("release", release),
        RequestRow("bank", asked),
        AnswerRow(asked.digest, "tax", "bank", release.digest, b"sealed"),
        OrganisationRow("bank", "The Bank", "银行", ("institution", "auditor")),
    )
    with database.read() as reading:
        released = reading.execute(
            select(tables.statement).where(tables.statement.c.digest == release.digest)
        ).one()
        requested = reading.execute(select(tables.request)).one()
        answered = reading.execute(select(tables.answer)).one()
        enrolled = reading.execute(select(tables.organisation)).one()
    assert (released.kind, released.payload, released.entry_idx) == ("release", b'{"b":2}', 0)
    assert released.signatures == release.signatures
    assert released.accepted_at == NOON
    assert (requested.request_id, requested.payload) == (asked.digest, b'{"a":1}')
    assert requested.payload_type == "application/vnd.saferoom.request.v1+json"
    assert answered == (requested.number, "tax", "bank", released.number, b"sealed", 0)
    assert enrolled == ("bank", "The Bank", "银行", ("institution", "auditor"), NOON)


def test_of_equal_requests_the_first_is_kept(database: Database) -> None:
    asked = sign("application/vnd.saferoom.request.v1+json", b"{}", KEY)
    again = sign("application/vnd.saferoom.request.v1+json", b"{}", SigningKey.generate())
    assert again.digest == asked.digest
    write(database, RequestRow("bank", asked), RequestRow("bank", again))
    with database.read() as reading:
        assert reading.execute(select(tables.request)).one().signatures == asked.signatures


def test_a_revoked_principal_stays_revoked_since_the_first_time(database: Database) -> None:
    fingerprint = "sha256:" + "a" * 64
    write(database, PrincipalRow(fingerprint, "bank", "desk-1", ("institution",), "PEM"))
    for hours in (1, 2):
        place = Place(None, NOON + timedelta(hours=hours))
        with database.writer.begin():
            database.writer.execute(
                PrincipalRevoked.SQL, dict(PrincipalRevoked(fingerprint).values(place))
            )
    with database.read() as reading:
        principal = reading.execute(select(tables.principal)).one()
    assert principal.enrolled_at == NOON
    assert principal.revoked_at == NOON + timedelta(hours=1)


def test_the_order_of_writing_names_every_kind_of_row() -> None:
    assert set(ORDER) == set(Row.__args__)


@pytest.mark.parametrize(
    "make",
    [
        lambda: AnswerRow("sha256:zz", "tax", "bank", "sha256:" + "0" * 64, b""),
        lambda: AnswerRow("sha256:" + "0" * 64, "tax", "bank", "md5:00", b""),
        lambda: PrincipalRow("aa", "bank", "desk", (), "PEM"),
        lambda: PrincipalRevoked(""),
    ],
)
def test_a_row_with_something_else_than_a_digest_is_refused(make: Callable[[], Row]) -> None:
    with pytest.raises(SafeRoomError) as refusal:
        make()
    assert refusal.value.reason is Reason.MALFORMED
