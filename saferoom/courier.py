"""What to bring an enclave next: statements of its stream, a head at their end, and proofs.

The courier keeps count, for one run of one enclave, of where it stands in its stream. It sends
nothing itself (`session.py` does).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from saferoom.archive import Archive, StreamItem
from saferoom.exchange import Delivery, OutboxProof, Standing
from saferoom.ledger.entries import Tip
from saferoom.ledger.ledger import Ledger
from saferoom.outbox import Outbox
from saferoom.signing import Signer
from saferoom_proto.checkpoint import Checkpoint, Note
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import b64
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Head
from saferoom_proto.statements.base import whole_milliseconds

MAX_STATEMENTS: Final = 500
MAX_STATEMENT_BYTES: Final = 512 * 1024
"""Half of the largest message; one statement alone is always smaller than a quarter."""
MAX_PROOFS: Final = 128
"""About 4 ms to compute; the loop serves calls in between."""


@dataclass(frozen=True, slots=True)
class HeadSigner:
    """Signs stream heads in a room's name."""

    origin: str
    signer: Signer
    clock: Callable[[], datetime]

    def sign(self, owner: str, sequence: int, running: str, note: str, nonce: bytes) -> Envelope:
        """Sign where an owner's stream stands, under a checkpoint, for an enclave's nonce."""
        head = Head(
            room=self.origin,
            owner=owner,
            sequence=sequence,
            running=running,
            checkpoint=note,
            nonce=b64(nonce),
            time=whole_milliseconds(self.clock()),
        )
        return self.signer.seal(head)


class Courier:
    """Keeps count of what one enclave has of its stream.

    Args:
        owner: whose enclave.
        ledger: gives checkpoints and proofs.
        archive: gives the stream.
        signer: signs heads.
        outbox: tells which of its own entries the enclave lacks the proof of.
        standing: where the enclave stands.
        cosigned: gives the newest checkpoint that the owner's witnesses cosigned, or nothing.
    """

    def __init__(
        self,
        owner: str,
        *,
        ledger: Ledger,
        archive: Archive,
        signer: HeadSigner,
        outbox: Outbox,
        standing: Standing,
        cosigned: Callable[[str], str],
    ) -> None:
        self._owner: Final = owner
        self._ledger: Final = ledger
        self._archive: Final = archive
        self._signer: Final = signer
        self._outbox: Final = outbox
        self.standing = standing
        self._cosigned: Final = cosigned
        self._brought = ""

    @property
    def behind(self) -> bool:
        """Whether the next delivery should not wait for its turn.

        A few proofs wait: under load a delivery for each answer would cost as much as the answer.
        """
        many = self._outbox.proofs_lacked >= MAX_PROOFS
        return many or self.standing.sequence < self.newest

    @property
    def newest(self) -> int:
        """The number of the newest statement in the owner's stream."""
        return self._ledger.tip().stream(self._owner).sequence

    async def next(self) -> Delivery:
        """Assemble the next delivery.

        Raises:
            SafeRoomError: `BROKEN_STREAM` if the enclave is ahead of the room's own log: this is
                an older copy of the room.
        """
        # Step 1: one view of the log, so that stream, checkpoint and proofs fit each other.
        tip = self._ledger.tip()
        self._require_not_ahead(tip)
        # Step 2: the statements that the enclave lacks, as many as one message holds.
        items = await self._items(tip)
        sequence, running = self.standing.sequence, self.standing.running
        if items:
            sequence, running = items[-1].sequence, items[-1].running
        # Step 3: the proof that the log only grew, and where the enclave's own entries stand.
        consistency: tuple[bytes, ...] = ()
        if 0 < self.standing.ledger_size < tip.size:
            consistency = self._ledger.consistency(self.standing.ledger_size, tip.size)
        proofs = self._proofs(tip)
        note, joined = self._witnessed(tip)
        # Step 4: the head, for the enclave's own nonce.
        head = self._signer.sign(self._owner, sequence, running, tip.note, self.standing.head_nonce)
        envelopes = tuple(item.envelope for item in items)
        return Delivery(envelopes, head, consistency, proofs, note, joined)

    def delivered(self, delivery: Delivery, standing: Standing) -> None:
        """The enclave took a delivery, and now stands here."""
        self.standing = standing
        self._brought = delivery.cosigned or self._brought
        for proof in delivery.proofs:
            self._outbox.proven(proof.chain_index)

    async def _items(self, tip: Tip) -> tuple[StreamItem, ...]:
        newest = tip.stream(self._owner).sequence
        if self.standing.sequence >= newest:
            return ()
        items = await self._archive.stream(
            self._owner, self.standing.sequence, newest, MAX_STATEMENTS
        )
        size = 0
        for count, item in enumerate(items):
            size += len(item.envelope.payload)
            if count and size > MAX_STATEMENT_BYTES:
                return items[:count]
        return items

    def _witnessed(self, tip: Tip) -> tuple[str, tuple[bytes, ...]]:
        """Give what the owner's witnesses cosigned since, and the proof that the tip extends it."""
        note = self._cosigned(self._owner)
        if not note or note == self._brought:
            return "", ()
        size = Checkpoint.parse(Note.parse(note).text).size
        if size > tip.size:
            return "", ()  # it grew since the tip was looked at: the next delivery brings it
        return note, self._ledger.consistency(size, tip.size) if 0 < size < tip.size else ()

    def _proofs(self, tip: Tip) -> tuple[OutboxProof, ...]:
        return tuple(
            OutboxProof(chain_index, ledger_index, self._ledger.proof(ledger_index, tip.size))
            for chain_index, ledger_index in self._outbox.unproven(tip.size, MAX_PROOFS)
        )

    def _require_not_ahead(self, tip: Tip) -> None:
        stands, own = self.standing, tip.stream(self._owner)
        fork = stands.sequence == own.sequence and stands.running != own.running
        if fork or stands.sequence > own.sequence or stands.ledger_size > tip.size:
            detail = (
                f"the enclave follows {stands.sequence} statements and a log of "
                f"{stands.ledger_size}; here are {own.sequence} and {tip.size}"
            )
            raise SafeRoomError(Reason.BROKEN_STREAM, detail)
