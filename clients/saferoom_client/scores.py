"""Scoring with a jointly trained model: the owner's band, and the label side's own half.

The room tells the band that the owner's part of the log-odds lies in, and the template says what
that band stands for. The own part is reckoned here, from the weights in the job's report; nobody
else holds it. Both add up to the log-odds of the event, and these become points.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Final, TypeVar

from saferoom_client.checks import evidence_of, kept_view, told_of
from saferoom_client.evidence import CheckEvidence
from saferoom_client.fits.kept import is_trained_in_room
from saferoom_client.kinds import another_kind
from saferoom_client.question import VALID_FOR, make_question
from saferoom_client.refused import Refused
from saferoom_client.session import Session
from saferoom_client.tongue import later
from saferoom_client.training.folder import kept_jobs
from saferoom_client.training.report import TrainingReport, Weight
from saferoom_client.values import TemplateView, bits_told
from saferoom_proto.answer import Band, Truth
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.receipt import Receipt
from saferoom_proto.statements import Charge, Purpose, Score

T = TypeVar("T")

READY_SECONDS: Final = 15.0
"""How long a score waits for bands that are being made, after an approval or a load. The same
signed question is asked again; nobody has judged it by then."""
_TRY_SECONDS: Final = 0.5
_CLIP: Final = 8.0
_UNITS: Final = 1024
"""Standardised columns are clipped at 8 and kept to 2^-10 (docs/joint-training.md, step 0)."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How log-odds become points, as scorecards have it.

    Attributes:
        points: of whoever has these odds.
        odds: how many without the event there are to one with it.
        double: how many points more mean odds twice as good.
    """

    points: float = 600.0
    odds: float = 50.0
    double: float = 20.0

    def __post_init__(self) -> None:
        finite = all(map(math.isfinite, (self.points, self.odds, self.double)))
        if not finite or self.odds <= 0 or self.double <= 0:
            rule = later("a scale has odds and points to double them above zero")
            raise SafeRoomError(Reason.MALFORMED, rule, [FieldFault("scale", rule)])

    def of(self, log_odds: float) -> float:
        """Give the points of some log-odds of the event: the more points, the less risk."""
        return self.points - (log_odds + math.log(self.odds)) * self.double / math.log(2)

    def of_part(self, log_odds: float) -> float:
        """Give the points that a part of the log-odds adds: those of the base are another's."""
        return -log_odds * self.double / math.log(2)

    def part(self, points: float) -> float:
        """Give the part of the log-odds that adds some points."""
        return -points * math.log(2) / self.double


@dataclass(frozen=True, slots=True)
class ScoreAnswer:
    """A verified score.

    Attributes:
        band: the owner's, or of several owners the sum's; none where nothing is known of the
            subject.
        bands: how many the score has.
        stands_for: what the band counts for, in log-odds of the event; none without a band.
        own: the label side's own part of the log-odds; none where it was not reckoned.
        request_id: digest of the signed question.
        charges: what the question cost at each owner, in cells told apart.
        time: when the enclave answered.
        evidence: every statement that the answer was verified under.
        reasons: features that raise the odds of the event the most, where the score tells them; in
            its own order, not by how much.
    """

    band: int | None
    bands: int
    stands_for: Decimal | None
    own: float | None
    request_id: str
    charges: tuple[Charge, ...]
    time: datetime
    evidence: CheckEvidence
    reasons: tuple[str, ...] = ()

    @property
    def log_odds(self) -> float | None:
        """The log-odds of the event, both parts together; none unless both are there."""
        return both(self.own, self.stands_for)

    def points(self, scale: Scale | None = None) -> float | None:
        """Give the points of both parts together; none unless both are there."""
        return points_of(self.log_odds, scale)

    @property
    def receipt(self) -> Receipt:
        """What shows the band to anybody, offline; the own part is no one else's."""
        return self.evidence.receipt()

    @property
    def bits(self) -> float:
        """The most bits that were charged beyond what was asked before, over all features."""
        return bits_told(self.charges)


def both(own: float | None, stands_for: Decimal | None) -> float | None:
    """Add both parts of the log-odds up; none unless both are there."""
    return None if own is None or stands_for is None else own + float(stands_for)


def points_of(log_odds: float | None, scale: Scale | None) -> float | None:
    """Give the points of some log-odds, if there are any."""
    return None if log_odds is None else (scale or Scale()).of(log_odds)


