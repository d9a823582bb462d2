"""Commits batches: entries, tree, rows and one signed checkpoint in one durable transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from datetime import datetime
from threading import Condition
from types import MappingProxyType
from typing import Final, cast

from sqlalchemy import Connection, insert
from sqlalchemy.sql.dml import UpdateBase

from saferoom.ledger.batch import Batch, Values
from saferoom.ledger.entries import NewEntry, NewRows, Position, Tip
from saferoom.ledger.nodes import Nodes
from saferoom.state import tables
from saferoom.state.inserts import ready
from saferoom_proto.checkpoint import Checkpoint, cosign_note, sign_checkpoint
from saferoom_proto.keys import SigningKey
from saferoom_proto.merkle import NodeReader, empty_root
from saferoom_proto.reasons import Reason, SafeRoomError

Item = NewEntry | NewRows
Outcome = Position | None

_CHECKPOINT: Final = insert(tables.checkpoint)
_INSTANT_SECONDS: Final = 5.0
"""Longer than a busy machine needs for the two steps in memory that follow a commit."""


class Writer:
    """The one maker of entries and checkpoints; one thread at a time may call it.

    Args:
        connection: the database's writer.
        nodes: the tree.
        tip: the ledger as the audit found it; None for a new one.
        origin: the log's name, in every checkpoint.
        key: signs the checkpoints.
        clock: gives the instant of a commit.

    Attributes:
        tip: the ledger as the last commit left it; any thread may read it.
        origin: the log's name.
        keys: sign the checkpoints; replaced as a whole.
    """

    def __init__(
        self,
        connection: Connection,
        nodes: Nodes,
        tip: Tip | None,
        *,
        origin: str,
        key: SigningKey,
        clock: Callable[[], datetime],
    ) -> None:
        self._connection: Final = connection
        self._nodes: Final = nodes
        self.origin: Final = origin
        self.keys: tuple[SigningKey, ...] = (key,)
        self._clock: Final = clock
        self._in_doubt = False
        self._moved: Final = Condition()
        self.tip = self._begin() if tip is None else tip

    def commit(self, items: Sequence[Item]) -> Sequence[Outcome | Exception]:
        """Commit items together; an item that the tables refuse is refused alone.

        A checkpoint signed over a batch that is then refused is dropped, and nobody has seen it.

        Returns:
            For each item: an entry's position, None for rows without one, or `CONFLICT` if its rows
            break a rule of the tables.

        Raises:
            SafeRoomError: `UNAVAILABLE` if the disk refuses. Nothing of the batch counts, but after
                a failed commit that is certain only once the ledger has been opened again: until
                then everything is refused.
        """
        # Step 1: give everything its place and its hash, and sign the tree that this makes.
        batch, indexes, note = self._nodes.compute(lambda node: self._plan(items, node))
        # Step 2: make all of it durable, or nothing.
        try:
            self._write([*batch.writes(), (_CHECKPOINT, _checkpoint_rows(batch, self.tip, note))])
        except sqlite3.IntegrityError as error:
            return self._apart(items, error)
        # Step 3: only now let anyone see it.
        self._nodes.keep(batch.nodes)
        with self._moved:
            self.tip = Tip(batch.size, note, MappingProxyType(batch.streams), self.tip.suite)
            self._moved.notify_all()
        return [None if index is None else Position(index, batch.size, note) for index in indexes]

    def wait_for(self, size: int) -> None:
        """Wait until the tip has come as far as the database, in any thread but the writer's.

        Readers of the database see rows from their commit on, an instant before the tip does.
        """
        if self.tip.size < size:
            with self._moved:
                self._moved.wait_for(lambda: self.tip.size >= size, _INSTANT_SECONDS)

    def _plan(self, items: Sequence[Item], node: NodeReader) -> tuple[Batch, list[int | None], str]:
        batch = Batch(self.tip, node, self._clock())
        indexes = [batch.add(item) for item in items]
        if batch.size == self.tip.size:
            return batch, indexes, self.tip.note
        return batch, indexes, self._sign(batch.size, batch.root())

    def _apart(
        self, items: Sequence[Item], error: sqlite3.IntegrityError
    ) -> Sequence[Outcome | Exception]:
        """Commit a batch that holds a refused item in halves, down to that item.

        Halves find it in a few commits: the others do not pay with one wait for the disk each.
        """
        if len(items) == 1:
            refusal = SafeRoomError(Reason.CONFLICT, str(error))
            refusal.__cause__ = error
            return [refusal]
        middle = len(items) // 2
        return [*self.commit(items[:middle]), *self.commit(items[middle:])]

    def _begin(self) -> Tip:
        """Make a new log's first checkpoint, so that every later one has one before it."""
        suite = self.keys[0].suite
        note = self._sign(0, empty_root(suite))
        self._write([(_CHECKPOINT, [{"size": 0, "note": note}])])
        return Tip(0, note, MappingProxyType({}), suite)

    def _sign(self, size: int, root: bytes) -> str:
        first, *others = self.keys
        note = sign_checkpoint(Checkpoint(self.origin, size, root), first)
        return cosign_note(note, self.origin, others) if others else note

    def _write(self, writes: Sequence[tuple[UpdateBase, Sequence[Values]]]) -> None:
        """Write rows in one transaction that is on the disk when this returns."""
        if self._in_doubt:
            raise SafeRoomError(Reason.UNAVAILABLE, "a commit failed: open the ledger again")
        # SQLite's own connection: SQLAlchemy's bookkeeping took twice as long as SQLite itself.
        connection = cast("sqlite3.Connection", self._connection.connection.driver_connection)
        try:
            connection.execute("BEGIN IMMEDIATE")
            try:
                for sql, rows in writes:
                    if rows:
                        ready(sql).execute(connection, rows)
                self._in_doubt = True  # until the commit has returned
                connection.execute("COMMIT")
                self._in_doubt = False
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
        except sqlite3.IntegrityError:
            raise
        except sqlite3.Error as error:
            raise SafeRoomError(Reason.UNAVAILABLE, f"the disk refuses: {error}") from error


def _checkpoint_rows(batch: Batch, before: Tip, note: str) -> Sequence[Values]:
    """Give the checkpoint's row; none if the batch adds no entry."""
    return [{"size": batch.size, "note": note}] if batch.size > before.size else []
