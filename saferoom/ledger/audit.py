"""Recomputes the whole log from its entries when it is opened, trusting nothing that is stored.

Whoever can write the file can drop its triggers and rewrite it. What was rewritten no longer leads
to the signed checkpoint, and the server refuses to start on it. A file put back as a whole to an
older state passes here: clients, enclaves and witnesses notice, who kept a later checkpoint.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from types import MappingProxyType
from typing import Final

from sqlalchemy import Connection, Row, bindparam, func, select

from saferoom.ledger.entries import StreamHead, Tip
from saferoom.state import tables
from saferoom_proto import merkle
from saferoom_proto.chain import extend
from saferoom_proto.checkpoint import open_checkpoint
from saferoom_proto.dsse import Envelope, pae
from saferoom_proto.encoding import sha256_digest
from saferoom_proto.entry import commitment, leaf
from saferoom_proto.keys import VerifyKey
from saferoom_proto.reasons import Reason, SafeRoomError

_CHUNK: Final = 4096
"""Entries read at once: 2 MB."""

_NEWEST: Final = select(tables.checkpoint).order_by(tables.checkpoint.c.size.desc()).limit(1)
_ENTRIES: Final = (
    select(
        tables.entry.c.idx,
        tables.entry.c.leaf_hash,
        tables.entry.c.commitment,
        tables.entry.c.statement_digest,
        tables.salt.c.salt,
    )
    .join_from(tables.entry, tables.salt, isouter=True)
    .where(tables.entry.c.idx >= bindparam("start"))
    .order_by(tables.entry.c.idx)
    .limit(_CHUNK)
)
_NODES: Final = (
    select(tables.node.c.idx, tables.node.c.hash)
    .where(tables.node.c.level == bindparam("level"))
    .where(tables.node.c.idx.between(bindparam("first"), bindparam("last")))
)
_STATEMENTS: Final = select(
    tables.statement.c.digest,
    tables.statement.c.payload_type,
    tables.statement.c.payload,
    tables.statement.c.entry_idx,
    tables.entry.c.statement_digest,
).join_from(tables.statement, tables.entry, isouter=True)
_STREAMS: Final = (
    select(
        tables.stream.c.owner,
        tables.stream.c.sequence,
        tables.stream.c.running,
        tables.statement.c.payload_type,
        tables.statement.c.payload,
        tables.statement.c.signatures,
    )
    .join_from(tables.stream, tables.statement)
    .order_by(tables.stream.c.owner, tables.stream.c.sequence)
)


def audit(connection: Connection, origin: str, key: VerifyKey) -> Tip | None:
    """Check that the stored log is exactly what its newest checkpoint signed.

    Args:
        connection: one unchanging view of the database.
        origin: the log's name.
        key: the log's.

    Returns:
        The ledger's tip; None for a log that was never begun.

    Raises:
        SafeRoomError: `BAD_PROOF`, naming the first place that does not fit.
    """
    # Step 1: every entry opens, and the tree over them is the one stored.
    tree = _Tree(connection)
    tree.recompute()
    # Step 2: that tree is the one that the log's key signed last.
    newest = connection.execute(_NEWEST).one_or_none()
    if newest is None:
        with _at("entry 0"):
            _require(tree.size == 0, "no checkpoint covers it")
        return None
    with _at(f"checkpoint {newest.size}"):
        signed = open_checkpoint(newest.note, origin, key)
        _require(signed.size == newest.size, f"its note is of size {signed.size}")
        _require(signed.size == tree.size, f"there are {tree.size} entries")
        _require(signed.root == tree.root(), "the entries lead to another root")
    tree.require_no_more()
    # Step 3: the statements are those committed to, and each stream runs through its own.
    _check_statements(connection)
    return Tip(signed.size, newest.note, MappingProxyType(_check_streams(connection)))


class _Tree:
    """The tree as the entries make it, compared with the stored one chunk by chunk."""

    def __init__(self, connection: Connection) -> None:
        self.size = 0
        self._connection: Final = connection
        self._nodes: dict[tuple[int, int], bytes] = {}
        self._compared = 0

    def recompute(self) -> None:
        while chunk := self._connection.execute(_ENTRIES, {"start": self.size}).all():
            start = self.size
            for row in chunk:
                with _at(f"entry {self.size}"):
                    self._append(row)
            self._compare(start)

    def require_no_more(self) -> None:
        """Refuse subtrees that are of no entry."""
        with _at("node"):
            count = select(func.count()).select_from(tables.node)
            stored = self._connection.execute(count).scalar_one()
            _require(stored == self._compared, f"{stored} subtrees for {self.size} entries")

    def root(self) -> bytes:
        return merkle.root(self.size, self._node)

    def _append(self, row: Row[*tuple[object, ...]]) -> None:
        _require(row.idx == self.size, "it is missing")
        leaf_hash = merkle.leaf_hash(leaf(row.commitment))
        _require(row.leaf_hash == leaf_hash, "its leaf is not of its commitment")
        if row.salt is not None:
            opened = commitment(row.salt, row.statement_digest)
            _require(row.commitment == opened, "its commitment is not of its statement")
        for level, index, hashed in merkle.completed_nodes(self.size, leaf_hash, self._node):
            self._nodes[level, index] = hashed
        self.size += 1

    def _compare(self, start: int) -> None:
        """Compare the subtrees completed since a size, then keep only those still needed."""
        for level in range(self.size.bit_length()):
            first, last = start >> level, (self.size >> level) - 1
            places = {"level": level, "first": first, "last": last}
            stored = {row.idx: row.hash for row in self._connection.execute(_NODES, places)}
            for index in range(first, last + 1):
                if stored.get(index) != self._nodes[level, index]:
                    raise _damaged(f"node {level}/{index}", "it is not of the leaves below it")
            self._compared += last + 1 - first
        peaks = [level for level in range(self.size.bit_length()) if self.size >> level & 1]
        self._nodes = {
            place: self._nodes[place] for place in ((n, (self.size >> n) - 1) for n in peaks)
        }

    def _node(self, level: int, index: int) -> bytes:
        return self._nodes[level, index]


def _check_statements(connection: Connection) -> None:
    for row in connection.execute(_STATEMENTS).yield_per(_CHUNK):
        with _at(f"statement {row.digest}"):
            digest = sha256_digest(pae(row.payload_type, row.payload))
            _require(row.digest == digest, "its bytes have another digest")
            if row.entry_idx is not None:
                fits = row.statement_digest == digest
                _require(fits, f"entry {row.entry_idx} is of another statement")


def _check_streams(connection: Connection) -> dict[str, StreamHead]:
    """Recompute every stream's running hash; gives the heads."""
    heads: dict[str, StreamHead] = {}
    for row in connection.execute(_STREAMS).yield_per(_CHUNK):
        with _at(f"stream {row.owner}/{row.sequence}"):
            before = heads.get(row.owner, StreamHead())
            whole = Envelope(row.payload_type, row.payload, row.signatures).whole
            head = StreamHead(before.sequence + 1, extend(before.running, whole))
            fits = (row.sequence, row.running) == (head.sequence, head.running)
            _require(fits, "it does not follow the one before")
        heads[row.owner] = head
    return heads


def _require(fits: bool, otherwise: str) -> None:
    if not fits:
        raise SafeRoomError(Reason.BAD_PROOF, otherwise)


@contextmanager
def _at(place: str) -> Generator[None]:
    """Name the place of whatever is found not to fit within."""
    try:
        yield
    except SafeRoomError as error:
        raise _damaged(place, error.detail) from error


def _damaged(place: str, what: str) -> SafeRoomError:
    return SafeRoomError(Reason.BAD_PROOF, f"{place}: {what}")
