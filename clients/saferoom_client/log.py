"""Verifying the room's log: that it only ever grew, and that its entries are what they say.

A member keeps the newest checkpoint it verified. The next one must be shown to extend it, so a log
that was cut or rewritten since is noticed by whoever looked before.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Final

from saferoom_client.chains import Chains
from saferoom_client.heads import require_grown
from saferoom_client.session import Session
from saferoom_client.values import LogEntry, LogReport
from saferoom_client.wire import read_entry
from saferoom_proto.checkpoint import Checkpoint
from saferoom_proto.entry import commitment, leaf
from saferoom_proto.merkle import completed_nodes, leaf_hash, root
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.suite import Suite
from saferoom_proto.v1 import ledger_pb2

PAGE: Final = 1000
"""Entries asked for at once: as many as the room gives."""

Progress = Callable[[int, int], None]
"""Is told how many entries of how many have been read."""


def ignore_progress(read: int, total: int) -> None:
    """Take no notice of progress."""
    del read, total


async def checkpoint(session: Session) -> str:
    """Fetch the newest checkpoint and verify the room's signature on it: a C2SP signed note."""
    told = await session.call(session.ledger.GetCheckpoint, ledger_pb2.GetCheckpointRequest())
    session.grounds.open_note(told.checkpoint)
    return told.checkpoint


async def entries(session: Session, start: int = 0, limit: int = PAGE) -> tuple[LogEntry, ...]:
    """Read entries in order: leaves for everyone, statements and salts for auditors."""
    ask = ledger_pb2.ListEntriesRequest(start=start, limit=limit)
    told = await session.call(session.ledger.ListEntries, ask)
    return tuple(read_entry(start + place, each) for place, each in enumerate(told.entries))


async def verify_log(
    session: Session, *, whole: bool = False, progress: Progress = ignore_progress
) -> LogReport:
    """Verify that the log extends what this member saw of it before, and remember its head.

    Args:
        session: of any member; an auditor's opens the entries too.
        whole: read every entry and hash all of them to the root.
        progress: is told how many entries of how many have been read.

    Raises:
        SafeRoomError: `BAD_PROOF` if the log was cut, rewritten or forked, or if an entry does not
            commit to its statement; `BAD_SIGNATURE` for a checkpoint that the room did not sign;
            `STORE_ROLLED_BACK` if an enclave's own chain has two histories; `NOT_WITNESSED` if too
            few of the pinned witnesses cosigned it lately.
    """
    grown = await require_grown(session)
    newest = grown.newest
    opened = _Opened(LogTree(session.profile.trust.suite))
    if whole:
        async for entry in all_entries(session, newest.size):
            opened.take(entry)
            progress(len(opened.tree), newest.size)
        opened.tree.require_root(newest)
        opened.chains.require_linked()
    session.profile.log.keep(grown.note)
    return LogReport(
        newest, grown.since, len(opened.tree), opened.opened, opened.erased, grown.witnessed
    )


async def all_entries(session: Session, size: int, start: int = 0) -> AsyncIterator[LogEntry]:
    """Read all entries of the log's first so many, in their order, from a start on.

    Raises:
        SafeRoomError: `BAD_PROOF` if the room does not give one.
    """
    while start < size:
        page = await entries(session, start, min(PAGE, size - start))
        if not page:
            raise SafeRoomError(Reason.BAD_PROOF, f"the room gives no entry {start} of {size}")
        for entry in page:
            yield entry
        start += len(page)


@dataclass(slots=True)
class LogTree:
    """The Merkle tree over the leaves read so far: of each level, its newest complete subtree.

    No more is needed for the root and for the next leaf, so a log of any length fits.

    Attributes:
        suite: whose hash the log's tree is made with.
    """

    suite: Suite
    _size: int = 0
    _newest: dict[int, tuple[int, bytes]] = field(default_factory=dict[int, tuple[int, bytes]])

    def __len__(self) -> int:
        return self._size

    def add(self, leaf: bytes) -> None:
        """Add the next leaf."""
        # All before any is kept: each is made of the newest before it on its level.
        hashed = leaf_hash(leaf, self.suite)
        made = tuple(completed_nodes(self._size, hashed, self._node, self.suite))
        self._newest |= {level: (index, hashed) for level, index, hashed in made}
        self._size += 1

    def require_root(self, head: Checkpoint) -> None:
        """Refuse with `BAD_PROOF` entries that do not hash to the head's root."""
        if self._size != head.size or root(self._size, self._node, self.suite) != head.root:
            raise SafeRoomError(Reason.BAD_PROOF, "the entries do not hash to the signed root")

    def _node(self, level: int, index: int) -> bytes:
        newest, hashed = self._newest[level]
        if newest != index:
            raise SafeRoomError(Reason.INTERNAL, f"the tree holds no node {level}, {index}")
        return hashed


@dataclass(slots=True)
class _Opened:
    """What was read of the log so far: its tree, and what its entries open to."""

    tree: LogTree
    opened: int = 0
    erased: int = 0
    chains: Chains = field(default_factory=Chains)

    def take(self, entry: LogEntry) -> None:
        """Add the next entry; one that comes with its statement must commit to it."""
        if entry.statement is not None and entry.salt:
            if leaf(commitment(entry.salt, entry.statement.digest)) != entry.leaf:
                detail = f"entry {entry.index} does not commit to its statement"
                raise SafeRoomError(Reason.BAD_PROOF, detail)
            self.chains.take(entry.statement)
            self.opened += 1
        elif entry.statement is not None:
            self.erased += 1
        self.tree.add(entry.leaf)
