"""An owner's store: built in memory only, opened for nothing but reading, silent in its errors."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Generator
from fcntl import LOCK_EX, flock
from pathlib import Path
from typing import Final

import duckdb
import pytest

from saferoom_enclaves.engine import connect, lock, silenced
from saferoom_enclaves.store import build_database, open_store
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements.feature import Column, ColumnType, Table
from tests.enclaves.tables import SUBJECTS, VAT, build, load, opened

CANARY: Final = "canary-4711"
ROW: Final = (SUBJECTS[0], "1.5", "12", "2026-01-31", "0.25", "true", "A")


# Where it is built.


def refused(attempt: Callable[[], object]) -> str:
    with pytest.raises(SafeRoomError) as caught:
        attempt()
    assert CANARY not in str(caught.value)
    assert caught.value.__cause__ is None or CANARY not in str(caught.value.__cause__)
    return str(caught.value)


def test_a_folder_on_a_disk_is_not_built_in(tmp_path: Path) -> None:
    found = refused(lambda: build_database([load(VAT, [ROW])], tmp_path))
    assert found.startswith("BAD_CONFIG: the scratch folder")
    assert found.endswith("is not on tmpfs: records would touch a disk")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    found = refused(lambda: build_database([], tmp_path / "none"))
    assert found.startswith("BAD_CONFIG: the scratch folder")


@pytest.fixture
def scratch() -> Generator[Path]:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        yield Path(name)


def test_what_a_killed_build_left_is_removed(scratch: Path) -> None:
    (scratch / "build-killed").mkdir()
    (scratch / "build-killed" / "store").write_text(CANARY)
    built = build_database([load(VAT, [ROW])], scratch)
    assert built.plaintext is not None
    built.plaintext.close()
    assert list(scratch.iterdir()) == []


def test_a_second_build_in_the_same_folder_is_refused_and_disturbs_nothing(scratch: Path) -> None:
    (scratch / "build-other").mkdir()
    other = os.open(scratch, os.O_RDONLY)
    flock(other, LOCK_EX)
    found = refused(lambda: build_database([load(VAT, [ROW])], scratch))
    os.close(other)
    assert found == "CONFLICT: another load is being built"
    assert [entry.name for entry in scratch.iterdir()] == ["build-other"]


def test_a_build_that_fails_leaves_nothing(scratch: Path) -> None:
    def failing(_: str) -> str:
        raise RuntimeError("not our refusal")

    with pytest.raises(RuntimeError):
        build_database([load(VAT, [ROW])], scratch, parse_subject=failing)
    assert list(scratch.iterdir()) == []


def test_the_file_has_no_name_and_closes_for_good() -> None:
    built = build(load(VAT, [ROW]))
    assert built.plaintext is not None
    with built.plaintext as file:
        assert file.read(4096)[8:12] == b"DUCK"
        assert os.fstat(file.fileno()).st_nlink == 0


def test_a_key_must_be_text() -> None:
    schema = Table(
        name="wrong",
        title=VAT.title,
        key="uscc",
        columns=(
            Column(name="uscc", type=ColumnType.BIGINT, level=1, title=VAT.title),
            Column(name="x", type=ColumnType.BIGINT, level=1, title=VAT.title),
        ),
    )
    found = refused(lambda: build(load(schema, [])))
    assert found == "MALFORMED: the key of wrong is not TEXT"


def test_a_table_stands_once() -> None:
    found = refused(lambda: build(load(VAT, []), load(VAT, [])))
    assert found == "MALFORMED: the table vat stands twice"


# How it is opened.


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM vat",
        "UPDATE vat SET paid = 0",
        "INSERT INTO vat SELECT * FROM vat",
        "WITH gone AS (DELETE FROM vat RETURNING *) SELECT count(*) FROM gone",
        "CREATE TABLE more (x INTEGER)",
        "CREATE TABLE store.main.more (x INTEGER)",
        "DROP TABLE vat",
        "ALTER TABLE vat ADD COLUMN x INTEGER",
        "SET threads = 4",
        "SET enable_external_access = true",
        "RESET memory_limit",
        "PRAGMA memory_limit = '9GB'",
        "COPY vat TO '/tmp/vat.csv'",
        "COPY vat TO '/dev/shm/vat.csv'",
        "EXPORT DATABASE '/dev/shm/export'",
        "ATTACH '/dev/shm/other.db' AS other",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('/etc/hostname')",
        "SELECT * FROM read_blob('/proc/self/environ')",
        "SELECT * FROM glob('/*')",
        "SELECT * FROM '/etc/passwd'",
        "INSTALL httpfs",
        "LOAD '/usr/lib/x.duckdb_extension'",
    ],
)
def test_hostile_sql_meets_a_second_wall(sql: str) -> None:
    with opened(load(VAT, [ROW])) as store, pytest.raises(duckdb.Error):
        store.execute(sql).fetchall()


def test_a_division_by_zero_tells_nothing() -> None:
    sql = "SELECT months // (months - 12), months % (months - 12), ratio / (ratio - 0.25) FROM vat"
    with opened(load(VAT, [ROW])) as store:
        assert store.execute(sql).fetchall() == [(None, None, None)]


@pytest.mark.parametrize("content", [b"", b"not a store" * 1000])
def test_what_is_not_a_store_is_refused(content: bytes) -> None:
    memfd = os.memfd_create("test")
    os.write(memfd, content)
    assert refused(lambda: open_store(memfd)).startswith("STORE_DAMAGED: opening the store: ")
    os.close(memfd)


@pytest.mark.parametrize(
    "sql",
    [
        f"SELECT CAST('{CANARY}' AS INTEGER)",
        f"SELECT error('{CANARY}')",
        f"SELECT strptime('{CANARY}', '%Y')",
        f"SELECT CAST('{CANARY}' AS UUID)",
        f'SELECT "{CANARY}"',
    ],
)
def test_an_error_of_duckdb_quotes_nothing(sql: str) -> None:
    connection = connect(1 << 28)
    lock(connection)
    with pytest.raises(duckdb.Error, match=CANARY):
        connection.execute(sql).fetchall()

    def run() -> None:
        with silenced(Reason.INTERNAL, "reading"):
            connection.execute(sql).fetchall()

    assert refused(run).startswith("INTERNAL: reading: ")
    connection.close()


def test_exhausted_memory_is_told_as_such() -> None:
    connection = connect(1 << 26)

    def run() -> None:
        with silenced(Reason.INTERNAL, "sorting"):
            connection.execute("CREATE TABLE big AS SELECT range, random() FROM range(50000000)")

    assert refused(run) == "TOO_LARGE: sorting: not enough memory"
    connection.close()
