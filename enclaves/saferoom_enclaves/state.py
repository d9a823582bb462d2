"""The enclave's own database: sealed rows in SQLite, durable before anything leaves.

One thread at a time uses it. Within a transaction rows are staged in memory and read from there;
they are written, many with one statement, and on disk when it ends (WAL, synchronous=FULL). An
exception leaves everything as it was, marks included. Sealing shows that a row was altered; that
rows were dropped or put back to an older state shows in their tally, a sum of keyed hashes that is
sealed with the marks: it is held to all rows at opening, and before a transaction if anybody else
wrote to the files meanwhile.

Source: Clarke, Devadas, van Dijk, Gassend and Suh, "Incremental Multiset Hash Functions and Their
Application to Memory Integrity Checking", ASIACRYPT 2003 (MSet-Add-Hash).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, cast

from saferoom_enclaves.keyring import Keyring
from saferoom_enclaves.marks import Marks, Position, beginning
from saferoom_enclaves.rowcipher import RowCipher
from saferoom_enclaves.rowform import read_part
from saferoom_enclaves.untouched import Untouched
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.suite import Suite

_HASH_BITS: Final = 256
_TAG_BYTES: Final = 16
_NUMBER_BYTES: Final = 8
_ROWS: Final = 64
"""Rows written with one statement; 128 values are far below SQLite's limit."""
_STATEMENTS: Final = 512
"""Statements kept prepared: one for each table and number of rows."""
_MARKS: Final = "marks"
_MARKS_KEY: Final = b"1"

_NUMBERED: Final = ("statement", "subject_statement", "entry")
"""Tables whose rows have a number."""
_FOUND: Final = (
    "seen",
    "consent",
    "revoked",
    "leakage",
    "charged",
    "uses",
    "batch",
    "chunk",
    "asked",
    "claims",
    "trials",
    "attempts",
    "tables",
    "job",
    "job_part",
    "job_runs",
    "aligned",
    "fit_bands",
    "model",
    "fetched",
    "reports",
)
"""Tables whose rows are found by an HMAC."""

_SCHEMA: Final = (
    (
        "CREATE TABLE IF NOT EXISTS marks (one INTEGER PRIMARY KEY CHECK (one = 1),"
        " position TEXT NOT NULL, sealed BLOB NOT NULL)"
    ),
    (
        "CREATE TABLE IF NOT EXISTS keyring (one INTEGER PRIMARY KEY CHECK (one = 1),"
        " sealed BLOB NOT NULL)"
    ),
    *(
        f"CREATE TABLE IF NOT EXISTS {name} (key INTEGER PRIMARY KEY, sealed BLOB NOT NULL)"
        for name in _NUMBERED
    ),
    *(
        f"CREATE TABLE IF NOT EXISTS {name} (key BLOB PRIMARY KEY, sealed BLOB NOT NULL)"
        " WITHOUT ROWID"
        for name in _FOUND
    ),
)


_Place = tuple[str, int | bytes]


@dataclass(frozen=True, slots=True, repr=False)
class _Staged:
    """A row to be written: its seal, and whether it is a new one."""

    sealed: bytes
    new: bool


@dataclass(frozen=True, slots=True, repr=False)
class Row:
    """A row's content, and the seal it stands under. It shows no text form."""

    content: bytes
    sealed: bytes


