"""What leaves of a training in the room, in one way only: a card, sealed to whoever asked.

The model stays here, sealed like that of a job. What is not told, and why, is told in one word,
whichever of these it was: too few rows or too few of one label; too near to what an earlier job was
trained on; its rows could be told from others; a weight beyond what a card has room for.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import InitVar, dataclass
from decimal import Decimal
from typing import Final, Protocol, final

from saferoom_enclaves.children.fit_jobs import Made
from saferoom_enclaves.evidence import Evidence, Hidden, Right
from saferoom_enclaves.fits.admit import AskedFit
from saferoom_enclaves.fits.bands import BandLedger
from saferoom_enclaves.fits.charge import ChargedFit
from saferoom_enclaves.fits.work import Beside
from saferoom_enclaves.fits.work import Outcome as Fitted
from saferoom_enclaves.gate import Moment
from saferoom_enclaves.jobs.ground import JobGround
from saferoom_enclaves.jobs.kept import MODELS, JobRecord, model_digest
from saferoom_enclaves.jobs.work import RefusedError
from saferoom_enclaves.journal import Journal, Judged
from saferoom_enclaves.state import State
from saferoom_proto.answer import SALT_BYTES
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import b64
from saferoom_proto.fit_bands import BandNoise, NoisyBand, ToldBand, told_bands
from saferoom_proto.fits import CARD_SEAL, MOST_WEIGHT, ModelCard, ToldWeight
from saferoom_proto.reasons import Reason
from saferoom_proto.statements import (
    FitFigure,
    FitRelease,
    JobOutcome,
    JobStep,
    Outcome,
    PrivacySpent,
)
from saferoom_proto.suite import suite_of

MOST_MEMBERSHIP: Final = 0.1
"""The most advantage that an attack by the loss may have beyond what chance gives it: of a hundred
rows it then takes ten more for rows of training that are some than that are none. An attack's AUC
is at most 0.5 + advantage, and at this bound typically 0.55 (notes/security.md 4.5, M6)."""
_TENS: Final = 10


class Fitting(Protocol):
    """Fits a model to the store."""

    def fit(self, charged: ChargedFit, seed: bytes, beside: Beside | None = None) -> Fitted | None:
        """Fit a model; none where there are too few rows for it."""
        ...


class _Execution(Right):
    __slots__ = ()


class _Releasing(Right):
    __slots__ = ()


_FIT_EXECUTED: Final = _Execution()
_FIT_RELEASED: Final = _Releasing()


@final
class SealedFit(Hidden):
    """What was fitted to records, if it can be told. It cannot be shown, kept or copied."""

    __slots__ = ("_fitted",)

    def __init__(self, right: _Execution, fitted: Fitted | None) -> None:
        _FIT_EXECUTED.require(right)
        self._fitted: Final = fitted

    def open(self, right: _Releasing) -> Fitted | None:
        """Give it to the gate, and to nobody else."""
        _FIT_RELEASED.require(right)
        return self._fitted


@final
@dataclass(frozen=True, slots=True, eq=False)
class ReleasedFit(Evidence):
    """The enclave's word on a training, in its chain, and the sealed card if any."""

    right: InitVar[_Releasing]
    judged: Judged

    def __post_init__(self, right: _Releasing) -> None:
        _FIT_RELEASED.require(right)


def make_fit(
    charged: ChargedFit, fitting: Fitting, seed: bytes, beside: Beside | None = None
) -> SealedFit:
    """Fit a model, in any thread, beside what others gave; `seed` says which rows are held out."""
    return SealedFit(_FIT_EXECUTED, fitting.fit(charged, seed, beside))


def whole_model(sealed: SealedFit) -> bytes | None:
    """Give a model of several owners, to be cut: the others' enclaves keep their parts of it.

    What an enclave may not tell of it, it is not told by having a part: that is the host's word.
    """
    fitted = sealed.open(_FIT_RELEASED)
    if fitted is None or fitted.made.model.boosted is not None:
        return None
    model = fitted.made.model
    return json.dumps(
        {
            "names": model.names,
            "weights": model.weights,
            "means": model.means,
            "scales": model.scales,
            "findings": (),
        }
    ).encode()


