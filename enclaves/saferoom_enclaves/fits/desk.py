"""A request for a training in the room, from its envelope to the enclave's word on it.

    identify, admit, charge    (begin)     a refusal is a verdict: signed, an entry of the chain
    (the price alone           (begin)     is a refusal that says it)
    fit a model                (beside the work, in a child: any thread waits for it)
    admit and charge again     (finish)    what allowed it must still hold
    release, or withhold                   one commit with the model, the run, and of whom it is

One request is under way at a time. Whatever stops it in between has told nothing and counted
nothing: the same request makes the same model again. But one that its asker ends once it has begun
counts, and so does one whose own time is over meanwhile, though its word, `EXPIRED`, names no run:
else an asker had models fitted for nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from importlib.util import find_spec
from typing import Final

from saferoom_enclaves.admit import Rules
from saferoom_enclaves.data import Data
from saferoom_enclaves.fits.admit import AskedFit, admit_fit, identify_fit
from saferoom_enclaves.fits.bands import BandLedger
from saferoom_enclaves.fits.charge import ChargedFit, charge_fit
from saferoom_enclaves.fits.gate import FitGate, ReleasedFit, SealedFit, make_fit
from saferoom_enclaves.fits.work import Beside, OverStore
from saferoom_enclaves.gate import Moment
from saferoom_enclaves.jobs.admit import identify_job, require_cancelled
from saferoom_enclaves.jobs.ground import MOST_GIVEN, JobGround
from saferoom_enclaves.jobs.uses import columns_of_part
from saferoom_enclaves.journal import Journal, Judged
from saferoom_enclaves.judge import PASSING
from saferoom_enclaves.logs import Log
from saferoom_enclaves.making import made_or_none
from saferoom_enclaves.requests import Requests, Seen
from saferoom_enclaves.state import State
from saferoom_enclaves.statistics.laplace import require_noise
from saferoom_enclaves.storework import StoreWork
from saferoom_proto.dsse import Envelope
from saferoom_proto.formula import FeatureRef
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements import PrivacySpent, StoreState
from saferoom_proto.statements.training import MOST_ROWS
from saferoom_proto.uscc import SUBJECT_BYTES

_SEEDS: Final = "fit_seed"
_LIBRARY: Final = "sklearn"


@dataclass(frozen=True, slots=True)
class BegunFit:
    """A request whose model may be fitted: in any thread, and nobody waits for it."""

    envelope: Envelope
    charged: ChargedFit
    seed: bytes
    over: OverStore
    log: Log

    def make_alone(self) -> SealedFit | None:
        """Fit the model on this owner's columns alone; as `make`.

        Raises:
            SafeRoomError: `CONFLICT` if other owners' are fitted too.
        """
        if self.charged.admitted.use.others:
            raise SafeRoomError(Reason.CONFLICT, "the other owners' enclaves are not asked")
        return self.make(None)

    def make(self, beside: Beside | None) -> SealedFit | None:
        """Fit the model, once; none whatever failed, for that may depend on records.

        Args:
            beside: what other owners gave.

        Raises:
            SafeRoomError: `UNAVAILABLE` if there is nobody to do it.
        """
        request = self.charged.admitted.asked.job

        def make() -> SealedFit:
            return make_fit(self.charged, self.over, self.seed, beside)

        return made_or_none(make, request, self.log)

    def find(self) -> bytes:
        """Find whom it would be fitted to; nobody whatever failed.

        Raises:
            SafeRoomError: as `make`.
        """
        request = self.charged.admitted.asked.job
        return made_or_none(lambda: self.over.find(self.charged), request, self.log) or b""

    def enough(self, subjects: bytes) -> bytes:
        """Give the subjects if they are enough, and no more than may be given; else nobody."""
        use, rows = self.charged.admitted.use, len(subjects) // SUBJECT_BYTES
        most = max((len(columns_of_part(each)) for each in use.others), default=0)
        enough = use.fit.least_rows <= rows <= MOST_ROWS and rows * most <= MOST_GIVEN
        return subjects if enough else b""

    def close(self) -> None:
        """Let the store go: whoever began it does, whatever becomes of it."""
        self.over.opened.close()


class FitDesk:
    """Answers requests for trainings in the room.

    Args:
        state: the enclave's database, opened.
        rules: what requests are held to.
        requests: which were asked before.
        journal: the enclave's chain.
        data: the store.
        work: has children fit models.
        ground: what jobs are held to.
        ready: under what it speaks now; refuses while it may not.
        randomness: gives so many random bytes.
        log: the operator's.
    """

    def __init__(
        self,
        *,
        state: State,
        rules: Rules,
        requests: Requests,
        journal: Journal,
        data: Data,
        work: StoreWork,
        ground: JobGround,
        ready: Callable[[], Moment],
        randomness: Callable[[int], bytes],
        log: Log,
    ) -> None:
        self._state: Final = state
        self._rules: Final = rules
        self._requests: Final = requests
        self._journal: Final = journal
        self._data: Final = data
        self._work: Final = work
        self._ground: Final = ground
        self._bands: Final = BandLedger(state, rules.standing)
        self._gate: Final = FitGate(state, journal, ground, self._bands, randomness)
        self._ready: Final = ready
        self._log: Final = log

    @property
    def now(self) -> datetime:
        """The present instant, while it may speak."""
        return self._ready().now

    def expect(self, envelope: Envelope) -> Judged | AskedFit:
        """Tell who asks, before it waits for its turn; a repeat gets the same bytes.

        Raises:
            SafeRoomError: as `identify_fit`; `LOCKED`, `STALE_HEAD`, `OUTBOX_WAITING`.
        """
        asked = identify_fit(envelope, self._rules.standing, self._ready().now)
        seen = self._seen(asked)
        return asked if seen.answered is None else self._journal.read(seen.answered)

    def begin(self, envelope: Envelope) -> Judged | BegunFit:
        """Let a model be fitted, or refuse it; whoever gets it closes it.

        Raises:
            SafeRoomError: as `expect`; `NO_DATA` while there is no store to train on;
                `TOO_MANY_REQUESTS`; `NOT_INSTALLED` where the enclave has no scikit-learn, or
                for bands no OpenDP.
        """
        asked = self.expect(envelope)
        if isinstance(asked, Judged):
            return asked
        if find_spec(_LIBRARY) is None:
            rule = "the owner's enclave lacks scikit-learn: pip install 'saferoom[room]' there"
            raise SafeRoomError(Reason.NOT_INSTALLED, rule, [FieldFault("enclave", rule)])
        moment = self._ready()
        with self._state.transaction():
            charged = self._charged(asked, self._seen(asked), moment)
            if isinstance(charged, Judged):
                return charged
            if charged.privacy is not None:
                require_noise()
            if asked.request.price:
                priced = self._gate.refuse(asked, Reason.PRICE_ONLY, moment, charged.privacy)
                return self._remembered(asked, self._seen(asked), priced)
        opened = self._data.opened()
        schema = self._rules.standing.schemas[opened.schema]
        over = OverStore(opened.held(), schema.loaded, self._work)
        return BegunFit(envelope, charged, self._seed(charged), over, self._log)

    def finish(self, begun: BegunFit, sealed: SealedFit | Reason | None) -> Judged:
        """Let out what was made, if all that allowed it at the beginning still holds.

        Args:
            begun: what is asked.
            sealed: what was fitted; the reason if another owner's enclave ended it.

        Raises:
            SafeRoomError: as `begin`; `UNAVAILABLE` if the store was changed meanwhile.
        """
        asked = self.expect(begun.envelope)
        if isinstance(asked, Judged):
            return asked
        moment = self._ready()
        with self._state.transaction():
            seen = self._seen(asked)
            charged = self._still_charged(asked, seen, begun, moment)
            if isinstance(charged, Judged):
                return charged
            if charged.store != begun.charged.store:
                raise SafeRoomError(Reason.UNAVAILABLE, "the store was changed meanwhile")
            if isinstance(sealed, Reason):
                return self._remembered(asked, seen, self._gate.refuse(asked, sealed, moment))
            return self._remembered(asked, seen, self._gate.release(charged, sealed, moment))

    def cancel(self, order: Envelope, envelope: Envelope, begun: BegunFit | None) -> Judged:
        """End a request by its institution's word; one that was answered stays as it is.

        Args:
            order: the institution's word.
            envelope: the request.
            begun: what of it is under way; none while it waits for its turn.

        Raises:
            SafeRoomError: as `begin`; as `require_cancelled`.
        """
        moment, standing = self._ready(), self._rules.standing
        job = identify_job(envelope, standing, moment.now)
        require_cancelled(order, job, moment.grounds.owner, standing, moment.now)
        asked = self.expect(envelope)
        if isinstance(asked, Judged):
            return asked
        with self._state.transaction():
            seen = self._seen(asked)
            charged = None
            if begun is not None:
                charged = self._still_charged(asked, seen, begun, moment)
            if isinstance(charged, Judged):
                return charged
            released = self._gate.cancel(asked, charged, order, moment)
            return self._remembered(asked, seen, released)

    def _seed(self, charged: ChargedFit) -> bytes:
        """Say which rows are held out: always the same of the same features over one store.

        So another request measures by the same rows and tells nothing that comes of others, and so
        does another template over these columns, by whatever name or algorithm; and by a secret of
        this enclave, so nobody chooses who is held out.
        """
        fit = charged.admitted.use.fit
        return self._state.cipher.find(
            _SEEDS, fit.label, *sorted(fit.features), charged.store.digest
        )

    def _seen(self, asked: AskedFit) -> Seen:
        return self._requests.look_up(asked.request, asked.job)

    def _charged(self, asked: AskedFit, seen: Seen, moment: Moment) -> ChargedFit | Judged:
        """Admit and charge, or record the refusal; with the price where that was asked."""
        self._ground.book.require_room_for(asked.request.institution, asked.group)
        price: PrivacySpent | None = None
        try:
            admitted = admit_fit(asked, seen, self._rules, moment.now)
            if asked.request.price:
                price = self._bands.price(admitted, moment.now)
            read = {each.ref for each in (*admitted.use.features, admitted.use.label)}
            store = self._store(moment, read)
            return charge_fit(admitted, self._ground.runs, self._bands, store, moment.now)
        except SafeRoomError as refusal:
            if refusal.reason in PASSING:
                raise
            self._log.refused(asked.job, asked.request.institution, refusal)
            told = price if refusal.reason is Reason.OVER_BUDGET else None
            refused = self._gate.refuse(asked, refusal.reason, moment, told)
            return self._remembered(asked, seen, refused)

    def _still_charged(
        self, asked: AskedFit, seen: Seen, begun: BegunFit, moment: Moment
    ) -> ChargedFit | Judged:
        """Admit and charge what was under way; it counts, too, if its own time is over."""
        charged = self._charged(asked, seen, moment)
        if isinstance(charged, Judged) and moment.now >= asked.request.not_after:
            # How long it took told something, and the asker chose when its time is over.
            self._gate.overtaken(begun.charged, moment)
        return charged

    def _store(self, moment: Moment, features: set[FeatureRef]) -> StoreState:
        """Give the store; `NO_DATA` unless all features that are read are computed of it."""
        store, missing = moment.grounds.store, features - self._data.index().features
        if store is None or missing:
            raise SafeRoomError(Reason.NO_DATA, "a feature of the template is not computed")
        return store

    def _remembered(self, asked: AskedFit, seen: Seen, released: ReleasedFit) -> Judged:
        judged = released.judged
        self._requests.remember(asked.request, asked.job, seen, judged.entry.chain_index)
        return judged
