"""The ledger's face: append, prove, read.

The life of an entry: `append` queues it; the writer's thread gives it and whatever else waits
their places, signs one checkpoint over the grown tree and commits everything in one transaction
that is on the disk before anybody hears of it; `append` gives the position, `tlog_proof` the proof
that goes into the receipt.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from types import TracebackType
from typing import Final, Self, cast

from sqlalchemy import Row, bindparam, select

from saferoom.ledger.audited import WHOLE_UP_TO, Audited
from saferoom.ledger.entries import Entry, NewEntry, NewRows, Position, Tip
from saferoom.ledger.nodes import Nodes
from saferoom.ledger.tiles import Tiles
from saferoom.ledger.writer import Item, Outcome, Writer
from saferoom.memory import give_back
from saferoom.state import rows as state_rows
from saferoom.state import tables
from saferoom.state.database import Database
from saferoom.state.digests import has_digest
from saferoom_proto.checkpoint import cosign_note, format_proof
from saferoom_proto.dsse import Envelope
from saferoom_proto.groupcommit import GroupCommit
from saferoom_proto.keys import SigningKey
from saferoom_proto.merkle import consistency_path, inclusion_path, root
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.suite import Suite, suite_of

PAGE: Final = 1000
"""Most entries given at once; each comes with its statement, a few KiB."""

IDLE_SECONDS: Final = 60.0
"""After so long without an entry its memory is given back: an idle server is a small one."""

_ENTRIES: Final = (
    select(
        tables.entry,
        tables.salt.c.salt,
        tables.statement.c.payload_type,
        tables.statement.c.payload,
        tables.statement.c.signatures,
    )
    .join_from(tables.entry, tables.salt, isouter=True)
    .join(
        tables.statement,
        has_digest(tables.statement, tables.entry.c.statement_digest),
        isouter=True,
    )
    .where(tables.entry.c.idx >= bindparam("start"))
    .order_by(tables.entry.c.idx)
    .limit(bindparam("most"))
)
_INDEX: Final = select(tables.statement.c.entry_idx).where(
    has_digest(tables.statement, bindparam("digest"))
)


class Ledger:
    """The append-only log of one room. Open it with `Ledger.open`, in the server's event loop."""

    def __init__(
        self,
        database: Database,
        nodes: Nodes,
        writer: Writer,
        audited: Audited,
        idle_seconds: float,
    ) -> None:
        self._audited: Final = audited
        self._database: Final = database
        self._nodes: Final = nodes
        self._writer: Final = writer
        self.tiles: Final = Tiles(database, lambda: writer.tip.size)
        """The log for copying, from any thread."""
        self._commits: Final = GroupCommit[Item, Outcome](self._commit, name="ledger")
        self.on_commit: Callable[[int, float], None] = _ignore
        """Told, in the writer's thread, how many items a commit took in and how many seconds."""
        self._committed_at: float | None = None
        """When the last commit ended; none if its pages were given back since."""
        self._resting: Final = asyncio.create_task(self._rest(idle_seconds), name="ledger rests")

    @classmethod
    async def open(
        cls,
        database: Database,
        *,
        origin: str,
        key: SigningKey,
        clock: Callable[[], datetime],
        kinds: Sequence[str] = (),
        whole_up_to: int = WHOLE_UP_TO,
        idle_seconds: float = IDLE_SECONDS,
    ) -> Self:
        """Open the log, recomputing it; begin it if it is new.

        What a signed mark says was recomputed before is, in a long log, recomputed again while the
        log is in use already: whoever serves it watches `audit_under_way`.

        Args:
            database: open, and used by this ledger alone for writing.
            origin: the log's name, which stands in every checkpoint.
            key: signs the checkpoints.
            clock: gives aware instants.
            kinds: of the statements that the room goes by.
            whole_up_to: entries that are recomputed at once, mark or no mark.
            idle_seconds: after so long without an entry, the pages held for writing are given back.

        Raises:
            SafeRoomError: `BAD_PROOF`, naming the place, if the log is not what the key signed;
                `STORE_DAMAGED` if SQLite cannot read it.
        """
        nodes = Nodes(database)
        audited = Audited(database, origin, key, whole_up_to)
        tip = await asyncio.to_thread(audited.open, kinds)
        writer = Writer(database.writer, nodes, tip, origin=origin, key=key, clock=clock)
        ledger = cls(database, nodes, writer, audited, idle_seconds)
        audited.start(ledger.tip)
        return ledger

    def sign_with(self, key: SigningKey, *beside: SigningKey) -> None:
        """Sign checkpoints with these keys from the next commit on.

        Args:
            key: in force; the newest checkpoint bears its signature already.
            beside: the key that will follow it, while it is handed over.
        """
        self._audited.go_by(key)
        self._writer.keys = (key, *beside)

    @property
    def audit_under_way(self) -> asyncio.Task[None] | None:
        """The audit of what the opening left out; it fails with the place that does not fit."""
        return self._audited.rest

    async def append(self, entry: NewEntry) -> Position:
        """Append an entry with its rows; once this returns, both are durable.

        Raises:
            SafeRoomError: `CONFLICT` if its rows stand there already or refer to what does not,
                `UNAVAILABLE` if the disk refuses or the ledger is closed, `MALFORMED` for a
                statement of another crypto suite than the room's.
        """
        if suite_of(entry.statement_digest) is not self._suite:
            detail = f"a statement of another crypto suite than the room's, {self._suite}"
            raise SafeRoomError(Reason.MALFORMED, detail)
        # The writer gives every entry a position; only rows without an entry have none.
        return cast("Position", await self._commits.submit(entry))

    async def store(self, *rows: state_rows.Row) -> None:
        """Write rows that belong to no entry; once this returns, they are durable.

        Raises:
            SafeRoomError: as `append`; `MALFORMED` for a statement that enclaves follow.
        """
        await self._commits.submit(NewRows(rows))

    def _commit(self, items: Sequence[Item]) -> Sequence[Outcome | Exception]:
        began = time.perf_counter()
        outcomes = self._writer.commit(items)
        self.on_commit(len(items), time.perf_counter() - began)
        self._audited.committed(self._writer.tip)
        self._committed_at = time.monotonic()
        return outcomes

    async def _rest(self, idle_seconds: float) -> None:
        while True:
            await asyncio.sleep(idle_seconds)
            at = self._committed_at
            if at is not None and time.monotonic() - at >= idle_seconds:
                self._committed_at = None
                self._database.release_memory()
                give_back()

    def tip(self) -> Tip:
        """Give the newest checkpoint, and the head of every stream under it."""
        return self._writer.tip

    def checkpoint(self) -> str:
        """Give the newest checkpoint, a signed note."""
        return self.tip().note

    def position(self, index: int) -> Position:
        """Give an earlier entry's position under the newest checkpoint.

        Raises:
            SafeRoomError: `MALFORMED` if there is no such entry.
        """
        tip = self.tip()
        if not 0 <= index < tip.size:
            raise _out_of_range("index", f"the log has {tip.size} entries")
        return Position(index, tip.size, tip.note)

    def index_of(self, statement_digest: str) -> int | None:
        """Find the entry that commits to a statement the room holds; None if there is none."""
        with self._database.read() as connection:
            return connection.execute(_INDEX, {"digest": statement_digest}).scalar_one_or_none()

    def root(self, size: int) -> bytes:
        """Give the root that the log had at a size.

        Raises:
            SafeRoomError: `MALFORMED` if it has not come that far.
        """
        self._require_size("size", size)
        return self._nodes.compute(partial(root, size, suite=self._suite))

    def proof(self, index: int, size: int) -> tuple[bytes, ...]:
        """Prove that the tree of a size contains the entry at an index.

        Takes microseconds for what was asked for lately; else it reads the disk, for about a
        millisecond.

        Raises:
            SafeRoomError: `MALFORMED` if that tree is not there or has no such entry.
        """
        self._require_size("size", size)
        return self._nodes.path(partial(inclusion_path, index, size, suite=self._suite))

    def tlog_proof(self, position: Position) -> str:
        """Give the proof of a position that goes into a receipt: a C2SP tlog-proof.

        A checkpoint of before a key was handed over gets the signature of the key in force beside
        the former's: it is of the same log.

        Args:
            position: that `append` gave, or that stands in the database.
        """
        self._writer.wait_for(position.size)
        hashes = self.proof(position.index, position.size)
        note = position.note
        if note is not self.tip().note:
            note = cosign_note(note, self._writer.origin, self._writer.keys)
        return format_proof(position.index, hashes, note)

    def consistency(self, size1: int, size2: int) -> tuple[bytes, ...]:
        """Prove that the tree of one size begins with the tree of a smaller one.

        Raises:
            SafeRoomError: `MALFORMED` unless 0 < size1 <= size2 <= the log's size.
        """
        self._require_size("size2", size2)
        return self._nodes.path(partial(consistency_path, size1, size2, suite=self._suite))

    def entries(self, start: int, limit: int) -> tuple[Entry, ...]:
        """Give entries in order from a start; at most the limit and never more than `PAGE`.

        Raises:
            SafeRoomError: `MALFORMED` for a start or limit below what can be.
        """
        if start < 0 or limit < 1:
            raise _out_of_range("start" if start < 0 else "limit", "a page begins at 0 or later")
        with self._database.read() as connection:
            page = {"start": start, "most": min(limit, PAGE)}
            return tuple(_entry(row) for row in connection.execute(_ENTRIES, page))

    async def close(self) -> None:
        """Finish what was accepted and refuse the rest; the database stays open."""
        self._resting.cancel()
        await self._commits.close()
        await self._audited.close(self.tip())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    @property
    def _suite(self) -> Suite:
        return self.tip().suite

    def _require_size(self, name: str, size: int) -> None:
        if size > (newest := self.tip().size):
            raise _out_of_range(name, f"the log has {newest} entries")


def _ignore(items: int, seconds: float) -> None:
    del items, seconds


def _entry(row: Row[*tuple[object, ...]]) -> Entry:
    statement = None
    if row.payload is not None:
        statement = Envelope.read(row.payload_type, row.payload, row.signatures)
    return Entry(
        row.idx,
        row.kind,
        row.accepted_at,
        row.commitment,
        row.statement_digest,
        row.salt,
        statement,
    )


def _out_of_range(field: str, rule: str) -> SafeRoomError:
    return SafeRoomError(Reason.MALFORMED, f"{field}: {rule}", [FieldFault(field, rule)])
