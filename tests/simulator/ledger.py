"""A whole ledger in memory: real leaves, proofs and signed checkpoints."""

from __future__ import annotations

from typing import Final

from saferoom_proto import entry, merkle
from saferoom_proto.checkpoint import Checkpoint, cosign_note, format_proof, sign_checkpoint
from saferoom_proto.dsse import Envelope
from saferoom_proto.keys import SigningKey
from saferoom_proto.wire import Recorded
from simulator.seeds import Seeds


class SimLedger:
    """An append-only log of salted commitments."""

    def __init__(self, origin: str, key: SigningKey, seeds: Seeds) -> None:
        self.origin: Final = origin
        self.key: Final = key
        self.signers: tuple[SigningKey, ...] = (key,)
        """Who signs heads: two of them while the log's key is handed over."""
        self._seeds: Final = seeds
        self._nodes: dict[tuple[int, int], bytes] = {}
        self._salts: dict[int, bytes] = {}
        self.size = 0
        self.index_of: dict[str, int] = {}
        """Where each statement stands, by its digest."""
        self.statements: list[Envelope] = []
        """In their order."""

    def copy(self) -> SimLedger:
        """Make another log with the same past, under the same key: two histories from here on."""
        other = SimLedger(self.origin, self.key, self._seeds)
        other._nodes, other._salts = dict(self._nodes), dict(self._salts)
        other.size, other.index_of = self.size, dict(self.index_of)
        other.statements = list(self.statements)
        return other

    def record(self, statement: Envelope, salt: bytes | None = None) -> int:
        """Append a statement, once; give its index."""
        if statement.digest not in self.index_of:
            salt = self._seeds.fresh(entry.SALT_BYTES) if salt is None else salt
            index = self.append(entry.leaf(entry.commitment(salt, statement.digest)))
            self._salts[index] = salt
            self.index_of[statement.digest] = index
            self.statements.append(statement)
        return self.index_of[statement.digest]

    def append(self, leaf: bytes) -> int:
        """Append any leaf; give its index."""
        index = self.size
        hashed = merkle.leaf_hash(leaf, self.key.suite)
        suite = self.key.suite
        for level, place, node in merkle.completed_nodes(index, hashed, self._node, suite):
            self._nodes[level, place] = node
        self.size += 1
        return index

    def checkpoint(self) -> Checkpoint:
        """Give the log's head."""
        root = merkle.root(self.size, self._node, self.key.suite)
        return Checkpoint(self.origin, self.size, root)

    def note(self) -> str:
        """Give the signed head."""
        first, *others = self.signers
        return cosign_note(sign_checkpoint(self.checkpoint(), first), self.origin, others)

    def inclusion(self, index: int, size: int | None = None) -> tuple[bytes, ...]:
        """Prove an entry under the head, or under an earlier size."""
        return merkle.inclusion_path(index, size or self.size, self._node, self.key.suite)

    def consistency(self, earlier: int, size: int | None = None) -> tuple[bytes, ...]:
        """Prove that the head extends an earlier size; nothing to prove from size 0."""
        if not earlier:
            return ()
        return merkle.consistency_path(earlier, size or self.size, self._node, self.key.suite)

    def recorded(self, statement: Envelope) -> Recorded:
        """Give a statement with what proves that it stands here."""
        index = self.record(statement)
        proof = format_proof(index, self.inclusion(index), self.note())
        return Recorded(statement, self._salts[index], proof)

    def _node(self, level: int, index: int) -> bytes:
        return self._nodes[level, index]
