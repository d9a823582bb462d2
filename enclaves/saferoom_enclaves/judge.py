"""The judge: signed questions in, signed verdicts out, many under one durable commit.

`docs/life-of-a-check.md` tells the same steps. A refusal before it is known who asks, and one that
will pass by itself, is plain: an error, nothing recorded. Every other refusal is a verdict, an
entry of the chain like an answer, made on the same way and at the same price of time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from saferoom_enclaves.admit import Admitted, Asked, Rules, admit, allow, identify
from saferoom_enclaves.appraise import (
    Appraised,
    Inquired,
    appraise,
    inquire,
    is_inquiry,
    refuse,
)
from saferoom_enclaves.approved import ApprovedUse, BoundUse
from saferoom_enclaves.charge import Charged, charge
from saferoom_enclaves.fetched.records import FetchedRecords, OneSubject
from saferoom_enclaves.fetched.wanting import Needed
from saferoom_enclaves.gate import CellIndex, Gate, Moment, Released, execute
from saferoom_enclaves.index import FeatureIndex
from saferoom_enclaves.journal import Journal, Judged
from saferoom_enclaves.logs import Log, places
from saferoom_enclaves.offers import Matching, Offered, Offers
from saferoom_enclaves.pricing import price
from saferoom_enclaves.requests import Requests, Seen
from saferoom_enclaves.scores.bands import Bands
from saferoom_enclaves.scores.index import BandIndex
from saferoom_enclaves.spending import Question, Spending
from saferoom_enclaves.state import State
from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import Reason, SafeRoomError

PASSING: Final = frozenset(
    {
        Reason.NO_DATA,
        Reason.STORE_DAMAGED,
        Reason.SOURCE_PENDING,
        Reason.SOURCE_UNAVAILABLE,
        Reason.INTERNAL,
        Reason.UNAVAILABLE,
    }
)
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
        fetched: what was fetched of sources.
        offers: those of blind matches under way.
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
        index: Callable[[], FeatureIndex],
        bands: Bands,
        fetched: FetchedRecords,
        offers: Offers,
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
        self._fetched: Final = fetched
        self._offers: Final = offers
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

    def wanted(self, question: Envelope) -> tuple[Needed, ...]:
        """Tell what must be fetched before a question can be judged.

        Nothing for one that would be refused, or that could not be paid: judging says so.
        """
        if is_inquiry(question):
            return ()
        try:
            moment = self._ready()
            asked = identify(question, self._rules.standing, moment.now)
            seen = self._requests.look_up(asked.request, asked.request_id)
            if seen.answered is not None:
                return ()
            request, now = asked.request, moment.now
            allowed = allow(request, asked.agreement, seen, self._rules, now, offer=asked.offer)
            self._require_there(allowed.use)
            self._require_payable(asked, allowed.bound, moment)
            subject, fetched = asked.request.subject, allowed.use.fetched
            return self._fetched.wanted(allowed, subject, fetched, moment.now)
        except SafeRoomError:
            return ()

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
            epoch, now = moment.grounds.epoch, moment.now
            offered = self._offers.followed(asked.request, epoch, now)
            admitted = admit(asked, seen, self._rules, now, offered)
            index = self._cells_of(admitted, moment)
            matching = self._matching(admitted, offered, moment)
            # Step 6: the price, before a record is looked at.
            charged = charge(
                admitted,
                self._spending,
                self._rules.consents,
                self._rules.standing.charter.charter,
                epoch=epoch,
                now=now,
            )
        except SafeRoomError as refusal:
            if refusal.reason in PASSING:
                raise
            return self._refuse(asked, refusal, moment)
        return self._answer(charged, index, matching, moment)

    def _matching(
        self, admitted: Admitted, offered: Offered | None, moment: Moment
    ) -> Matching | None:
        """Take a key for the first message of a blind match, or that of the offer it follows."""
        request, consent = admitted.asked.request, admitted.consent
        if not admitted.use.blind:
            return None
        if offered is not None:
            return self._offers.second(offered, request)
        # What cannot be paid takes no key from those who can pay.
        self._require_payable(admitted.asked, admitted.bound, moment)
        return self._offers.first(
            admitted.asked.request_id,
            request,
            epoch=moment.grounds.epoch,
            consent=None if consent is None else consent.digest,
            now=moment.now,
        )

    def _answer(
        self,
        charged: Charged,
        index: CellIndex | BandIndex,
        matching: Matching | None,
        moment: Moment,
    ) -> Released:
        asked = charged.admitted.asked
        changes = self._state.changes
        try:
            # Steps 7 and 8: the answer under seal, and out through the gate.
            return self._gate.release(charged, execute(charged, index, matching), moment)
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
            request, offer, now = inquired.request, inquired.request_id, moment.now
            allowed = allow(request, inquired.agreement, seen, self._rules, now, offer=offer)
            self._require_there(allowed.use)
        except SafeRoomError as refusal:
            if refusal.reason in PASSING:
                raise
            return refuse(inquired, refusal.reason)
        epoch, now = moment.grounds.epoch, moment.now
        charter = self._rules.standing.charter.charter
        return appraise(inquired, allowed, self._spending, charter, epoch=epoch, now=now)

    def _cells_of(self, admitted: Admitted, moment: Moment) -> CellIndex | BandIndex:
        """Give what a question is answered from, having made sure that it is there."""
        # 5.10: there is a store.
        use, subject = admitted.use, admitted.asked.request.subject
        index = self._require_there(use)
        if not use.fetched or isinstance(index, BandIndex):
            return index
        # What could not be paid is refused, whether its source can be reached or not.
        self._require_payable(admitted.asked, admitted.bound, moment)
        parts = self._fetched.parts(subject, use.fetched, moment.now)
        return OneSubject(subject, dict.fromkeys(use.features, index) | parts)

    def _require_there(self, use: ApprovedUse) -> FeatureIndex | BandIndex:
        """Give what is computed of the store, if what is asked about is in it or can be fetched."""
        self._fetched.require_sound(use.fetched)
        # An answer names its store, also where all that it rests on was fetched.
        index = self._index()
        use.require_computed(index.features)
        if use.part.score is None:
            return index
        if use.fetched:
            raise SafeRoomError(Reason.NOT_ALLOWED, "a score reads features of the store")
        return self._bands.of(use, use.part.score)

    def _require_payable(self, asked: Asked, bound: BoundUse, moment: Moment) -> None:
        """Refuse with `OVER_BUDGET` what charging would refuse, and spend nothing."""
        question = Question(
            group=asked.agreement.agreement.group,
            subject=asked.request.subject,
            epoch=moment.grounds.epoch,
            asks=bound.asks,
        )
        charter = self._rules.standing.charter.charter
        if not price(self._spending, question, charter, moment.now).within:
            raise SafeRoomError(Reason.OVER_BUDGET, "before its source is asked or a key is taken")

    def _refuse(self, asked: Asked, refusal: SafeRoomError, moment: Moment) -> Released:
        self._log.refused(asked.request_id, asked.request.institution, refusal)
        return self._gate.refuse(asked, refusal.reason, moment)
