"""A subject sees what is held about it: the one way on which values of records leave.

    claim     the subject itself asks (`claim.py`)            Claimed
    collect   its rows and features are read (`held.py`)      Sealed[Held]   (beside the work)
    release   sealed to it, signed, in the chain (`gate.py`)  Released   (one commit)

Nothing is charged. What fails while reading depends on records, and says the same for all.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from saferoom_enclaves.batches.about_subjects import Search
from saferoom_enclaves.claim import Claimed, Claims, claim
from saferoom_enclaves.gate import Gate, Moment, Sealed, collect
from saferoom_enclaves.held import Held, Reading, Records
from saferoom_enclaves.journal import Journal, Judged
from saferoom_enclaves.logs import Log, places
from saferoom_enclaves.standing import Standing
from saferoom_enclaves.state import State
from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import Reason, SafeRoomError


@dataclass(frozen=True, slots=True)
class Begun:
    """A disclosure that may go on: its reading, which any thread may do, and nobody waits for."""

    envelope: Envelope
    claimed: Claimed
    reading: Reading
    log: Log

    def collect(self) -> Sealed[Held]:
        """Read what is held, once.

        Raises:
            SafeRoomError: `WITHHELD`, whatever failed.
        """
        with self.withholding():
            return collect(self.claimed, self.reading)

    def close(self) -> None:
        """Let the store go: whoever began it does, whatever becomes of it."""
        self.reading.close()

    @contextmanager
    def withholding(self) -> Generator[None]:
        """Say the same of whatever depends on a record."""
        try:
            yield
        except Exception as error:
            request = self.claimed.request_id
            self.log.error("withheld", request=request, places=places(error))  # noqa: TRY400 - the log is the enclave's own
            raise SafeRoomError(Reason.WITHHELD) from error


class Disclosures:
    """Answers subjects.

    Args:
        state: the enclave's database, opened.
        standing: what is in force.
        records: reads the store.
        journal: the enclave's chain.
        gate: where what is held leaves.
        ready: under what it speaks now; refuses while it may not.
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
        ready: Callable[[], Moment],
        log: Log,
    ) -> None:
        self._state: Final = state
        self._standing: Final = standing
        self._records: Final = records
        self._journal: Final = journal
        self._gate: Final = gate
        self._ready: Final = ready
        self._log: Final = log
        self._claims: Final = Claims(state)

    def expect(self, envelope: Envelope) -> Judged | Claimed:
        """Tell who asks for what is held about it, before it waits; a repeat gets the same bytes.

        Raises:
            SafeRoomError: whatever `claim` refuses with; `NONCE_REUSED`, `TOO_MANY_REQUESTS`;
                `NO_DATA`; `LOCKED`, `STALE_HEAD`, `OUTBOX_WAITING`. Nothing is recorded then.
        """
        now = self._ready().now
        claimed = claim(envelope, self._standing, now)
        earlier = self._claims.answered(claimed, now)
        if earlier is not None:
            return self._journal.read(earlier)
        self._claims.require_another(claimed, now)
        return claimed

    def begin(self, envelope: Envelope, search: Search) -> Judged | Begun:
        """Let a subject be shown what is held about it, and count that; whoever gets it closes it.

        Args:
            envelope: its request.
            search: for its rows of batches.

        Raises:
            SafeRoomError: as `expect`.
        """
        claimed = self.expect(envelope)
        if isinstance(claimed, Judged):
            return claimed
        if search.subject != claimed.request.subject:
            raise SafeRoomError(Reason.INTERNAL, "a search for another subject's rows")
        reading = self._records.about(search, self._ready().now)
        try:
            with self._state.transaction():
                self._claims.count(claimed, self._ready().now)
        except BaseException:
            reading.close()
            raise
        return Begun(envelope, claimed, reading, self._log)

    def finish(self, begun: Begun, sealed: Sealed[Held]) -> Judged:
        """Let out what was read: what allowed it at the beginning must still hold.

        Raises:
            SafeRoomError: as `begin`, and `WITHHELD`.
        """
        moment = self._ready()
        now = moment.now
        with self._state.transaction():
            claimed = claim(begun.envelope, self._standing, now)
            earlier = self._claims.answered(claimed, now)
            if earlier is not None:
                return self._journal.read(earlier)
            with begun.withholding():
                judged = self._gate.disclose(claimed, sealed, moment).judged
            self._claims.remember(claimed, judged.entry.chain_index, now)
            return judged