class FitGate:
    """Lets cards and refusals out, each as the next entry of the enclave's chain.

    Args:
        state: the enclave's database, opened. All is done within its transactions.
        journal: the enclave's chain.
        ground: what jobs are held to: runs, earlier sets, the book of jobs.
        bands: charges bands, and keeps their numbers.
        randomness: gives so many random bytes.
    """

    def __init__(
        self,
        state: State,
        journal: Journal,
        ground: JobGround,
        bands: BandLedger,
        randomness: Callable[[int], bytes],
    ) -> None:
        self._state: Final = state
        self._journal: Final = journal
        self._ground: Final = ground
        self._bands: Final = bands
        self._randomness: Final = randomness

    def release(self, charged: ChargedFit, sealed: SealedFit | None, moment: Moment) -> ReleasedFit:
        """Keep a model and tell what may be told of it, or withhold it; it counts as a run.

        Args:
            charged: what is asked.
            sealed: what was fitted; none where whoever fitted it broke down.
            moment: under what, and when.

        Raises:
            SafeRoomError: `TOO_LARGE` if there is more than can be sent.
        """
        asked, ground = charged.admitted.asked, self._ground
        # Step 1: it counts, whatever becomes of it.
        self._count(charged, moment)
        # Step 2: whether it may be told.
        found = None if sealed is None else sealed.open(_FIT_RELEASED)
        fitted = self._tellable(charged, found, moment)
        if fitted is None:
            released = self._say(asked, moment, Reason.WITHHELD, charged)
            ground.book.keep(_record(charged, released.judged, JobOutcome.REFUSED, moment))
            return released
        # Step 3: the model is kept, sealed, as a job's is.
        # Of several owners, this one's part, with what belongs to no column.
        own = fitted.made.model.part(len(charged.admitted.use.part.columns))
        kept = self._randomness(SALT_BYTES) + own.model_dump_json().encode()
        self._state.put(MODELS, self._state.cipher.find(MODELS, asked.job), kept)
        # Step 4: its card goes to whoever asked.
        card = self._card(charged, fitted.made, moment).to_bytes()
        to_asker = CARD_SEAL.seal(card, asked.reply_key, asked.job, moment.grounds.owner)
        judged = self._journal.append(
            _payload(
                self._journal,
                asked,
                moment,
                reason=None,
                charged=charged,
                privacy=charged.privacy,
                model=model_digest(asked.job, kept),
                answer=suite_of(asked.job).digest(card),
            ),
            moment.now,
            sealed=to_asker,
        )
        ground.book.keep(_record(charged, judged, JobOutcome.RELEASED, moment))
        return ReleasedFit(_FIT_RELEASED, judged)

    def refuse(
        self,
        asked: AskedFit,
        reason: Reason,
        moment: Moment,
        price: PrivacySpent | None = None,
    ) -> ReleasedFit:
        """Sign a refusal of what was not looked into, with its price if that was asked.

        It does not count.
        """
        return self._say(asked, moment, reason, None, price)

    def cancel(
        self, asked: AskedFit, charged: ChargedFit | None, order: Envelope, moment: Moment
    ) -> ReleasedFit:
        """Sign that its institution ended it; once it had begun it counts.

        Args:
            asked: what was asked.
            charged: the run that it is; none if it had not begun.
            order: the institution's word.
            moment: under what, and when.
        """
        if charged is not None:
            self._count(charged, moment)
        released = self._say(asked, moment, order, charged)
        if charged is not None:
            self._ground.book.keep(_record(charged, released.judged, JobOutcome.CANCELLED, moment))
        return released

    def overtaken(self, charged: ChargedFit, moment: Moment) -> None:
        """Count what was fitted and is not told, for its asker let its time run out meanwhile."""
        self._count(charged, moment)

    def _count(self, charged: ChargedFit, moment: Moment) -> None:
        asked = charged.admitted.asked
        self._ground.runs.note(asked.request.template, asked.group, moment.now)
        self._bands.note(charged.admitted, moment.now)

    def _tellable(
        self, charged: ChargedFit, fitted: Fitted | None, moment: Moment
    ) -> Fitted | None:
        """Give what may be told, and keep of whom it is; none if it is withheld."""
        if fitted is None or fitted.made.membership > MOST_MEMBERSHIP + fitted.made.by_chance:
            return None
        asked, told = charged.admitted.asked, charged.admitted.use.fit.releases
        # What no card has room for is withheld like the rest: a failure would count no run.
        if FitFigure.WEIGHTS in told and max(map(abs, fitted.made.model.weights)) > MOST_WEIGHT:
            return None
        try:
            self._ground.partners.keep_apart(asked.group, asked.job, fitted.trained_on, moment.now)
        except RefusedError:
            return None
        return fitted

    def _say(
        self,
        asked: AskedFit,
        moment: Moment,
        why: Reason | Envelope,
        charged: ChargedFit | None,
        price: PrivacySpent | None = None,
    ) -> ReleasedFit:
        """Sign that there is no model: for a reason, or by the institution's word."""
        reason, order = (None, why) if isinstance(why, Envelope) else (why, None)
        payload = _payload(
            self._journal,
            asked,
            moment,
            reason=reason,
            charged=charged,
            privacy=price if charged is None else charged.privacy,
            model=None,
            answer=None,
            cancel=order,
        )
        return ReleasedFit(_FIT_RELEASED, self._journal.append(payload, moment.now, order=order))

    def _card(self, charged: ChargedFit, made: Made, moment: Moment) -> ModelCard:
        asked, told = charged.admitted.asked, charged.admitted.use.fit.releases
        weights = tuple(
            ToldWeight(column=name, weight=_hundredths(weight))
            for name, weight in zip(made.model.names, made.model.weights, strict=True)
        )
        return ModelCard(
            room=moment.grounds.room,
            owner=moment.grounds.owner,
            request=asked.job,
            template=asked.request.template,
            epoch=charged.store.epoch,
            givers=charged.admitted.use.fit.givers,
            rows=made.rows // _TENS * _TENS if FitFigure.ROWS in told else None,
            auc=_hundredths(made.auc) if FitFigure.AUC in told else None,
            ks=_hundredths(made.ks) if FitFigure.KS in told else None,
            membership=_hundredths(made.membership),
            by_chance=_hundredths(made.by_chance),
            weights=weights if FitFigure.WEIGHTS in told else None,
            salt=b64(self._randomness(SALT_BYTES)),
            bands=self._told_bands(charged, made),
        )

    def _told_bands(self, charged: ChargedFit, made: Made) -> tuple[ToldBand, ...] | None:
        asked = charged.admitted.use.fit.bands
        if asked is None or made.bands is None:
            return None
        kept = self._bands.first(charged.admitted, charged.store, made.bands)
        numbers = [NoisyBand(each.events, each.others, each.foretold) for each in kept]
        return told_bands(numbers, BandNoise.of(asked.epsilon).counts, asked.least)


