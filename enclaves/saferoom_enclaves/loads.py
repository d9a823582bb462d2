"""A load, from its first sealed piece to the snapshot that answers come from.

    begin     the approver's order is opened and is the next one, the schema is the one in force
    take up   the pieces that were kept of it, where it broke off before, are opened
    add       each piece is opened in its place, into memory, and kept as it came
    build     a child holds every row to the schema and builds the store; it is sealed and opened,
              and a child computes its features
    commit    the snapshot's statement enters the chain, and the new index takes the old one's place

Rows that break the schema are told to who ordered the load, and to nobody on the way.
Until the commit the old store answers; a load that fails anywhere before leaves it as it was.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import BinaryIO, Final, Protocol

from saferoom_enclaves.data import Data
from saferoom_enclaves.indexing import Computed, Opened
from saferoom_enclaves.journal import OutboxEntry
from saferoom_enclaves.kept_loads import KeptLoad
from saferoom_enclaves.marks import Marks
from saferoom_enclaves.rows import BadRow, BuiltStore
from saferoom_enclaves.standing import Standing
from saferoom_enclaves.storework import StoreWork
from saferoom_enclaves.vault import freeze
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import unb64
from saferoom_proto.formula import FeatureRef
from saferoom_proto.load import PIECE_BYTES, LoadHeader, LoadOpener
from saferoom_proto.load_faults import MOST_ROWS, Faults, FaultyRow, seal_faults, seal_links
from saferoom_proto.load_links import require_linked_anew
from saferoom_proto.load_order import MOST_AHEAD, OpenedOrder
from saferoom_proto.pinned import PinnedFeature
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Schema


@dataclass(frozen=True, slots=True, eq=False)
class LoadGrant:
    """What an ordered load may use.

    Attributes:
        header: what the load brings.
        opener: opens its pieces.
        ordered: who ordered it, when, and after which snapshot.
        epoch: the number its snapshot gets.
        schema: what its rows are held to.
        features: what is computed from it.
        key: what its snapshot is sealed under.
    """

    header: LoadHeader
    opener: LoadOpener
    ordered: OpenedOrder
    epoch: int
    schema: Schema
    features: Mapping[FeatureRef, PinnedFeature]
    key: bytes = field(repr=False)


class StoreOrder(Protocol):
    """An approver's order for another snapshot in the place of one: a load's, or a rollback's."""

    @property
    def follows(self) -> str | None:
        """The snapshot that is replaced; none for the first."""
        ...

    @property
    def at(self) -> datetime:
        """When it was given."""
        ...


