"""The judge: signed questions in, signed verdicts out, many under one durable commit.

`docs/life-of-a-check.md` tells the same steps. A refusal before it is known who asks, and one that
will pass by itself, is plain: an error, nothing recorded. Every other refusal is a verdict, an
entry of the chain like an answer, made on the same way and at the same price of time.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

from saferoom_enclaves.admit import Admitted, Asked, Rules, admit, identify
from saferoom_enclaves.charge import Charged, charge
from saferoom_enclaves.clock import EnclaveClock
from saferoom_enclaves.freshness import Freshness
from saferoom_enclaves.gate import CellIndex, Gate, Grounds, Released, execute
from saferoom_enclaves.journal import Journal, Judged
from saferoom_enclaves.logs import Log, places
from saferoom_enclaves.spending import Spending
from saferoom_enclaves.state import State
from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements.base import whole_milliseconds

PASSING: Final = frozenset({Reason.NO_DATA, Reason.STORE_DAMAGED, Reason.INTERNAL})
"""Refusals that say nothing about the question; it may be asked again as it is."""

Outcome = Judged | SafeRoomError


class Judge:
    """Judges batches of signed questions.

    Args:
        state: the enclave's database, opened.
        rules: what questions are held to.
        spending: the leakage ledger.
        journal: the enclave's chain.
        gate: where answers leave.
        clock: the enclave's clock.
        freshness: how old its newest head is.
        grounds: under what it speaks; refuses with `LOCKED` while it may not.
        index: the features of the store; refuses with `NO_DATA` while there is none.
        log: the operator's.
    """

    def __init__(
        self,
        *,
        state: State,
        rules: Rules,
        spending: Spending,
        journal: Journal,
        gate: Gate,
        clock: EnclaveClock,
        freshness: Freshness,
        grounds: Callable[[datetime], Grounds],
        index: Callable[[], CellIndex],
        log: Log,
    ) -> None:
        self._state: Final = state
        self._rules: Final = rules
        self._spending: Final = spending
        self._journal: Final = journal
        self._gate: Final = gate
        self._clock: Final = clock
        self._freshness: Final = freshness
        self._grounds: Final = grounds
        self._index: Final = index
        self._log: Final = log

    def judge(self, questions: Sequence[Envelope]) -> list[Outcome]:
        """Judge questions in order, and commit all that came of them at once.

        Returns:
            For each, the verdict, or the plain refusal of that one.

        Raises:
            SafeRoomError: `LOCKED`, `STALE_HEAD` or `OUTBOX_WAITING`: of all of them.
        """
        now = whole_milliseconds(self._clock.now())
        self._require_ready(now)
        try:
            with self._state.transaction():
                return [self._outcome(question, now) for question in questions]
        except BaseException:
            self._journal.reload()
            raise

    def _require_ready(self, now: datetime) -> None:
        self._grounds(now)
        most_seconds = self._rules.standing.charter.charter.max_head_age_seconds
        self._freshness.require_fresh(most_seconds)
        self._journal.require_recorded(now, timedelta(seconds=most_seconds))

    def _outcome(self, question: Envelope, now: datetime) -> Outcome:
        try:
            with self._state.part():
                return self._one(question, now)
        except SafeRoomError as error:
            return error
        except sqlite3.Error:
            raise  # of the whole batch
        except Exception as error:  # noqa: BLE001 - the others of the batch go on
            self._journal.reload()
            self._log.error("failed", request=question.digest, places=places(error))
            return SafeRoomError(Reason.INTERNAL, type(error).__name__)

    def _one(self, question: Envelope, now: datetime) -> Judged:
        # Step 3: whose question, asked before or not.
        asked = identify(question, self._rules.standing, now)
        answered = self._rules.requests.answered(asked.request_id)
        if answered is not None:
            return self._journal.read(answered)
        judged = self._verdict(asked, now).judged
        self._rules.requests.remember(asked.request, asked.request_id, judged.entry.chain_index)
        return judged

    def _verdict(self, asked: Asked, now: datetime) -> Released:
        grounds = self._grounds(now)
        try:
            admitted = admit(asked, self._rules, now)
            index = self._index_of(admitted)
            # Step 4: the price, before a record is looked at.
            charged = charge(
                admitted,
                self._spending,
                self._rules.consents,
                self._rules.standing.charter.charter,
                epoch=0 if grounds.store is None else grounds.store.epoch,
                now=now,
            )
        except SafeRoomError as refusal:
            if refusal.reason in PASSING:
                raise
            return self._refuse(asked, refusal, grounds, now)
        return self._answer(charged, index, grounds, now)

    def _answer(
        self, charged: Charged, index: CellIndex, grounds: Grounds, now: datetime
    ) -> Released:
        asked = charged.admitted.asked
        try:
            # Steps 5 and 6: the answer under seal, and out through the gate.
            with self._state.part():
                return self._gate.release(charged, execute(charged, index), grounds, now)
        except sqlite3.Error:
            raise
        except Exception as error:  # noqa: BLE001 - whatever depends on a record says the same
            self._journal.reload()
            self._log.error("withheld", request=asked.request_id, places=places(error))
            reason = Reason.BAD_SEAL if _of_reply_key(error) else Reason.WITHHELD
            return self._gate.refuse(asked, reason, grounds, now, charged.charges)

    def _index_of(self, admitted: Admitted) -> CellIndex:
        """Give the store's features, having made sure that those asked about are among them."""
        index = self._index()
        if missing := admitted.use.features.keys() - index.features:
            raise SafeRoomError(Reason.NO_DATA, f"not computed: {min(missing)}")
        return index

    def _refuse(
        self, asked: Asked, refusal: SafeRoomError, grounds: Grounds, now: datetime
    ) -> Released:
        self._log.info(
            "refused",
            request=asked.request_id,
            institution=asked.request.institution,
            reason=str(refusal.reason),
            detail=refusal.detail,
        )
        return self._gate.refuse(asked, refusal.reason, grounds, now)


def _of_reply_key(error: Exception) -> bool:
    """Tell whether the asker's own key could not be sealed to, which no record decides."""
    return isinstance(error, SafeRoomError) and error.reason is Reason.BAD_SEAL
