"""Following the owner's statement stream: all of a delivery, or nothing of it.

A head says which statement is the newest and which ledger it stands on, fresh for a nonce that the
enclave sent. Statements without gaps up to exactly that place are kept, each under its number; one
that does not verify has no effect and keeps its number, so that it cannot stop those after it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from saferoom_enclaves.clock import EnclaveClock
from saferoom_enclaves.consents import Consents
from saferoom_enclaves.freshness import Freshness
from saferoom_enclaves.gate import Grounds
from saferoom_enclaves.journal import InclusionClaim, Journal, OutboxEntry
from saferoom_enclaves.logs import Log, places
from saferoom_enclaves.marks import SeenLedger
from saferoom_enclaves.rowform import pack_arrival, unpack_arrival
from saferoom_enclaves.standing import Standing
from saferoom_enclaves.state import State
from saferoom_enclaves.witnessed import Known, Witnesses
from saferoom_proto import chain, merkle
from saferoom_proto.checkpoint import Checkpoint, open_checkpoint
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import b64, unb64
from saferoom_proto.keys import VerifyKey
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import (
    Acknowledgement,
    Consent,
    ConsentRevocation,
    Head,
    StreamPosition,
    load,
)
from saferoom_proto.verification import PinnedCharter, verify_head

MOST_STATEMENTS: Final = 1000
"""In one delivery, as the contract has it."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """The next statements, a head, proofs for what waits in the outbox, and witnesses' words."""

    statements: tuple[Envelope, ...]
    head: Envelope
    consistency: tuple[bytes, ...]
    proofs: tuple[InclusionClaim, ...]
    cosigned: str = ""
    """The newest checkpoint that the charter's witnesses cosigned; empty if nothing is new."""
    cosigned_consistency: tuple[bytes, ...] = ()
    """From that to the head's checkpoint."""


@dataclass(frozen=True, slots=True)
class _Checked:
    """A delivery that may be taken: its head, where it leads to, and which entries it proves."""

    head: Head
    position: StreamPosition
    checkpoint: Checkpoint
    proven: list[int]
    known: Known


