"""The judge: signed questions in, signed verdicts out, many under one durable commit.

`docs/life-of-a-check.md` tells the same steps. A refusal before it is known who asks, and one that
will pass by itself, is plain: an error, nothing recorded. Every other refusal is a verdict, an
entry of the chain like an answer, made on the same way and at the same price of time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from saferoom_enclaves.admit import Asked, Rules, admit, allow, identify
from saferoom_enclaves.appraise import (
    Appraised,
    Inquired,
    appraise,
    inquire,
    is_inquiry,
    refuse,
)
from saferoom_enclaves.approved import ApprovedUse
from saferoom_enclaves.band_index import BandIndex
from saferoom_enclaves.bands import Bands
from saferoom_enclaves.charge import Charged, charge
from saferoom_enclaves.gate import CellIndex, Gate, Moment, Released, execute
from saferoom_enclaves.journal import Journal, Judged
from saferoom_enclaves.logs import Log, places
from saferoom_enclaves.requests import Requests, Seen
from saferoom_enclaves.spending import Spending
from saferoom_enclaves.state import State
from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import Reason, SafeRoomError

PASSING: Final = frozenset({Reason.NO_DATA, Reason.STORE_DAMAGED, Reason.INTERNAL})
"""Refusals that say nothing about the question; it may be asked again as it is."""

Outcome = Judged | SafeRoomError


class Judge:
    """Judges signed questions, several under one commit.

    Args:
        state: the enclave's database, opened.
        rules: what questions are held to.
        requests: which were asked before.
        spending: the leakage ledger.
        journal: the enclave's chain.
        gate: where answers leave.
        ready: under what it speaks now; refuses while it may not.
        index: the features of the store; refuses with `NO_DATA` while there is none.
        bands: the bands of scores.
        log: the operator's.
    """

    def __init__(
        self,
        *,
        state: State,
        rules: Rules,
        requests: Requests,
        spending: Spending,
        journal: Journal,
        gate: Gate,
        ready: Callable[[], Moment],
        index: Callable[[], CellIndex],
        bands: Bands,
        log: Log,
    ) -> None:
        self._state: Final = state
        self._rules: Final = rules
        self._requests: Final = requests
        self._spending: Final = spending
        self._journal: Final = journal
        self._gate: Final = gate
        self._ready: Final = ready
        self._index: Final = index
        self._bands: Final = bands
        self._log: Final = log

    def judge(self, questions: Sequence[Envelope]) -> list[Outcome]:
        """Judge questions in order, and commit all that came of them at once.

        Returns:
            For each, the verdict, or the plain refusal of that one.

        Raises:
            SafeRoomError: `LOCKED`, `STALE_HEAD` or `OUTBOX_WAITING`: of all of them.
        """
        # 5.1: it may speak.
        moment = self._ready()
        with self._state.transaction():
            return [self._outcome(question, moment) for question in questions]

    def _outcome(self, question: Envelope, moment: Moment) -> Outcome:
        changes = self._state.changes
        try:
            return self._one(question, moment)
        except Exception as error:
            # What wrote something cannot be undone by itself: then none of them counts.
            if self._state.changes != changes:
                raise
            if isinstance(error, SafeRoomError):
                return error
            self._log.error("failed", request=question.digest, places=places(error))
            return SafeRoomError(Reason.INTERNAL, type(error).__name__)

    def _one(self, question: Envelope, moment: Moment) -> Judged:
        if is_inquiry(question):
            return self._price(question, moment)
        # 5.2 and 5.3: whose question, asked before or not.
        asked = identify(question, self._rules.standing, moment.now)
        seen = self._requests.look_up(asked.request, asked.request_id)
        if seen.answered is not None:
            return self._journal.read(seen.answered)
        judged = self._verdict(asked, seen, moment).judged
        index = judged.entry.chain_index
        self._requests.remember(asked.request, asked.request_id, seen, index)
        return judged

    def _verdict(self, asked: Asked, seen: Seen, moment: Moment) -> Released:
        try:
            admitted = admit(asked, seen, self._rules, moment.now)
            index = self._index_of(admitted.use)
            # Step 6: the price, before a record is looked at.
            charged = charge(
                admitted,
                self._spending,
                self._rules.consents,
                self._rules.standing.charter.charter,
                epoch=moment.grounds.epoch,
                now=moment.now,
            )
        except SafeRoomError as refusal:
            if refusal.reason in PASSING:
                raise
            return self._refuse(asked, refusal, moment)
        return self._answer(charged, index, moment)

    def _answer(self, charged: Charged, index: CellIndex | BandIndex, moment: Moment) -> Released:
        asked = charged.admitted.asked
        changes = self._state.changes
        try:
            # Steps 7 and 8: the answer under seal, and out through the gate.
            return self._gate.release(charged, execute(charged, index), moment)
        except Exception as error:
            if self._state.changes != changes:
                raise
            # Whatever depends on a record says the same, and the price stays paid.
            self._log.error("withheld", request=asked.request_id, places=places(error))
            return self._gate.refuse(asked, Reason.WITHHELD, moment, charged.charges)

    def _price(self, request: Envelope, moment: Moment) -> Judged:
        """Tell what a question would cost: the steps of a question up to its price."""
        inquired = inquire(request, self._rules.standing, moment.now)
        seen = self._requests.look_up(inquired.request, inquired.request_id)
        if seen.answered is not None:
            return self._journal.read(seen.answered)
        appraised = self._appraised(inquired, seen, moment)
        judged = self._gate.tell(appraised, moment).judged
        index = judged.entry.chain_index
        self._requests.remember(inquired.request, inquired.request_id, seen, index)
        return judged

    def _appraised(self, inquired: Inquired, seen: Seen, moment: Moment) -> Appraised:
        try:
            allowed = allow(inquired.request, inquired.agreement, seen, self._rules, moment.now)
            self._index_of(allowed.use)
        except SafeRoomError as refusal:
            if refusal.reason in PASSING:
                raise
            return refuse(inquired, refusal.reason)
        epoch, now = moment.grounds.epoch, moment.now
        charter = self._rules.standing.charter.charter
        return appraise(inquired, allowed, self._spending, charter, epoch=epoch, now=now)

    def _index_of(self, use: ApprovedUse) -> CellIndex | BandIndex:
        """Give what the answer is read from, having made sure that what is asked is computed."""
        # 5.10: there is a store.
        index = self._index()
        use.require_computed(index.features)
        return index if use.part.score is None else self._bands.of(use, use.part.score)

    def _refuse(self, asked: Asked, refusal: SafeRoomError, moment: Moment) -> Released:
        self._log.refused(asked.request_id, asked.request.institution, refusal)
        return self._gate.refuse(asked, refusal.reason, moment)
