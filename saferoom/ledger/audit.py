"""Recomputes the log from its entries, trusting nothing that is stored.

Whoever can write the file can drop its triggers and rewrite it. What was rewritten no longer leads
to the signed checkpoint, and the server refuses to start on it. A file put back as a whole to an
older state passes here: clients, enclaves and witnesses notice, who kept a later checkpoint.

`audit` recomputes all of it. `audit_since` goes on from a signed mark (`mark.py`), in a time that
does not grow with the log: the tree at the mark, everything entered since, and every statement that
the room goes by. The rest is recomputed while the room runs already.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Final

from sqlalchemy import Connection, Row, bindparam, func, select

from saferoom.ledger.entries import StreamHead, Tip
from saferoom.ledger.mark import Mark
from saferoom.state import tables
from saferoom.state.digests import first_digits, has_digest
from saferoom_proto import merkle
from saferoom_proto.chain import extend
from saferoom_proto.checkpoint import open_checkpoint
from saferoom_proto.dsse import Envelope, pae, split_type
from saferoom_proto.entry import commitment, leaf
from saferoom_proto.keys import VerifyKey
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.suite import Suite

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
_STATEMENT: Final = (
    tables.statement.c.digest,
    tables.statement.c.found_by,
    tables.statement.c.payload_type,
    tables.statement.c.payload,
    tables.statement.c.entry_idx,
    tables.entry.c.statement_digest,
)
_STATEMENTS: Final = select(*_STATEMENT).join_from(tables.statement, tables.entry, isouter=True)
_STATEMENTS_SINCE: Final = (
    select(*_STATEMENT)
    .join_from(
        tables.entry,
        tables.statement,
        has_digest(tables.statement, tables.entry.c.statement_digest),
    )
    .where(tables.entry.c.idx >= bindparam("start"))
)
_GONE_BY: Final = (
    select(*_STATEMENT, tables.entry.c.commitment, tables.salt.c.salt)
    .join_from(tables.statement, tables.entry, tables.statement.c.entry_idx == tables.entry.c.idx)
    .join(tables.salt, tables.salt.c.entry_idx == tables.entry.c.idx, isouter=True)
    .where(tables.statement.c.kind.in_(bindparam("kinds", expanding=True)))
)
_STREAM_OWNERS: Final = select(tables.stream.c.owner).distinct()
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


_STREAM_SINCE: Final = _STREAMS.where(tables.stream.c.owner == bindparam("owner")).where(
    tables.stream.c.sequence > bindparam("after")
)


def audit(
    connection: Connection, origin: str, key: VerifyKey, rest: Callable[[], None] | None = None
) -> Tip | None:
    """Check that the stored log is exactly what its newest checkpoint signed.

    Args:
        connection: one unchanging view of the database.
        origin: the log's name.
        key: the log's.
        rest: called now and then, for an audit beside other work.

    Returns:
        The ledger's tip; None for a log that was never begun.

    Raises:
        SafeRoomError: `BAD_PROOF`, naming the first place that does not fit.
    """
    # Step 1: every entry opens, and the tree over them is the one stored.
    rest = rest or _no_rest
    tree = _Tree(connection, key.suite)
    tree.recompute(rest)
    # Step 2: that tree is the one that the log's key signed last.
    newest = _check_newest(connection, tree, origin, key)
    if newest is None:
        return None
    tree.require_no_more()
    # Step 3: the statements are those committed to, and each stream runs through its own.
    _check_statements(connection.execute(_STATEMENTS).yield_per(_CHUNK), rest)
    rows = connection.execute(_STREAMS).yield_per(_CHUNK)
    heads = _check_streams(rows, {}, rest)
    return Tip(tree.size, newest, MappingProxyType(heads), key.suite)


def audit_since(
    connection: Connection, origin: str, key: VerifyKey, mark: Mark, kinds: Sequence[str]
) -> Tip:
    """Check that the stored log goes on from a mark, up to what its newest checkpoint signed.

    Args:
        connection: one unchanging view of the database.
        origin: the log's name.
        key: the log's.
        mark: up to where the log was recomputed before, in the room's signed words.
        kinds: of statements that the room goes by: each of them is proven to stand in the tree.

    Raises:
        SafeRoomError: `BAD_PROOF`, naming the first place that does not fit.
    """
    # Step 1: the tree at the mark is the one that was recomputed; what follows is recomputed now.
    tree = _Tree(connection, key.suite)
    tree.begin_at(mark)
    tree.recompute(_no_rest)
    # Step 2: it ends where the log's key signed last.
    newest = _check_newest(connection, tree, origin, key)
    if newest is None:
        raise _damaged("checkpoint", "there is none")
    # Step 3: the statements and the streams since the mark, and what the room goes by.
    _check_statements(connection.execute(_STATEMENTS_SINCE, {"start": mark.size}), _no_rest)
    heads = {owner: StreamHead(each.sequence, each.running) for owner, each in mark.streams.items()}
    for owner in connection.execute(_STREAM_OWNERS).scalars().all():
        known = heads.get(owner)
        after = {"owner": owner, "after": 0 if known is None else known.sequence}
        rows = connection.execute(_STREAM_SINCE, after)
        heads |= _check_streams(rows, heads, _no_rest)
    _check_gone_by(connection, tree.size, kinds, key.suite)
    return Tip(tree.size, newest, MappingProxyType(heads), key.suite)


def newest_size(connection: Connection) -> int:
    """Give the size of the newest checkpoint, unverified; 0 for a log that was never begun."""
    found = connection.execute(_NEWEST).one_or_none()
    return 0 if found is None else int(found.size)


def _check_newest(connection: Connection, tree: _Tree, origin: str, key: VerifyKey) -> str | None:
    """Check that a tree is the one signed last; gives the checkpoint, none for a new log."""
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
    return newest.note


class _Tree:
    """The tree as the entries make it, compared with the stored one chunk by chunk."""

    def __init__(self, connection: Connection, suite: Suite) -> None:
        self.size = 0
        self._suite: Final = suite
        self._connection: Final = connection
        self._nodes: dict[tuple[int, int], bytes] = {}
        self._compared = 0

    def begin_at(self, mark: Mark) -> None:
        """Take the tree at a mark as it is stored, if it leads to the mark's root."""
        self.size = mark.size
        for level in range(self.size.bit_length()):
            if self.size >> level & 1:
                index = (self.size >> level) - 1
                places = {"level": level, "first": index, "last": index}
                stored = self._connection.execute(_NODES, places).one_or_none()
                if stored is None:
                    raise _damaged(f"node {level}/{index}", "it is missing")
                self._nodes[level, index] = stored.hash
        with _at(f"entry {mark.size - 1}"):
            _require(self.root() == mark.root_hash, "the tree up to it is not the one marked")

    def recompute(self, rest: Callable[[], None]) -> None:
        while chunk := self._connection.execute(_ENTRIES, {"start": self.size}).all():
            start = self.size
            for row in chunk:
                with _at(f"entry {self.size}"):
                    self._append(row)
            self._compare(start)
            rest()

    def require_no_more(self) -> None:
        """Refuse subtrees that are of no entry."""
        with _at("node"):
            count = select(func.count()).select_from(tables.node)
            stored = self._connection.execute(count).scalar_one()
            _require(stored == self._compared, f"{stored} subtrees for {self.size} entries")

    def root(self) -> bytes:
        return merkle.root(self.size, self._node, self._suite)

    def _append(self, row: Row[*tuple[object, ...]]) -> None:
        _require(row.idx == self.size, "it is missing")
        leaf_hash = merkle.leaf_hash(leaf(row.commitment), self._suite)
        _require(row.leaf_hash == leaf_hash, "its leaf is not of its commitment")
        if row.salt is not None:
            opened = commitment(row.salt, row.statement_digest)
            _require(row.commitment == opened, "its commitment is not of its statement")
        completed = merkle.completed_nodes(self.size, leaf_hash, self._node, self._suite)
        for level, index, hashed in completed:
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


