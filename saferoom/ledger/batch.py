"""What one commit writes, worked out before the disk is touched."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import bindparam, insert
from sqlalchemy.sql.dml import UpdateBase

from saferoom.ledger.entries import NewEntry, NewRows, StreamHead, Tip
from saferoom.state import tables
from saferoom.state.digests import number_of
from saferoom.state.rows import ORDER, Place, Row, StatementRow
from saferoom_proto import merkle
from saferoom_proto.chain import extend
from saferoom_proto.dsse import Envelope
from saferoom_proto.entry import commitment, leaf

Values = Mapping[str, object]

_ENTRY: Final = insert(tables.entry)
_SALT: Final = insert(tables.salt)
_NODE: Final = insert(tables.node)
_STREAM: Final = insert(tables.stream).values(
    owner=bindparam("followed_by"),
    sequence=bindparam("place"),
    statement=number_of(tables.statement, "statement_digest"),
    running=bindparam("running_hash"),
)


class Batch:
    """The rows of a commit: each item takes the place after the one before it.

    Args:
        after: the ledger that the batch is added to.
        node: reads that ledger's tree.
        accepted_at: the instant of the commit.

    Attributes:
        size: of the ledger with the batch.
        nodes: the subtree hashes that the batch completes.
        streams: the head of every stream with the batch.
    """

    def __init__(self, after: Tip, node: merkle.NodeReader, accepted_at: datetime) -> None:
        self.size = after.size
        self.nodes: Final[dict[tuple[int, int], bytes]] = {}
        self.streams: Final = dict(after.streams)
        self._before: Final = node
        self._suite: Final = after.suite
        self._accepted_at: Final = accepted_at
        self._entries: Final[list[Values]] = []
        self._salts: Final[list[Values]] = []
        self._stream_rows: Final[list[Values]] = []
        self._rows: Final[dict[type[Row], list[Values]]] = {}

    def add(self, item: NewEntry | NewRows) -> int | None:
        """Give an item its place; returns an entry's index."""
        index = self._add_entry(item) if isinstance(item, NewEntry) else None
        place = Place(index, self._accepted_at)
        for row in item.rows:
            self._rows.setdefault(type(row), []).append(row.values(place))
            if isinstance(row, StatementRow):
                backlog = item.backlog if isinstance(item, NewEntry) else ()
                for envelope in (row.envelope, *backlog):
                    self._follow(envelope, row.owners)
        return index

    def root(self) -> bytes:
        """Give the root of the tree with the batch."""
        return merkle.root(self.size, self._node, self._suite)

    def writes(self) -> Iterator[tuple[UpdateBase, Sequence[Values]]]:
        """Give the SQL of the batch with its rows, in an order that foreign keys allow."""
        nodes = [
            {"level": level, "idx": index, "hash": hashed}
            for (level, index), hashed in self.nodes.items()
        ]
        yield _ENTRY, self._entries
        yield _SALT, self._salts
        yield _NODE, nodes
        for kind in ORDER:
            yield kind.SQL, self._rows.get(kind, ())
            if kind is StatementRow:
                yield _STREAM, self._stream_rows

    def _add_entry(self, item: NewEntry) -> int:
        index = self.size
        committed = commitment(item.salt, item.statement_digest)
        leaf_hash = merkle.leaf_hash(leaf(committed), self._suite)
        self._entries.append(
            {
                "idx": index,
                "leaf_hash": leaf_hash,
                "commitment": committed,
                "kind": item.kind,
                "statement_digest": item.statement_digest,
                "accepted_at": self._accepted_at,
            }
        )
        self._salts.append({"entry_idx": index, "salt": item.salt})
        completed = merkle.completed_nodes(index, leaf_hash, self._node, self._suite)
        for level, place, hashed in completed:
            self.nodes[level, place] = hashed
        self.size += 1
        return index

    def _follow(self, statement: Envelope, owners: tuple[str, ...]) -> None:
        """Make a statement the next one of each of its owners' streams."""
        for owner in owners:
            head = self.streams.get(owner) or StreamHead.first(self._suite)
            head = StreamHead(head.sequence + 1, extend(head.running, statement.whole))
            self.streams[owner] = head
            self._stream_rows.append(
                {
                    "followed_by": owner,
                    "place": head.sequence,
                    "statement_digest": statement.digest,
                    "running_hash": head.running,
                }
            )

    def _node(self, level: int, index: int) -> bytes:
        hashed = self.nodes.get((level, index))
        return self._before(level, index) if hashed is None else hashed
