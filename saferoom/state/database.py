"""One SQLite file: brought up to date when opened, one writer, any number of readers.

Source: SQLite's documentation of WAL mode, of PRAGMA synchronous (FULL: a commit is on the disk
before it returns) and of its file locks.
"""

from __future__ import annotations

import fcntl
import os
import re
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from importlib.resources import files
from pathlib import Path
from types import TracebackType
from typing import Final, Self, cast

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DatabaseError
from sqlalchemy.pool import QueuePool

from saferoom_proto.reasons import Reason, SafeRoomError

_BUSY_SECONDS: Final = 5.0
"""How long to wait for a file lock: somebody may be copying the file with SQLite's own tools."""

_READERS: Final = 8
"""Reading connections kept open; each holds up to 2 MB of pages."""

_MIGRATION: Final = re.compile(r"v(?P<number>[0-9]{4})_[a-z_]+\.py")

_EVERY_CONNECTION: Final = (
    "PRAGMA foreign_keys = ON",
    # Functions and views that somebody planted in the file's schema get no rights.
    "PRAGMA trusted_schema = OFF",
)

_WRITER: Final = (
    *_EVERY_CONNECTION,
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    # Fold the log into the file every 16 MB. A check writes some 12 pages in random places; at
    # SQLite's 4 MB, one append in a hundred waited 5 ms for it, and 64 at once lost a fifth.
    "PRAGMA wal_autocheckpoint = 4000",
    # A commit of many entries in a long log touches more pages than SQLite's 2 MB hold, and each
    # that is squeezed out in mid-commit is written twice. Filled by a long log only, and given
    # back when the log rests (`Database.release_memory`).
    "PRAGMA cache_size = -65536",
    # Makes INSERT OR REPLACE run into the triggers that forbid DELETE.
    "PRAGMA recursive_triggers = ON",
    # An erased salt is overwritten, not only unlinked.
    "PRAGMA secure_delete = ON",
)


class Database:
    """The server's state, opened by the one process that may write it.

    Attributes:
        path: the database file; its folder also holds the log that SQLite writes ahead.
        writer: the only connection that writes; one thread at a time uses it.
        lookups: a plain connection of SQLite's own that reads, for single rows by their keys, at a
            twentieth of what SQLAlchemy takes; one thread uses it.
    """

    def __init__(self, path: Path, lock: int) -> None:
        self.path: Final = path
        self._lock: Final = lock
        self._writing: Final = _engine(path, "rw", "BEGIN IMMEDIATE", _WRITER, connections=1)
        self._reading: Final = _engine(path, "ro", "BEGIN", _EVERY_CONNECTION, _READERS)
        self.writer: Final = self._writing.connect()
        self.lookups: Final = _connect(path, "ro", _EVERY_CONNECTION)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a database, making it if there is none, and bring its tables up to date.

        Raises:
            SafeRoomError: `BAD_CONFIG` if another process writes it, its folder is missing or a
                newer version of the program made it; `STORE_DAMAGED` if it is no such database.
        """
        lock = _lock(path)
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            database = cls(path, lock)
        except (OSError, DatabaseError) as error:
            os.close(lock)
            raise SafeRoomError(Reason.STORE_DAMAGED, f"{path} does not open") from error
        try:
            _migrate(database.writer, path)
        except BaseException:
            database.close()
            raise
        return database

    @contextmanager
    def read(self) -> Generator[Connection]:
        """Lend a reading connection: one unchanging view of the database, from any thread."""
        with self._reading.connect() as connection:
            yield connection

    def release_memory(self) -> None:
        """Give back the pages that the writer holds, from any thread.

        SQLite lets it wait for a commit that is under way, so it is called when the log rests.
        """
        driver = cast("sqlite3.Connection", self.writer.connection.driver_connection)
        driver.execute("PRAGMA shrink_memory")

    def close(self) -> None:
        """Close every connection and let another process write."""
        # Readers first: the last one to close folds the log into the file, if it may write.
        self.lookups.close()
        self._reading.dispose()
        self.writer.close()
        self._writing.dispose()
        os.close(self._lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _lock(path: Path) -> int:
    """Take the right to write; the operating system takes it back when the process ends.

    A file of its own, because SQLite's locks on the database file end when any descriptor of that
    file is closed.
    """
    beside = path.with_name(f"{path.name}.lock")
    try:
        lock = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise SafeRoomError(Reason.BAD_CONFIG, f"{beside}: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise SafeRoomError(Reason.BAD_CONFIG, f"another process writes {path}") from error
    return lock


def _connect(path: Path, mode: str, pragmas: tuple[str, ...]) -> sqlite3.Connection:
    # Transactions begin where SQLAlchemy begins them, not where the driver would.
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=_BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        for pragma in pragmas:
            connection.execute(pragma)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _engine(
    path: Path, mode: str, begin: str, pragmas: tuple[str, ...], connections: int
) -> Engine:
    engine = create_engine(
        "sqlite://",
        creator=partial(_connect, path, mode, pragmas),
        poolclass=QueuePool,
        pool_size=connections,
        max_overflow=0,
        hide_parameters=True,  # an error's text goes to the log; values do not
    )

    @event.listens_for(engine, "begin")
    def begin_transaction(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


def _migrate(connection: Connection, path: Path) -> None:
    """Run the migrations that the database lacks, all of them or none."""
    if _revision(connection) == newest_revision():
        return
    # Only where there is something to do: Alembic takes 12 MB for as long as the room runs.
    from saferoom.state.upgrade import upgrade  # noqa: PLC0415

    upgrade(connection, path)


def newest_revision() -> str:
    """Give the number of the newest migration, as its file's name tells it."""
    names = [each.name for each in files("saferoom.state.migrations.versions").iterdir()]
    return max(match["number"] for name in names if (match := _MIGRATION.fullmatch(name)))


def _revision(connection: Connection) -> str | None:
    try:
        with connection.begin():
            found = connection.exec_driver_sql("SELECT version_num FROM alembic_version")
            revision: object = found.scalar_one_or_none()
    except DatabaseError:
        return None  # a new file, or none of ours: the upgrade tells which
    return revision if isinstance(revision, str) else None
