"""The enclave's own hash chain: every word it signs, in order, durable before it leaves.

A release, an acknowledgement or a snapshot becomes an entry under the next link. It stays in the
outbox until a proof shows that it stands in the ledger; past the maximum head age, one that lacks
its proof stops the enclave (`OUTBOX_WAITING`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
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

_ENTRY_PARTS: Final = 4
_WAITING_PARTS: Final = 2


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

    def pack(self) -> bytes:
        return pack(pack_time(self.since), self.commitment)

    @classmethod
    def unpack(cls, content: bytes) -> _Waiting:
        since, commitment = unpack(content, _WAITING_PARTS)
        return cls(unpack_time(since), commitment)


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
        self.reload()

    def reload(self) -> None:
        """Read again which entries wait for their proof; after a commit that failed."""
        self._waiting = {
            index: _Waiting.unpack(row.content) for index, row in self._state.numbered("outbox")
        }

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
        self._state.put("entry", index, _pack(judged))
        waiting = _Waiting(now, entry.commitment(salt, statement.digest))
        self._state.put("outbox", index, waiting.pack())
        self._state.marks = self._state.marks.with_entry(statement.digest, now)
        self._waiting[index] = waiting
        return judged

    def read(self, index: int) -> Judged:
        """Read an entry back, byte for byte.

        Raises:
            SafeRoomError: `STORE_DAMAGED` if it is not there.
        """
        row = self._state.get("entry", index)
        if row is None:
            raise SafeRoomError(Reason.STORE_DAMAGED, f"the chain lacks its entry {index}")
        return _unpack(index, row.content)

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
        proven: list[int] = []
        for claim in claims:
            waiting = self._waiting.get(claim.chain_index)
            if waiting is None:
                continue
            leaf = merkle.leaf_hash(entry.leaf(waiting.commitment))
            index, size = claim.ledger_index, checkpoint.size
            merkle.verify_inclusion(index, size, leaf, claim.hashes, checkpoint.root)
            proven.append(claim.chain_index)
        return proven

    def release(self, indexes: Sequence[int]) -> None:
        """Take entries out of the outbox; within a transaction."""
        for index in indexes:
            row = self._state.get("outbox", index)
            if row is not None:
                self._state.drop("outbox", index, row)
            self._waiting.pop(index, None)


def _pack(judged: Judged) -> bytes:
    said = judged.entry
    order = b"" if said.order is None else pack_envelope(said.order)
    return pack(said.salt, judged.sealed, pack_envelope(said.statement), order)


def _unpack(index: int, content: bytes) -> Judged:
    salt, sealed, statement, order = unpack(content, _ENTRY_PARTS)
    carried_out = unpack_envelope(order) if order else None
    return Judged(OutboxEntry(unpack_envelope(statement), salt, index, carried_out), sealed)