def _check_statements(rows: Iterable[Row[*tuple[object, ...]]], rest: Callable[[], None]) -> None:
    for count, row in enumerate(rows, start=1):
        if count % _CHUNK == 0:
            rest()
        with _at(f"statement {row.digest}"):
            digest = _digest(row)
            _require(row.digest == digest, "its bytes have another digest")
            _require(row.found_by == first_digits(digest), "it is not found by its digest")
            if row.entry_idx is not None:
                fits = row.statement_digest == digest
                _require(fits, f"entry {row.entry_idx} is of another statement")


def _digest(row: Row[*tuple[object, ...]]) -> str:
    """Hash a statement's stored bytes anew, by the suite that its type names."""
    _, suite = split_type(row.payload_type)
    return suite.digest(pae(row.payload_type, row.payload))


def _check_gone_by(connection: Connection, size: int, kinds: Sequence[str], suite: Suite) -> None:
    """Prove that each statement the room goes by stands in the tree."""

    def node(level: int, index: int) -> bytes:
        places = {"level": level, "first": index, "last": index}
        found = connection.execute(_NODES, places).one_or_none()
        _require(found is not None, f"the subtree {level}/{index} is missing")
        return b"" if found is None else found.hash

    root = merkle.root(size, node, suite)
    for row in connection.execute(_GONE_BY, {"kinds": list(kinds)}).all():
        with _at(f"statement {row.digest}"):
            digest = _digest(row)
            _require(row.digest == digest, "its bytes have another digest")
            _require(row.statement_digest == digest, "its entry is of another statement")
            committed = commitment(row.salt or b"", digest)
            _require(row.salt is None or row.commitment == committed, "its entry does not open")
            path = merkle.inclusion_path(row.entry_idx, size, node, suite)
            hashed = merkle.leaf_hash(leaf(row.commitment), suite)
            merkle.verify_inclusion(row.entry_idx, size, hashed, path, root, suite=suite)


def _check_streams(
    rows: Iterable[Row[*tuple[object, ...]]],
    before: Mapping[str, StreamHead],
    rest: Callable[[], None],
) -> dict[str, StreamHead]:
    """Recompute streams' running hashes from where they stood; gives the heads."""
    heads = dict(before)
    for count, row in enumerate(rows, start=1):
        if count % _CHUNK == 0:
            rest()
        with _at(f"stream {row.owner}/{row.sequence}"):
            statement = Envelope.read(row.payload_type, row.payload, row.signatures)
            last = heads.get(row.owner) or StreamHead.first(statement.suite)
            head = StreamHead(last.sequence + 1, extend(last.running, statement.whole))
            fits = (row.sequence, row.running) == (head.sequence, head.running)
            _require(fits, "it does not follow the one before")
        heads[row.owner] = head
    return heads


def _no_rest() -> None:
    """Go on at once."""


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
