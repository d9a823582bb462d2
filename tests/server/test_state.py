from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection, Engine, create_engine, insert, select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import StaticPool

from saferoom.state import tables
from saferoom.state.database import Database, newest_revision
from saferoom_proto.reasons import Reason, SafeRoomError


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database.open(tmp_path / "room.db") as database:
        yield database


def schema(connection: Connection) -> dict[str, object]:
    """Describe all tables as SQLite itself understands them, Alembic's own left out."""

    def rows(pragma: str) -> list[tuple[object, ...]]:
        return [tuple(row) for row in connection.exec_driver_sql(pragma)]

    described: dict[str, object] = {}
    for _, name, _, _, without_rowid, strict in rows("PRAGMA main.table_list"):
        if str(name).startswith("sqlite_") or name == "alembic_version":
            continue
        sql = connection.exec_driver_sql(
            "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?", (name,)
        ).scalar_one()
        described[str(name)] = {
            "options": (without_rowid, strict),
            "columns": rows(f"PRAGMA table_xinfo({name})"),
            "foreign keys": rows(f"PRAGMA foreign_key_list({name})"),
            "indexes": {
                index[1:]: rows(f"PRAGMA index_xinfo({index[1]})")
                for index in rows(f"PRAGMA index_list({name})")
            },
            "checks": sorted(
                line.strip(" \t,") for line in str(sql).splitlines() if "CHECK" in line
            ),
        }
    return described


def test_the_migrations_make_exactly_the_tables_of_the_metadata(database: Database) -> None:
    with database.read() as migrated:
        context = MigrationContext.configure(migrated, opts={"compare_type": True})
        assert compare_metadata(context, tables.METADATA) == []
        engine = create_engine("sqlite://", poolclass=StaticPool)
        with engine.connect() as declared:
            tables.METADATA.create_all(declared)
            assert schema(migrated) == schema(declared)
        engine.dispose()


def test_every_migration_is_in_the_package() -> None:
    folder = Path(str(tables.__file__)).parent / "migrations"
    assert (folder / "env.py").is_file()
    assert list((folder / "versions").glob("v0001_*.py"))


def test_the_newest_migration_is_known_by_its_files_name(database: Database) -> None:
    context = MigrationContext.configure(database.writer)
    with database.writer.begin():
        assert newest_revision() == context.get_current_revision()


