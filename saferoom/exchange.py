"""What passes between the room and an enclave, as values."""

from __future__ import annotations

from dataclasses import dataclass

from saferoom_proto.dsse import Envelope


@dataclass(frozen=True, slots=True)
class Unlocking:
    """What opens an enclave.

    Attributes:
        endorsement: its key agent's.
        sealed_keys: sealed to the enclave.
        recoveries: the owner's decision that this older copy goes on; empty without one.
    """

    endorsement: Envelope
    sealed_keys: bytes
    recoveries: tuple[Envelope, ...] = ()


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an enclave stands.

    Attributes:
        unlocked: it has its keys.
        sequence: the last statement of its stream that it took.
        running: the stream's running hash there.
        head_nonce: what the next head must sign.
        ledger_size: of the newest checkpoint it has accepted.
        sandbox_level: 0 to 3.
        sandbox_missing: what the sandbox lacks.
        has_data: it has a store to answer from.
        chain_length: entries of its own chain so far.
        store_fault: why the store that was loaded last does not open; empty if it does.
    """

    unlocked: bool
    sequence: int
    running: str
    head_nonce: bytes
    ledger_size: int
    sandbox_level: int
    sandbox_missing: tuple[str, ...]
    has_data: bool
    chain_length: int
    store_fault: str


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """A statement of an enclave's, to be recorded before it counts.

    Attributes:
        statement: the enclave's.
        salt: the 32 bytes that the ledger entry's commitment is made with.
        chain_index: its place in the enclave's own chain.
        order: for a snapshot, the approver's order it carries out; for the end of a job, the
            institution's word that ended it, if one did.
    """

    statement: Envelope
    salt: bytes
    chain_index: int
    order: Envelope | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """An enclave's word on a request, and what is sealed to its asker (empty for a refusal)."""

    entry: OutboxEntry
    sealed: bytes


@dataclass(frozen=True, slots=True)
class BatchBegun:
    """A batch is under way; its rows are wanted, or it was judged to its end earlier."""

    rows_wanted: bool


@dataclass(frozen=True, slots=True)
class BatchProgress:
    """How many of a batch's rows an enclave has judged, durably."""

    judged: int


@dataclass(frozen=True, slots=True)
class BatchVerdict:
    """An enclave's word on a batch, and the batch's secret, sealed (empty for a refusal)."""

    entry: OutboxEntry
    sealed_secret: bytes


@dataclass(frozen=True, slots=True)
class BatchChunk:
    """What became of rows that follow each other, sealed, and the proof of their root."""

    number: int
    sealed: bytes
    proof: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class BatchWord:
    """An owner's word on a batch.

    Attributes:
        owner: whose.
        sealed_secret: opens the batch's chunks, sealed to the asker; empty for a refusal.
    """

    owner: str
    sealed_secret: bytes


BatchTold = BatchBegun | BatchProgress | BatchVerdict | BatchChunk
"""What an enclave tells of a batch, in this order."""


@dataclass(frozen=True, slots=True)
class AttestedClaims:
    """An enclave's evidence for a challenge: its signed claims, and what vouches for them."""

    claims: Envelope
    kind: str
    quote: bytes


@dataclass(frozen=True, slots=True)
class OutboxProof:
    """An outbox entry's inclusion in the ledger, under a head's checkpoint."""

    chain_index: int
    ledger_index: int
    hashes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Delivery:
    """The next statements of a stream, a head at their end, and proofs.

    Attributes:
        statements: the first of them follows the enclave's place.
        head: signed for the enclave's nonce.
        consistency: from the checkpoint it accepted last to the head's.
        proofs: of outbox entries, under the head's checkpoint.
        cosigned: the newest checkpoint that the charter's witnesses cosigned; empty if the enclave
            has it, or the charter demands none.
        cosigned_consistency: from that to the head's.
    """

    statements: tuple[Envelope, ...]
    head: Envelope
    consistency: tuple[bytes, ...]
    proofs: tuple[OutboxProof, ...]
    cosigned: str = ""
    cosigned_consistency: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Loaded:
    """What became of a load: the snapshot to be recorded, or which rows were refused.

    Attributes:
        snapshot: none if rows were refused.
        sealed_faults: which, sealed to whoever ordered the load; empty if none were. Of linked
            tables always there: how many rows found their subject.
    """

    snapshot: OutboxEntry | None
    sealed_faults: bytes