@dataclass(frozen=True, slots=True)
class NewStore:
    """A store that is built, sealed and open, and not in use yet; and who ordered it."""

    opened: Opened
    computed: Computed
    rows: dict[str, int]
    order: StoreOrder
    statement: Envelope
    records_of: int | None = None
    """The earlier epoch whose records it holds, where its owner goes back to them."""
    sealed_links: bytes = b""
    """For who ordered it: how many rows of linked tables found their subject; empty of others."""


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What became of a load: a snapshot's entry, or sealed, the rows for which there is none.

    Of linked tables both: sealed stands how many rows found their subject.
    """

    snapshot: OutboxEntry | None
    sealed_faults: bytes = b""


class LoadJob:
    """One load under way. Used by one thread at a time; closed whatever becomes of it.

    Args:
        grant: what it may use.
        data: where the store is sealed and opened.
        work: has children build it.
        most_bytes: the most its tables may take.
        kept: what has arrived of it before, and where its pieces are kept.

    Raises:
        SafeRoomError: `MALFORMED` if its tables are not the schema's; `TOO_LARGE`; `CONFLICT` or
            `NO_DATA` for a change without the snapshot that it follows; `CONFLICT` for one that
            brings a map and not all that is linked by it.
    """

    def __init__(
        self, grant: LoadGrant, data: Data, work: StoreWork, most_bytes: int, kept: KeptLoad
    ) -> None:
        self._kept: Final = kept
        tables = {table.name: table for table in grant.schema.loaded}
        if {table.name for table in grant.header.tables} != tables.keys():
            raise SafeRoomError(Reason.MALFORMED, "a load brings every table of the schema")
        require_linked_anew(
            grant.schema.loaded, {table.name: table.change for table in grant.header.tables}
        )
        self._announced: Final = sum(each.pieces for each in grant.header.tables) * PIECE_BYTES
        if self._announced > most_bytes:
            raise SafeRoomError(Reason.TOO_LARGE, f"a load has at most {most_bytes} bytes")
        self.grant: Final = grant
        self._data: Final = data
        self._work: Final = work
        self._tables: Final = tables
        self._before: Final = _before(grant, data) if grant.header.is_change else None
        self._files: Final[dict[str, BinaryIO]] = {
            table.name: _file_in_memory(table.name) for table in grant.header.tables
        }

    def take_up(self) -> None:
        """Open the pieces that were kept of it, in any thread.

        Raises:
            SafeRoomError: `BAD_SEAL` if one does not open; then none is kept any more.
        """
        try:
            for sealed in self._kept.pieces():
                self._open(sealed)
        except SafeRoomError as error:
            self._kept.drop()
            detail = "what was kept of the load does not open: send it from its beginning"
            raise SafeRoomError(Reason.BAD_SEAL, detail) from error

    def add(self, sealed: bytes) -> None:
        """Take the next piece.

        Raises:
            SafeRoomError: `BAD_SEAL` or `TOO_LARGE`.
        """
        self._open(sealed)
        self._kept.add(sealed, self._announced)

    def _open(self, sealed: bytes) -> None:
        piece = self.grant.opener.open(sealed)
        self._files[piece.table].write(piece.data)

    def build(self) -> NewStore | LoadReport:
        """Build, seal, open and compute the store.

        Returns:
            The new store, or the rows that break the schema.
        """
        self.grant.opener.finish()
        for file in self._files.values():
            file.flush()
            freeze(file.fileno())
        tables = [(self._tables[name], file.fileno()) for name, file in self._files.items()]
        changes = tuple(table.change for table in self.grant.header.tables)
        before = None if self._before is None else self._before.memory
        leaves = [table.name for table in self.grant.header.tables if table.leaves]
        built = self._work.build(tables, changes, before, leaves)
        if built.plaintext is None:
            self.settled()
            return LoadReport(None, self._sealed_faults(built))
        grant = self.grant
        try:
            with built.plaintext as plaintext:
                opened = self._data.seal(grant.key, grant.epoch, plaintext, grant.header.schema)
        except OSError:
            self._kept.drop()  # a full disk: what is kept may be what fills it
            raise
        try:
            computed = self._data.compute(opened, grant.schema, grant.features)
        except BaseException:
            opened.close()
            raise
        ordered = grant.ordered
        return NewStore(
            opened,
            computed,
            built.rows,
            ordered.order,
            ordered.statement,
            sealed_links=self._sealed_links(built) if built.links else b"",
        )

    def _sealed_faults(self, built: BuiltStore) -> bytes:
        """Seal what is wrong with the rows: not even where is for the room to know."""
        faults = Faults(rows=_told(built.bad_rows), count=built.bad_row_count, links=built.links)
        order = self.grant.ordered.order
        return seal_faults(faults, unb64(order.reply_key), self.grant.header.digest)

    def _sealed_links(self, built: BuiltStore) -> bytes:
        """Seal which rows were left out, and how many found their subject."""
        count = sum(link.left for link in built.links)
        faults = Faults(rows=_told(built.left), count=count, links=built.links)
        ordered, digest = self.grant.ordered, self.grant.header.digest
        return seal_links(faults, unb64(ordered.order.reply_key), digest, ordered.content_key)

    def settled(self) -> None:
        """Keep nothing of it: it was taken, or its rows were refused."""
        self._kept.drop()

    def close(self) -> None:
        """Free the memory of the tables as they came, and let the snapshot before go."""
        self._kept.close()
        if self._before is not None:
            self._before.close()
        for file in self._files.values():
            file.close()


def granted(
    standing: Standing, header: LoadHeader, order: OpenedOrder, epoch: int, key: bytes
) -> LoadGrant:
    """Say what an ordered load may use: the schema in force, and no other.

    Raises:
        SafeRoomError: `CONFLICT`.
    """
    if standing.schema is None or header.schema != standing.schema:
        raise SafeRoomError(Reason.CONFLICT, "the load follows another schema")
    return LoadGrant(
        header=header,
        opener=LoadOpener(header, order.content_key),
        ordered=order,
        epoch=epoch,
        schema=standing.schemas[standing.schema],
        features=dict(standing.features),
        key=key,
    )


def require_next(order: StoreOrder, marks: Marks, now: datetime) -> None:
    """Check that an order is for the snapshot after the one in use.

    Raises:
        SafeRoomError: `CONFLICT` if it follows another snapshot, as an order that was carried out
            does, or is no newer than the last one; `NOT_YET_VALID` if it is ahead of the clock.
    """
    store = marks.position.store
    if order.follows != (None if store is None else store.digest):
        raise SafeRoomError(Reason.CONFLICT, "the order follows another snapshot")
    if marks.last_order is not None and order.at <= marks.last_order:
        raise SafeRoomError(Reason.CONFLICT, "ordered before an order that was taken")
    if order.at > now + MOST_AHEAD:
        raise SafeRoomError(Reason.NOT_YET_VALID, f"the order is of {order.at}")


def _told(rows: Sequence[BadRow]) -> tuple[FaultyRow, ...]:
    return tuple(
        FaultyRow(table=row.table, line=row.line, column=row.column or None, rule=row.rule)
        for row in rows[:MOST_ROWS]
    )


def _before(grant: LoadGrant, data: Data) -> Opened:
    """Hold the snapshot that a change follows.

    Raises:
        SafeRoomError: `CONFLICT` if another one is open, or it was loaded under other tables.
    """
    opened = data.opened()
    if opened.state.digest != grant.ordered.order.follows:
        raise SafeRoomError(Reason.CONFLICT, "a change follows the snapshot in use")
    if opened.schema != grant.header.schema:
        raise SafeRoomError(Reason.CONFLICT, "a change follows a load under the same tables")
    return opened.held()


def _file_in_memory(name: str) -> BinaryIO:
    return os.fdopen(os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING), "w+b")
