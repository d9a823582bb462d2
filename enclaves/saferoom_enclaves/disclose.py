"""A subject sees what is held about it: the one way on which values of records leave.

    claim     the subject itself asks (`claim.py`)            Claimed
    collect   its rows and features are read (`held.py`)      Sealed[Held]
    release   sealed to it, signed, in the chain (`gate.py`)  Released   (one commit)

Nothing is charged. What fails while reading depends on records, and says the same for all.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from saferoom_enclaves.claim import Claimed, Claims, claim
from saferoom_enclaves.clock import EnclaveClock
from saferoom_enclaves.freshness import Freshness
from saferoom_enclaves.gate import Gate, Grounds, Released, collect
from saferoom_enclaves.held import Records
from saferoom_enclaves.journal import Journal, Judged
from saferoom_enclaves.logs import Log, places
from saferoom_enclaves.standing import Standing
from saferoom_enclaves.state import State
from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements.base import whole_milliseconds


class Disclosures:
    """Answers subjects.

    Args:
        state: the enclave's database, opened.
        standing: what is in force.
        records: reads the store.
        journal: the enclave's chain.
        gate: where what is held leaves.
        clock: the enclave's clock.
        freshness: how old its newest head is: a revoked certificate must be known.
        grounds: under what it speaks; refuses with `LOCKED` while it may not.
        log: the operator's.
    """

    def __init__(
        self,
        *,
        state: State,
        standing: Standing,
        records: Records,
        journal: Journal,
        gate: Gate,
        clock: EnclaveClock,
        freshness: Freshness,
        grounds: Callable[[datetime], Grounds],
        log: Log,
    ) -> None:
        self._state: Final = state
        self._standing: Final = standing
        self._records: Final = records
        self._journal: Final = journal
        self._gate: Final = gate
        self._clock: Final = clock
        self._freshness: Final = freshness
        self._grounds: Final = grounds
        self._log: Final = log
        self._claims: Final = Claims(state)

    def disclose(self, envelope: Envelope) -> Judged:
        """Show a subject what is held about it; a repeat gets the same bytes.

        Raises:
            SafeRoomError: whatever `claim` refuses with; `NONCE_REUSED`, `TOO_MANY_REQUESTS`;
                `NO_DATA`, `WITHHELD`; `LOCKED`, `STALE_HEAD`, `OUTBOX_WAITING`. Nothing is
                recorded then.
        """
        now = whole_milliseconds(self._clock.now())
        grounds = self._grounds(now)
        most_seconds = self._standing.charter.charter.max_head_age_seconds
        self._freshness.require_fresh(most_seconds)
        self._journal.require_recorded(now, timedelta(seconds=most_seconds))
        try:
            with self._state.transaction():
                return self._answer(envelope, grounds, now)
        except BaseException:
            self._journal.reload()
            raise

    def _answer(self, envelope: Envelope, grounds: Grounds, now: datetime) -> Judged:
        claimed = claim(envelope, self._standing, now)
        earlier = self._claims.answered(claimed, now)
        if earlier is not None:
            return self._journal.read(earlier)
        judged = self._released(claimed, grounds, now).judged
        self._claims.remember(claimed, judged.entry.chain_index, now)
        return judged

    def _released(self, claimed: Claimed, grounds: Grounds, now: datetime) -> Released:
        try:
            return self._gate.disclose(claimed, collect(claimed, self._records), grounds, now)
        except Exception as error:
            if isinstance(error, SafeRoomError) and error.reason is Reason.NO_DATA:
                raise
            self._log.error("withheld", request=claimed.request_id, places=places(error))
            raise SafeRoomError(Reason.WITHHELD) from error