def _payload(
    journal: Journal,
    asked: AskedFit,
    moment: Moment,
    *,
    reason: Reason | None,
    charged: ChargedFit | None,
    privacy: PrivacySpent | None,
    model: str | None,
    answer: str | None,
    cancel: Envelope | None = None,
) -> FitRelease:
    request, grounds = asked.request, moment.grounds
    return FitRelease(
        room=grounds.room,
        owner=grounds.owner,
        request=asked.job,
        institution=request.institution,
        endorsement=grounds.endorsement,
        charter=grounds.charter,
        template=request.template,
        certificate=request.certificate,
        approvals=() if charged is None else charged.admitted.use.approvals,
        agreement=asked.agreement.digest,
        stream=grounds.stream,
        store=grounds.store,
        outcome=Outcome.REFUSED if model is None else Outcome.ANSWERED,
        reason=reason,
        run=None if charged is None else charged.run,
        model=model,
        answer=answer,
        chain=journal.link,
        time=moment.now,
        privacy=privacy,
        cancel=None if cancel is None else cancel.digest,
    )


def _record(charged: ChargedFit, judged: Judged, outcome: JobOutcome, moment: Moment) -> JobRecord:
    """Give how it stands among jobs: it is over."""
    asked, use = charged.admitted.asked, charged.admitted.use
    return JobRecord(
        job=asked.job,
        envelope=asked.envelope.to_json().decode(),
        institution=asked.request.institution,
        template=asked.request.template,
        certificate=asked.request.certificate,
        agreement=asked.agreement.digest,
        group=asked.group,
        secret="",
        columns=use.part.columns,
        recipes=use.recipes,
        store=charged.store,
        run=charged.run,
        began=moment.now,
        moved=moment.now,
        not_after=asked.request.not_after,
        step=JobStep.TRAINING,
        rounds=0,
        ended=judged.entry.chain_index,
        outcome=outcome,
        reason=Reason.WITHHELD if outcome is JobOutcome.REFUSED else None,
    )


def _hundredths(number: float) -> str:
    told = f"{Decimal(number).quantize(Decimal('0.01')):.2f}"
    return "0.00" if told == "-0.00" else told