async def score(
    session: Session,
    template: str,
    *,
    subject: str,
    purpose: Purpose | str,
    own: Mapping[str, float] | None = None,
    valid_for: timedelta = VALID_FOR,
) -> ScoreAnswer:
    """Ask for one subject's score.

    Args:
        session: of the institution that asks.
        template: its digest, or its name for the newest of that name.
        subject: the 18-character unified social credit code.
        purpose: what the answer is for, one of the template's purposes.
        own: the subject's values of the own columns that the model was trained on, by their names;
            without them only the band is told.
        valid_for: how long the question may travel.

    Returns:
        The score, opened and verified, with its receipt.

    Raises:
        Refused: the room or the enclave refused; `reason` says why.
        SafeRoomError: what came back does not verify; or the own part cannot be reckoned, which
            is found before anything is asked.
    """
    view = await kept_view(session, template)
    asked = scored(view)
    if own is None:
        # A model that was trained in the room is whole there: nothing is added to its band.
        part = 0.0 if is_trained_in_room(session.profile, asked.model) else None
    else:
        part = own_part(own_report(session, view), own)
    question = make_question(
        session.profile,
        view,
        subject=subject,
        purpose=purpose,
        params={},
        now=session.clock(),
        valid_for=valid_for,
        reply_key=session.reply_keys.current(session.clock()),
    )
    view, opened = await when_ready(partial(told_of, session, question))
    told = view.certificate.fold([part.value for part in opened])
    band = told.number if isinstance(told, Band) else None
    return ScoreAnswer(
        band=band,
        bands=len(asked.stands_for),
        stands_for=None if band is None else asked.stands_for[band - 1],
        own=part,
        request_id=question.request_id,
        charges=tuple(charge for part in opened for charge in part.release.charges),
        time=max(part.release.time for part in opened),
        evidence=evidence_of(question, view, opened),
        reasons=reasons_of(asked, told),
    )


def reasons_of(asked: Score, told: Truth | Band | None) -> tuple[str, ...]:
    """Name the reasons that stand beside a band."""
    return asked.named(told.lost or 0) if isinstance(told, Band) else ()


async def when_ready(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask until the enclave has made the bands: none is made before the template is approved."""
    tries = 0
    while True:
        try:
            return await ask()
        except Refused as refused:
            tries += 1
            if refused.reason is not Reason.NO_DATA or tries > READY_SECONDS / _TRY_SECONDS:
                raise
        await asyncio.sleep(_TRY_SECONDS)


def scored(view: TemplateView) -> Score:
    """Give what a template scores.

    Raises:
        SafeRoomError: `NOT_ALLOWED` for a template of another kind.
    """
    score = view.template.score
    if score is None:
        raise another_kind(view)
    return score


def own_report(session: Session, view: TemplateView) -> TrainingReport:
    """Find the report of the job that a template's model came of; it holds the own weights.

    Raises:
        SafeRoomError: as `report_of`; `NOT_ALLOWED` where the template reads not all of the model.
    """
    report = report_of(session, scored(view).model)
    parts = (part.score for part in view.certificate.parts)
    if report.room_columns != sum(len(part.columns) for part in parts if part is not None):
        rule = later(
            "the model has columns of other owners, too, which this template does not score"
        )
        raise SafeRoomError(Reason.NOT_ALLOWED, rule, [FieldFault("own", rule)])
    return report


def report_of(session: Session, model: str) -> TrainingReport:
    """Find the report of the job that came to a model: it holds the own weights.

    Raises:
        SafeRoomError: `UNKNOWN_STATEMENT` if this member folder has no such job.
    """
    for folder in kept_jobs(session.profile):
        if folder.report.exists():
            report = TrainingReport.read(folder.report)
            if report.model == model:
                return report
    rule = later("this member folder holds no job that came to the model: ask without own values")
    raise SafeRoomError(Reason.UNKNOWN_STATEMENT, rule, [FieldFault("own", rule)])


def own_part(report: TrainingReport, values: Mapping[str, float]) -> float:
    """Reckon the own part of the log-odds, as training did.

    Raises:
        SafeRoomError: `OFF_DOMAIN` names a column that is missing, unknown or no number.
    """
    names = {weight.name for weight in report.weights}
    known = ", ".join(sorted(names))
    strange = f"no column of yours that the model reads; those are {known}"
    faults = [
        FieldFault(f"own.{name}", "missing" if name in names else strange)
        for name in sorted(names ^ values.keys())
    ]
    faults += [
        FieldFault(f"own.{name}", "a finite number is expected")
        for name, value in sorted(values.items())
        if not math.isfinite(value)
    ]
    if faults:
        refusal = SafeRoomError(Reason.OFF_DOMAIN, faults[0].rule, faults)
        refusal.add_note(later("Give a number for each of your columns that the model reads."))
        raise refusal
    return report.intercept + sum(
        contribution(weight, values[weight.name]) for weight in report.weights
    )


def contribution(weight: Weight, value: float) -> float:
    """Give what a value of a column adds to the own part, as training reckoned it."""
    if not weight.scale:
        return 0.0  # left out of training
    standardised = (value - weight.mean) / weight.scale
    return round(max(-_CLIP, min(_CLIP, standardised)) * _UNITS) / _UNITS * weight.joint