def test_a_database_that_is_up_to_date_needs_no_migrations(tmp_path: Path) -> None:
    with Database.open(tmp_path / "state.db"):
        pass
    again = f"""
import sys
from pathlib import Path
from saferoom.state.database import Database, newest_revision
Database.open(Path({str(tmp_path / "state.db")!r})).close()
sys.exit("alembic" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", again], check=False).returncode == 0


def test_opening_again_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "room.db"
    with Database.open(path) as first, first.writer.begin():
        first.writer.execute(insert(tables.checkpoint), {"size": 0, "note": "kept"})
    with Database.open(path) as second, second.read() as reading:
        assert reading.execute(select(tables.checkpoint)).all() == [(0, "kept")]


def test_a_commit_waits_for_the_disk(database: Database) -> None:
    pragmas = {
        name: database.writer.exec_driver_sql(f"PRAGMA {name}").scalar_one()
        for name in ("journal_mode", "synchronous", "foreign_keys", "recursive_triggers")
    }
    full = 2
    assert pragmas == {
        "journal_mode": "wal",
        "synchronous": full,
        "foreign_keys": 1,
        "recursive_triggers": 1,
    }
    assert database.writer.exec_driver_sql("PRAGMA busy_timeout").scalar_one() >= 1000


def test_nobody_else_may_read_the_files(tmp_path: Path) -> None:
    with Database.open(tmp_path / "room.db") as database, database.writer.begin():
        database.writer.execute(insert(tables.checkpoint), {"size": 0, "note": "n"})
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == dict.fromkeys(
        ("room.db", "room.db-shm", "room.db-wal", "room.db.lock"), stat.S_IRUSR | stat.S_IWUSR
    )


def test_a_path_with_special_characters_is_a_path(tmp_path: Path) -> None:
    path = tmp_path / "a room?mode=memory#1%41.db"
    with Database.open(path), sqlite3.connect(path) as raw:
        assert len(raw.execute("SELECT version_num FROM alembic_version").fetchall()) == 1
    raw.close()


def test_a_second_writer_is_refused(tmp_path: Path, database: Database) -> None:
    with pytest.raises(SafeRoomError) as refusal:
        Database.open(database.path)
    assert refusal.value.reason is Reason.BAD_CONFIG
    assert "another process writes" in refusal.value.detail


def test_a_second_process_is_refused_until_the_first_has_closed(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from saferoom.state.database import Database; "
        "Database.open(Path(sys.argv[1])).close()"
    )
    argv = [sys.executable, "-c", program, str(tmp_path / "room.db")]
    with Database.open(tmp_path / "room.db"):
        beaten = subprocess.run(argv, capture_output=True, check=False, text=True)
    assert beaten.returncode == 1
    assert "another process writes" in beaten.stderr
    assert subprocess.run(argv, check=False).returncode == 0


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SafeRoomError) as refusal:
        Database.open(tmp_path / "absent" / "room.db")
    assert refusal.value.reason is Reason.BAD_CONFIG


@pytest.mark.parametrize(
    "content", [b"not a database" * 100, b"SQLite format 3\0" + b"\xff" * 4096]
)
def test_a_file_that_is_no_database_is_refused_and_kept(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "room.db"
    path.write_bytes(content)
    for _ in range(2):  # the first refusal leaves no lock behind
        with pytest.raises(SafeRoomError) as refusal:
            Database.open(path)
        assert refusal.value.reason is Reason.STORE_DAMAGED
    assert path.read_bytes() == content


def test_another_programs_database_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "room.db"
    raw = sqlite3.connect(path)
    raw.execute("CREATE TABLE entry (theirs TEXT)")
    raw.close()
    with pytest.raises(SafeRoomError) as refusal:
        Database.open(path)
    assert refusal.value.reason is Reason.STORE_DAMAGED
    raw = sqlite3.connect(path)
    assert raw.execute("SELECT name FROM sqlite_master").fetchall() == [("entry",)]
    raw.close()


def test_a_newer_programs_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "room.db"
    with Database.open(path) as database, database.writer.begin():
        database.writer.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(SafeRoomError) as refusal:
        Database.open(path)
    assert refusal.value.reason is Reason.BAD_CONFIG
    assert "newer version" in refusal.value.detail


def test_a_closed_database_is_one_file(tmp_path: Path) -> None:
    database = Database.open(tmp_path / "room.db")
    with database.writer.begin():
        database.writer.execute(insert(tables.checkpoint), {"size": 0, "note": "n"})
    with database.read() as reading:
        assert reading.execute(select(tables.checkpoint)).all() == [(0, "n")]
    database.close()
    assert {path.name for path in tmp_path.iterdir()} == {"room.db", "room.db.lock"}


def test_a_reader_cannot_write(database: Database) -> None:
    with database.read() as reading, pytest.raises(OperationalError, match="readonly"):
        reading.execute(insert(tables.checkpoint), {"size": 0, "note": "n"})


def test_a_reader_sees_one_view_while_others_write(database: Database) -> None:
    count = text("SELECT count(*) FROM checkpoint")
    with database.read() as reading:
        assert reading.execute(count).scalar_one() == 0
        with database.writer.begin():
            database.writer.execute(insert(tables.checkpoint), {"size": 0, "note": "n"})
        assert reading.execute(count).scalar_one() == 0
    with database.read() as reading:
        assert reading.execute(count).scalar_one() == 1


def test_more_readers_than_connections_wait_their_turn(database: Database) -> None:
    seen: list[int] = []

    def read() -> None:
        with database.read() as reading:
            seen.append(reading.execute(text("SELECT 7")).scalar_one())

    threads = [threading.Thread(target=read) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert seen == [7] * 40


def at_revision(path: Path, revision: str) -> Engine:
    """Make a database as an earlier version of the program left it; dispose of what this gives."""
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", "saferoom.state:migrations")
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    return engine


def uses(path: Path) -> list[tuple[object, ...]]:
    """Bring a database up to date and give its uses: whom they concern, where, the question."""
    use, asked = tables.use.c, tables.asked.c
    query = select(use.whom, use.entry_idx, asked.request_id).join(
        tables.asked, asked.entry_idx == use.entry_idx
    )
    with Database.open(path) as database, database.read() as reading:
        return sorted(tuple(row) for row in reading.execute(query))


def test_uses_before_the_table_of_uses_are_found_in_it(tmp_path: Path) -> None:
    path = tmp_path / "room.db"
    engine = at_revision(path, "0002")
    with engine.begin() as connection:
        _fill_before_uses(connection)
    engine.dispose()
    assert uses(path) == sorted(
        [
            ("tax", 0, "sha256:" + "a" * 64),
            ("91990000000001011G", 0, "sha256:" + "a" * 64),
            ("court", 1, "sha256:" + "b" * 64),  # its question was never kept
        ]
    )


def _fill_before_uses(connection: Connection) -> None:
    """Write what a room held: a release, and two refusals."""
    words = ('"tax"', '"court"', "null")
    for index, owner in enumerate(words):
        digest, asked = f"sha256:{index:064}", "sha256:" + "abc"[index] * 64
        payload = f'{{"owner":{owner},"request":"{asked}"}}'.encode()
        connection.exec_driver_sql(
            "INSERT INTO entry VALUES (?, zeroblob(32), zeroblob(32), 'k', ?, 0)", (index, digest)
        )
        connection.exec_driver_sql(
            "INSERT INTO statement VALUES (?, ?, 't', ?, '[]', ?, 0)",
            (digest, "refusal" if index else "release", payload, index),
        )
    asked, subject = "sha256:" + "a" * 64, b'{"subject":"91990000000001011G"}'
    connection.exec_driver_sql(
        "INSERT INTO request VALUES (?, 'bank', 't', ?, '[]', 0)", (asked, subject)
    )
    connection.exec_driver_sql(
        "INSERT INTO answer VALUES (?, 'tax', 'bank', ?, x'00', 0)", (asked, f"sha256:{0:064}")
    )


def test_batches_and_prices_before_they_were_uses_are_found_among_them(tmp_path: Path) -> None:
    path = tmp_path / "room.db"
    price, batch = ("sha256:" + letter * 64 for letter in "ab")
    engine = at_revision(path, "0004")
    with engine.begin() as connection:
        write = connection.exec_driver_sql
        for index, kind in enumerate(("cost-estimate", "batch-release")):
            digest, asked = f"sha256:{index:064}", (price, batch)[index]
            payload = f'{{"owner":"tax","request":"{asked}"}}'.encode()
            write(
                "INSERT INTO entry VALUES (?, zeroblob(32), zeroblob(32), ?, ?, 0)",
                (index, kind, digest),
            )
            write(
                "INSERT INTO statement VALUES (?, ?, 't', ?, '[]', ?, 0)",
                (digest, kind, payload, index),
            )
            question = b'{"subject":"91990000000001011G"}' if kind == "cost-estimate" else b"{}"
            write("INSERT INTO request VALUES (?, 'bank', 't', ?, '[]', 0)", (asked, question))
    engine.dispose()
    assert uses(path) == sorted(
        [("tax", 0, price), ("91990000000001011G", 0, price), ("tax", 1, batch)]
    )
