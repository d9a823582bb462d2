"""Where an enclave stands, as the room is told."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where an enclave stands, for the room.

    Attributes:
        unlocked: it has its keys, and its endorsement counts now.
        sequence: the last statement it took.
        running: the running hash there.
        head_nonce: a nonce for the next head; empty while it has no keys.
        ledger_size: size of the newest ledger checkpoint it accepted.
        sandbox_level: 0 to 3.
        sandbox_missing: what the sandbox lacks.
        has_data: it has a store to answer from.
        chain_length: entries of its own chain.
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
