"""The enclave's own hash chain: every word it signs, in order, durable before it leaves.

A release, an acknowledgement or a snapshot becomes an entry under the next link. It waits in the
outbox until a proof shows that it stands in the ledger; past the maximum head age, one that lacks
its proof stops the enclave (`OUTBOX_WAITING`). What is kept of the outbox is up to where all
entries have had their proof; one that had it out of turn waits again after a restart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from saferoom_enclaves.rowform import (
    pack,
    pack_envelope,
    pack_time,
    unpack,
    unpack_envelope,
    unpack_time,
)
from saferoom_enclaves.state import State
from saferoom_proto import entry, merkle
from saferoom_proto.checkpoint import Checkpoint
from saferoom_proto.dsse import Envelope
from saferoom_proto.keys import SigningKey
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import ChainLink, Payload, seal_statement

_ENTRY_PARTS: Final = 5


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """A statement of the enclave's that must be recorded before it counts.

    Attributes:
        statement: what the enclave signed.
        salt: 32 bytes that the ledger entry's commitment is made with.
        chain_index: its place in the enclave's own chain.
        order: for a snapshot, the order that it carries out, to be recorded beside it.
    """

    statement: Envelope
    salt: bytes
    chain_index: int
    order: Envelope | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """What an enclave says to a request: its entry, and the sealed answer (empty: refused)."""

    entry: OutboxEntry
    sealed: bytes


@dataclass(frozen=True, slots=True)
class InclusionClaim:
    """Where an entry is said to stand in the ledger, with the proof's hashes."""

    chain_index: int
    ledger_index: int
    hashes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class _Waiting:
    """An entry without its proof: since when, and what the ledger's leaf commits to."""

    since: datetime
    commitment: bytes


class Journal:
    """Writes and keeps the chain's entries.

    Args:
        state: the enclave's database, opened.
        signing: the enclave's identity key.
        randomness: gives so many random bytes.
    """

    def __init__(
        self, state: State, signing: SigningKey, randomness: Callable[[int], bytes]
    ) -> None:
        self._state: Final = state
        self._signing: Final = signing
        self._randomness: Final = randomness
        self._waiting: dict[int, _Waiting] = {}
        for index, row in state.numbered("entry", state.marks.proven):
            since, judged = _unpack(index, row.content)
            self._wait(judged.entry, since)

    @property
    def link(self) -> ChainLink:
        """The next entry's place."""
        return self._state.marks.position.chain

    def append(
        self,
        payload: Payload,
        now: datetime,
        *,
        sealed: bytes = b"",
        order: Envelope | None = None,
    ) -> Judged:
        """Sign a payload made for the next link, and make it the chain's next entry.

        Called within a transaction; the entry counts once that has ended well.
        """
        statement = seal_statement(payload, self._signing)
        salt = self._randomness(entry.SALT_BYTES)
        index = self.link.index
        judged = Judged(OutboxEntry(statement, salt, index, order), sealed)
        self._state.put("entry", index, _pack(judged, now))
        self._state.marks = self._state.marks.with_entry(statement.digest, now)
        self._wait(judged.entry, now)
        self._state.undoing(partial(self._waiting.pop, index, None))
        return judged

    def _wait(self, said: OutboxEntry, since: datetime) -> None:
        commitment = entry.commitment(said.salt, said.statement.digest)
        self._waiting[said.chain_index] = _Waiting(since, commitment)

    def read(self, index: int) -> Judged:
        """Read an entry back, byte for byte.

        Raises:
            SafeRoomError: `STORE_DAMAGED` if it is not there.
        """
        row = self._state.get("entry", index)
        if row is None:
            raise SafeRoomError(Reason.STORE_DAMAGED, f"the chain lacks its entry {index}")
        return _unpack(index, row.content)[1]

    def outbox(self, start: int = 0) -> list[OutboxEntry]:
        """Give the entries that no proof has come back for, in order, from an index on."""
        return [self.read(index).entry for index in sorted(self._waiting) if index >= start]

    def require_recorded(self, now: datetime, patience: timedelta) -> None:
        """Refuse with `OUTBOX_WAITING` while an entry has waited too long for its proof."""
        # Entries are added in order of time, so the first is the oldest.
        oldest = next(iter(self._waiting.values()), None)
        if oldest is not None and now - oldest.since > patience:
            raise SafeRoomError(Reason.OUTBOX_WAITING, f"{len(self._waiting)} entries wait")

    def check(self, claims: Sequence[InclusionClaim], checkpoint: Checkpoint) -> list[int]:
        """Check proofs of inclusion, and say which entries they cover.

        An entry that has had its proof is passed over: a delivery may come twice.

        Raises:
            SafeRoomError: `BAD_PROOF` if any does not hold.
        """
        suite = self._signing.suite
        proven: list[int] = []
        for claim in claims:
            waiting = self._waiting.get(claim.chain_index)
            if waiting is None:
                continue
            leaf = merkle.leaf_hash(entry.leaf(waiting.commitment), suite)
            index, size = claim.ledger_index, checkpoint.size
            merkle.verify_inclusion(index, size, leaf, claim.hashes, checkpoint.root, suite=suite)
            proven.append(claim.chain_index)
        return proven

    def release(self, indexes: Sequence[int]) -> None:
        """Take entries out of the outbox; within a transaction."""
        if not indexes:
            return
        # What is undone is the whole of it: entries put back one by one would stand at its end.
        self._state.undoing(partial(setattr, self, "_waiting", self._waiting))
        taken = frozenset(indexes)
        self._waiting = {
            index: waiting for index, waiting in self._waiting.items() if index not in taken
        }
        proven = min(self._waiting, default=self.link.index)
        self._state.marks = self._state.marks.with_proven(proven)


def _pack(judged: Judged, now: datetime) -> bytes:
    said = judged.entry
    order = b"" if said.order is None else pack_envelope(said.order)
    return pack(pack_time(now), said.salt, judged.sealed, pack_envelope(said.statement), order)


def _unpack(index: int, content: bytes) -> tuple[datetime, Judged]:
    since, salt, sealed, statement, order = unpack(content, _ENTRY_PARTS)
    carried_out = unpack_envelope(order) if order else None
    said = OutboxEntry(unpack_envelope(statement), salt, index, carried_out)
    return unpack_time(since), Judged(said, sealed)
