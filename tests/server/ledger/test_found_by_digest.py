from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, bindparam, create_engine, event, select
from sqlalchemy.exc import IntegrityError

from saferoom.archive import NEWEST, Archive
from saferoom.mentions import About
from saferoom.state import tables
from saferoom.state.database import Database
from saferoom.state.digests import first_digits, has_digest
from saferoom.state.upgrade import upgrade
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.suite import Suite
from tests.server.ledger.made_up import consent, envelope, open_ledger, release

SIZE = 8
FORMER = Path(__file__).parent / "room_of_v0006.sql"
"""A room's database as the version before this one left it: four consents in two streams, each with
its subject; three releases with their questions and answers; a refusal that the room only knows the
digest of, on a question that it never kept."""


@pytest.fixture
def former(path: Path) -> Path:
    with closing(sqlite3.connect(path)) as raw:
        raw.executescript(FORMER.read_text("utf-8"))
    return path


async def test_a_room_of_before_opens_and_nothing_of_it_is_lost(former: Path) -> None:
    with closing(sqlite3.connect(former)) as raw:
        (head,) = raw.execute("SELECT note FROM checkpoint ORDER BY size DESC LIMIT 1").fetchone()
    with Database.open(former) as database:
        async with await open_ledger(database) as ledger:  # recomputes all of it
            assert (ledger.tip().size, ledger.checkpoint()) == (SIZE, head)
            made = [envelope(number) for number in range(4)]
            made += [envelope(number, "release") for number in range(4, 7)]
            assert [each.statement for each in ledger.entries(0, SIZE)] == [*made, None]
            assert [ledger.index_of(each.digest) for each in made] == list(range(7))
        secure: object = database.writer.exec_driver_sql("PRAGMA secure_delete").scalar_one()
        assert secure == 1


async def test_what_was_found_in_a_room_of_before_is_found_in_it_now(former: Path) -> None:
    with Database.open(former) as database:
        archive = Archive(database)
        found = await archive.find(envelope(2).digest)
        assert found is not None
        assert (found.envelope, found.position.index) == (envelope(2), 2)
        assert archive.statement(envelope(5, "release").digest) == envelope(5, "release")
        (consented,) = await archive.about(About.CONSENTS_OF_SUBJECT, "919900000000000003")
        assert consented.envelope == envelope(3)
        followed = [each.envelope for each in await archive.stream("tax", 0, 99, 99)]
        assert followed == [envelope(number) for number in range(4)]
        followed = [each.envelope for each in await archive.stream("court", 1, 99, 99)]
        assert followed == [envelope(3)]
        (answer,) = await archive.answers(envelope(4, "request").digest)
        assert (answer.owner, answer.sealed) == ("tax", b"sealed")
        assert answer.release.envelope == envelope(4, "release")
        for whom in ("tax", "919900000000000003"):
            used = await archive.uses(whom, NEWEST, 99)
            assert [each.word.envelope for each in used] == [
                envelope(number, "release") for number in (6, 5, 4)
            ]
            assert [each.request for each in used] == [
                envelope(number, "request") for number in (6, 5, 4)
            ]
        assert await archive.is_use_of("tax", 7)


async def test_a_room_of_before_goes_on_and_takes_nothing_twice(former: Path) -> None:
    with Database.open(former) as database:
        async with await open_ledger(database) as ledger:
            for again in (consent(0), release(5)):
                with pytest.raises(SafeRoomError) as refusal:
                    await ledger.append(again)
                assert refusal.value.reason is Reason.CONFLICT
            assert (await ledger.append(release(9))).index == SIZE
            assert (await ledger.append(consent(9, owners=("tax",)))).index == SIZE + 1
            assert ledger.tip().stream("tax").sequence == 5
    with Database.open(former) as database:
        async with await open_ledger(database) as ledger:
            assert ledger.tip().size == SIZE + 2


def test_a_disk_too_full_for_the_new_form_leaves_the_room_as_it_was(former: Path) -> None:
    engine = create_engine(f"sqlite:///{former}", connect_args={"isolation_level": None})

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    with engine.connect() as connection:
        pages: object = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        connection.rollback()
        with pytest.raises(SafeRoomError, match="is as it was") as refusal:
            upgrade(connection, former)
    engine.dispose()
    assert refusal.value.reason is Reason.UNAVAILABLE
    with closing(sqlite3.connect(former)) as raw:
        assert "\n".join(raw.iterdump()) + "\n" == FORMER.read_text("utf-8")


ALIKE = [f"sha256:{'0' * 12}{last:052}" for last in range(3)]
STATEMENT = "INSERT INTO statement VALUES (NULL, ?, ?, 'k', 't', x'00', '[]', NULL, 0)"
REQUEST = "INSERT INTO request VALUES (NULL, ?, ?, 'bank', 't', x'00', '[]', 0)"


def test_statements_whose_digests_begin_alike_are_told_apart(database: Database) -> None:
    query = select(tables.statement.c.digest).where(
        has_digest(tables.statement, bindparam("digest"))
    )
    with database.writer.begin():
        for digest in ALIKE[:2]:
            database.writer.exec_driver_sql(STATEMENT, (digest, first_digits(digest)))
    with database.read() as reading:
        found = [reading.execute(query, {"digest": each}).scalar_one_or_none() for each in ALIKE]
    assert found == [*ALIKE[:2], None]
    twice = (ALIKE[1], first_digits(ALIKE[1]))
    with pytest.raises(IntegrityError, match="its digest stands there"), database.writer.begin():
        database.writer.exec_driver_sql(STATEMENT, twice)


def test_of_requests_that_begin_alike_each_is_kept_once(database: Database) -> None:
    with database.writer.begin():
        for digest in (*ALIKE, *ALIKE):
            database.writer.exec_driver_sql(REQUEST, (digest, first_digits(digest)))
    with database.read() as reading:
        assert reading.execute(select(tables.request.c.request_id)).scalars().all() == ALIKE


@given(st.sampled_from(Suite), st.binary())
def test_python_and_sqlite_find_by_the_same_digits(suite: Suite, data: bytes) -> None:
    digest = suite.digest(data)
    with closing(sqlite3.connect(":memory:")) as raw:
        found = raw.execute("SELECT substr(?, -64, 12)", (digest,)).fetchone()
    assert found == (first_digits(digest),)
    assert digest.split(":")[1].startswith(first_digits(digest))