class State:
    """An enclave's database. Before `open` it tells its claimed position only.

    Args:
        path: the database's file; made if it is not there.
        suite: of the enclave's charter: what rows are sealed and found with.

    Raises:
        SafeRoomError: `CONFLICT` if another process has it open; `STORE_DAMAGED`.
    """

    def __init__(self, path: Path, suite: Suite = Suite.INTERNATIONAL) -> None:
        self._suite: Final = suite
        self._beginning: Final = beginning(suite)
        self._cipher: RowCipher | None = None
        self._ring: Keyring | None = None
        self._new_ring: bytes | None = None
        self._tally = 0
        self._changes = 0
        self._staged: dict[_Place, _Staged] = {}
        self._undo: list[Callable[[], object]] = []
        self._under_way = False
        self._files: Final = Untouched(path)
        # One thread at a time uses it, but not always the one that made it.
        self._db: Final = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, cached_statements=_STATEMENTS
        )
        try:
            self._prepare()
            found = self._one("SELECT position, sealed FROM marks")
        except sqlite3.OperationalError as error:
            self._db.close()
            raise SafeRoomError(Reason.CONFLICT, f"the state cannot be had: {error}") from error
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise SafeRoomError(Reason.STORE_DAMAGED, f"not a database: {error}") from error
        self._sealed_marks: bytes | None = None if found is None else cast("bytes", found[1])
        self._claimed: Final = (
            self._beginning.position
            if found is None
            else read_part(str(found[0]).encode(), Position)
        )
        self.marks = self._beginning

    def _prepare(self) -> None:
        for pragma in (
            "locking_mode = EXCLUSIVE",  # two enclaves on one folder would fork its chain
            "journal_mode = WAL",
            "synchronous = FULL",
            "temp_store = MEMORY",
            "trusted_schema = OFF",
            "secure_delete = ON",  # a keyring that was replaced is overwritten, not just forgotten
        ):
            self._db.execute(f"PRAGMA {pragma}")
        self._db.execute("BEGIN EXCLUSIVE")
        for statement in _SCHEMA:
            self._db.execute(statement)
        self._db.execute("COMMIT")

    @property
    def position(self) -> Position:
        """Where the enclave stands: as claimed in clear until its keys show whether that is so."""
        return self._claimed if self._cipher is None else self.marks.position

    def open(self, store_key: bytes) -> None:
        """Open the sealed rows.

        Raises:
            SafeRoomError: `STORE_DAMAGED` under another key or for an altered row;
                `STORE_ROLLED_BACK` if rows are missing, or the claimed position is another.
        """
        ring = self._opened_ring(store_key)
        cipher = RowCipher(ring)
        marks = self._beginning
        if self._sealed_marks is not None:
            marks = read_part(cipher.open(_MARKS, _MARKS_KEY, self._sealed_marks), Marks)
        if marks.position != self._claimed:
            raise SafeRoomError(Reason.STORE_ROLLED_BACK, "the position in clear is another")
        self._files.leave()
        tally = int(marks.tally or "0", 16)
        self._require_all(cipher, tally)
        self._ring, self._cipher, self.marks, self._tally = ring, cipher, marks, tally

    def _opened_ring(self, store_key: bytes) -> Keyring:
        found = self._one("SELECT sealed FROM keyring")
        if found is not None:
            return Keyring.open(store_key, cast("bytes", found[0]), self._suite)
        if self._sealed_marks is not None:
            raise SafeRoomError(Reason.STORE_DAMAGED, "the keys are missing")
        ring = Keyring.fresh(self._suite)
        self._db.execute("INSERT INTO keyring VALUES (1, ?)", (ring.sealed(store_key),))
        return ring

    @property
    def ring(self) -> Keyring:
        """The enclave's own keys; `LOCKED` before `open`."""
        if self._ring is None:
            raise SafeRoomError(Reason.LOCKED, "the state has not been opened")
        return self._ring

    def change_key(self, store_key: bytes, from_epoch: int) -> None:
        """Seal the keys under another store key, and from now on under a new root.

        Within a transaction, whose marks change too.

        Args:
            store_key: the new one.
            from_epoch: the first epoch whose snapshot is sealed under the new root.
        """
        before = self.ring
        self.undoing(partial(self._use, before))
        self._use(before.grown(from_epoch))
        self._new_ring = self.ring.sealed(store_key)

    def forget_replaced(self) -> None:
        """Take out of the write-ahead log what was written there before; outside transactions."""
        self._require_untouched()
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._files.leave()

    def _use(self, ring: Keyring) -> None:
        self._ring, self._cipher = ring, RowCipher(ring)

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    @property
    def changes(self) -> int:
        """Count the rows written since the start; what raised it cannot be undone by itself."""
        return self._changes

    @contextmanager
    def transaction(self) -> Generator[None]:
        """Make one durable commit of what happens within, or nothing of it."""
        self._require_untouched()
        changes, marks = self._changes, self.marks
        self._under_way = True
        try:
            with self.part():
                yield
                # What changed nothing waits for no disk.
                if changes != self._changes or marks is not self.marks:
                    self._files.require()
                    self._commit()
                    self._files.leave()
        finally:
            self._under_way = False
            self._staged.clear()
            self._undo.clear()
            self._new_ring = None

    @contextmanager
    def part(self) -> Generator[None]:
        """Make a part of a transaction that an exception undoes by itself."""
        marks, tally, undo = self.marks, self._tally, len(self._undo)
        try:
            yield
        except BaseException:
            self.marks, self._tally = marks, tally
            while len(self._undo) > undo:
                self._undo.pop()()
            raise

    def undoing(self, undo: Callable[[], object]) -> None:
        """Have a change in memory undone with the part of the transaction that it belongs to."""
        if not self._under_way:
            # Nothing would ever undo it, nor forget how to, before the next transaction ends.
            raise SafeRoomError(Reason.INTERNAL, "a change outside of a transaction")
        self._undo.append(undo)

    def _unstage(self, place: _Place, before: _Staged | None) -> None:
        if before is None:
            del self._staged[place]
        else:
            self._staged[place] = before

    def get(self, table: str, key: int | bytes) -> Row | None:
        """Read a row."""
        staged = self._staged.get((table, key))
        if staged is not None:
            sealed = staged.sealed
        else:
            found = self._one(f"SELECT sealed FROM {table} WHERE key = ?", key)  # noqa: S608 - ours
            if found is None:
                return None
            sealed = cast("bytes", found[0])
        return Row(self.cipher.open(table, _key_bytes(key), sealed), sealed)

    def put(self, table: str, key: int | bytes, content: bytes, old: Row | None = None) -> None:
        """Write a row, within a transaction; in the place of `old`, which was read in it."""
        cipher, named = self.cipher, _key_bytes(key)
        sealed = cipher.seal(table, named, content)
        place = (table, key)
        before = self._staged.get(place)
        self.undoing(partial(self._unstage, place, before))
        self._staged[place] = _Staged(sealed, old is None if before is None else before.new)
        counted = 0 if old is None else _hash(cipher, table, named, old.sealed)
        self._changes += 1
        difference = _hash(cipher, table, named, sealed) - counted
        self._tally = (self._tally + difference) % (1 << _HASH_BITS)

    def keys(self, table: str) -> Iterator[bytes]:
        """Read what the rows of a table are found by."""
        for (key,) in self._db.execute(f"SELECT key FROM {table}"):  # noqa: S608 - our name
            yield key

    def found(self, table: str) -> Iterator[Row]:
        """Read all rows of a table whose rows are found by an HMAC; outside of transactions."""
        cipher = self.cipher
        for key, sealed in self._db.execute(f"SELECT key, sealed FROM {table}"):  # noqa: S608
            yield Row(cipher.open(table, key, sealed), sealed)

    def found_after(self, table: str, after: bytes, most: int) -> list[tuple[bytes, Row]]:
        """Read so many rows of such a table from a key on, in the order of their keys."""
        query = f"SELECT key, sealed FROM {table} WHERE key > ? ORDER BY key LIMIT ?"  # noqa: S608
        return [
            (key, Row(self.cipher.open(table, key, sealed), sealed))
            for key, sealed in self._db.execute(query, (after, most))
        ]

    def numbered(self, table: str, start: int = 0) -> Iterator[tuple[int, Row]]:
        """Read the rows of a numbered table from a number on, in order."""
        query = f"SELECT key, sealed FROM {table} WHERE key >= ? ORDER BY key"  # noqa: S608
        for key, sealed in self._db.execute(query, (start,)):
            yield key, Row(self.cipher.open(table, _key_bytes(key), sealed), sealed)

    @property
    def cipher(self) -> RowCipher:
        """The cipher of the rows; `LOCKED` before `open`."""
        if self._cipher is None:
            raise SafeRoomError(Reason.LOCKED, "the state has not been opened")
        return self._cipher

    def _commit(self) -> None:
        self.marks = self.marks.with_tally(f"{self._tally:064x}")
        document = self.marks.model_dump_json().encode()
        sealed = self.cipher.seal(_MARKS, _MARKS_KEY, document)
        position = self.marks.position.model_dump_json()
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._write_staged()
            self._db.execute("REPLACE INTO marks VALUES (1, ?, ?)", (position, sealed))
            if self._new_ring is not None:
                self._db.execute("REPLACE INTO keyring VALUES (1, ?)", (self._new_ring,))
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def _write_staged(self) -> None:
        """Write what was staged, many rows a statement: each one lets other threads in."""
        grouped: dict[tuple[str, bool], list[int | bytes]] = {}
        for (table, key), staged in self._staged.items():
            grouped.setdefault((table, staged.new), []).extend((key, staged.sealed))
        for (table, new), values in grouped.items():
            # A new row must not stand there yet: REPLACE would hide that.
            into = f"{'INSERT' if new else 'REPLACE'} INTO {table} VALUES "
            for start in range(0, len(values), 2 * _ROWS):
                some = values[start : start + 2 * _ROWS]
                self._db.execute(into + ", ".join(["(?, ?)"] * (len(some) // 2)), some)

    def _require_untouched(self) -> None:
        """Hold all rows to their tally again, if anybody else wrote to the files."""
        if self._cipher is not None and (seen := self._files.look()) is not None:
            self._db.execute("PRAGMA shrink_memory")  # its pages in memory are older than the files
            self._require_all(self._cipher, self._tally)
            self._files.leave(seen)

    def _require_all(self, cipher: RowCipher, tally: int) -> None:
        if self._count(cipher) != tally:
            raise SafeRoomError(Reason.STORE_ROLLED_BACK, "rows are missing or of another time")

    def _count(self, cipher: RowCipher) -> int:
        total = 0
        for table in (*_NUMBERED, *_FOUND):
            rows = self._db.execute(f"SELECT key, substr(sealed, -{_TAG_BYTES}) FROM {table}")  # noqa: S608
            total += sum(_hash(cipher, table, _key_bytes(key), tag) for key, tag in rows)
        return total % (1 << _HASH_BITS)

    def _one(self, query: str, *values: int | bytes) -> tuple[object, ...] | None:
        return cast("tuple[object, ...] | None", self._db.execute(query, values).fetchone())


def _key_bytes(key: int | bytes) -> bytes:
    return key.to_bytes(_NUMBER_BYTES, "big") if isinstance(key, int) else key


def _hash(cipher: RowCipher, table: str, key: bytes, sealed: bytes) -> int:
    # The tag binds the content, so the tag and the place stand for the row.
    return int.from_bytes(cipher.mark(table, key, sealed[-_TAG_BYTES:]), "big")