class Follower:
    """Follows the stream.

    Args:
        state: the enclave's database, opened.
        standing: what is in force; deliveries change it.
        consents: the consents; deliveries change them.
        journal: where revocations are acknowledged.
        clock: the enclave's clock.
        freshness: its nonces.
        witnesses: their words.
        grounds: under what the enclave signs.
        log: the operator's.
    """

    def __init__(
        self,
        *,
        state: State,
        standing: Standing,
        consents: Consents,
        journal: Journal,
        clock: EnclaveClock,
        freshness: Freshness,
        witnesses: Witnesses,
        grounds: Callable[[], Grounds],
        log: Log,
    ) -> None:
        self._state: Final = state
        self._standing: Final = standing
        self._consents: Final = consents
        self._journal: Final = journal
        self._clock: Final = clock
        self._freshness: Final = freshness
        self._witnesses: Final = witnesses
        self._grounds: Final = grounds
        self._log: Final = log

    def rebuild(self) -> None:
        """Build what is in force again from the statements that were kept."""
        self._standing.clear()
        for sequence, row in self._state.numbered("statement"):
            statement, arrived = unpack_arrival(row.content)
            self._let(sequence, statement, arrived)

    def deliver(self, delivery: Delivery, now: datetime) -> list[OutboxEntry]:
        """Take a delivery whole.

        Returns:
            Acknowledgements of revocations among the statements.

        Raises:
            SafeRoomError: `BROKEN_STREAM`, `STALE_HEAD`, `HEAD_FROM_FUTURE`, `BAD_SIGNATURE`,
                `BAD_PROOF`, `MALFORMED`; nothing has changed.
        """
        checked = self._check(delivery)
        try:
            with self._state.transaction():
                acknowledged = self._take(delivery, checked, now)
        except BaseException:
            self.rebuild()
            raise
        self._clock.advance_to(checked.head.time)
        self._freshness.accept(checked.head.nonce)
        self._witnesses.accept(checked.known)
        return acknowledged

    def _check(self, delivery: Delivery) -> _Checked:
        # Step 1: where the statements lead to.
        if len(delivery.statements) > MOST_STATEMENTS:
            raise SafeRoomError(Reason.TOO_LARGE, f"at most {MOST_STATEMENTS} statements at once")
        before = self._state.marks.position.stream
        running = chain.head_of((each.whole for each in delivery.statements), before.running)
        sequence = before.sequence + len(delivery.statements)
        # Step 2: the head says the same, is the room's, for an open nonce, and not of the future.
        charter = self._standing.charter_after(delivery.statements)
        nonce = load(delivery.head, Head).nonce
        self._freshness.require_sent(nonce)
        head = verify_head(delivery.head, charter, nonce)
        if (head.sequence, head.running) != (sequence, running):
            detail = f"the head is at {head.sequence}, the statements lead to {sequence}"
            raise SafeRoomError(Reason.BROKEN_STREAM, detail)
        self._clock.require_not_ahead(head.time)
        # Step 3: its ledger extends the one seen last, and what witnesses cosigned, and holds what
        # is said to stand in it.
        checkpoint = self._check_ledger(head, charter, delivery)
        proven = self._journal.check(delivery.proofs, checkpoint)
        known = self._witnesses.check(
            charter.charter, checkpoint, delivery.cosigned, delivery.cosigned_consistency
        )
        position = StreamPosition(sequence=sequence, running=running)
        return _Checked(head, position, checkpoint, proven, known)

    def _check_ledger(self, head: Head, charter: PinnedCharter, delivery: Delivery) -> Checkpoint:
        key = VerifyKey.from_public(charter.charter.room_keys.ledger)
        checkpoint = open_checkpoint(head.checkpoint, charter.charter.room, key)
        seen = self._state.marks.ledger
        if seen is not None and seen.size:
            merkle.verify_consistency(
                seen.size,
                checkpoint.size,
                delivery.consistency,
                unb64(seen.root),
                checkpoint.root,
                suite=key.suite,
            )
        return checkpoint

    def _take(self, delivery: Delivery, checked: _Checked, now: datetime) -> list[OutboxEntry]:
        # Step 4: each statement under its number; what it says takes effect if it verifies.
        first = self._state.marks.position.stream.sequence + 1
        ledger = SeenLedger(size=checked.checkpoint.size, root=b64(checked.checkpoint.root))
        self._state.marks = self._state.marks.with_stream(
            checked.position, ledger, max(now, checked.head.time)
        )
        acknowledged: list[OutboxEntry] = []
        for sequence, statement in enumerate(delivery.statements, start=first):
            if self._standing.concerns(statement):
                self._state.put("statement", sequence, pack_arrival(statement, now))
                self._let(sequence, statement, now)
            elif statement.payload_type in _OF_SUBJECTS:
                self._state.put("subject_statement", sequence, pack_arrival(statement, now))
                acknowledged += self._of_subject(sequence, statement, now)
        # Step 5: what is proven leaves the outbox.
        self._journal.release(checked.proven)
        return acknowledged

    def _let(self, sequence: int, statement: Envelope, arrived: datetime) -> None:
        try:
            self._standing.take(statement, arrived)
        except Exception as error:  # noqa: BLE001 - one statement must not stop those after it
            self._without_effect(sequence, statement, error)

    def _of_subject(
        self, sequence: int, statement: Envelope, arrived: datetime
    ) -> list[OutboxEntry]:
        try:
            with self._state.part():
                if statement.payload_type == Consent.payload_type():
                    self._consents.take(statement, sequence, arrived)
                    return []
                revocation = self._consents.revoke(statement, arrived)
        except sqlite3.Error:
            raise  # the disk's fault, not the statement's
        except Exception as error:  # noqa: BLE001 - one statement must not stop those after it
            self._without_effect(sequence, statement, error)
            return []
        return [self._acknowledge(revocation, statement.digest, arrived)]

    def _acknowledge(
        self, revocation: ConsentRevocation, digest: str, now: datetime
    ) -> OutboxEntry:
        grounds = self._grounds()
        payload = Acknowledgement(
            room=grounds.room,
            owner=grounds.owner,
            endorsement=grounds.endorsement,
            subject=revocation.subject,
            revocation=digest,
            consent=revocation.consent,
            stream=grounds.stream,
            chain=self._journal.link,
            time=now,
        )
        return self._journal.append(payload, now).entry

    def _without_effect(self, sequence: int, statement: Envelope, error: Exception) -> None:
        known = isinstance(error, SafeRoomError)
        self._log.warning(
            "statement without effect",
            sequence=sequence,
            kind=statement.payload_type,
            digest=statement.digest,
            reason=str(error.reason if known else Reason.INTERNAL),
            detail=error.detail if known else places(error),
        )


_OF_SUBJECTS: Final = frozenset({Consent.payload_type(), ConsentRevocation.payload_type()})
