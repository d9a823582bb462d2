"""Scores of many subjects under one signed batch: each row's band, and the own half beside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial

from saferoom_client.batch import Batch
from saferoom_client.batch_answer import BatchAnswer
from saferoom_client.batches import Progress, ask_many, prepare_many
from saferoom_client.checks import kept_view
from saferoom_client.scores import (
    Scale,
    both,
    own_part,
    own_report,
    points_of,
    reasons_of,
    report_of,
    scored,
    when_ready,
)
from saferoom_client.session import Session
from saferoom_client.values import TemplateView
from saferoom_proto.answer import Band
from saferoom_proto.batch_receipt import BatchReceipt
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements import Purpose

Scored = str | tuple[str, Mapping[str, float]]
"""A row: a subject's code, or that and the subject's values of the own columns."""
OwnParts = Sequence[float | None]
"""Each row's own part of the log-odds; none where it was not reckoned."""


@dataclass(frozen=True, slots=True)
class RowScore:
    """What became of one row.

    Attributes:
        index: of the row in its batch.
        subject: whom it is about.
        band: the owner's; none where nothing is known of the subject, or the row was refused.
        stands_for: what the band counts for, in log-odds of the event; none without a band.
        own: the label side's own part of the log-odds; none where it was not reckoned.
        reason: why the row was refused; none if it was answered.
        reasons: as of a single score.
    """

    index: int
    subject: str
    band: int | None
    stands_for: Decimal | None
    own: float | None
    reason: Reason | None
    reasons: tuple[str, ...] = ()

    @property
    def log_odds(self) -> float | None:
        """The log-odds of the event, both parts together; none unless both are there."""
        return both(self.own, self.stands_for)

    def points(self, scale: Scale | None = None) -> float | None:
        """Give the points of both parts together; none unless both are there."""
        return points_of(self.log_odds, scale)


@dataclass(frozen=True, slots=True)
class BatchScores:
    """A batch's scores, all of them verified. Iterating gives them row by row.

    Attributes:
        answer: the batch's, as that of a check.
        own: each row's own part; empty where none was reckoned.
    """

    answer: BatchAnswer
    own: OwnParts

    @property
    def request_id(self) -> str:
        """The digest by which everybody knows the batch."""
        return self.answer.request_id

    @property
    def bands(self) -> int:
        """How many bands the score has."""
        return self.answer.view.certificate.bands

    @property
    def receipt(self) -> BatchReceipt:
        """The receipt of the whole batch, out of which `row_receipt` takes one row's."""
        return self.answer.receipt

    def __len__(self) -> int:
        return len(self.answer)

    def __iter__(self) -> Iterator[RowScore]:
        asked = scored(self.answer.view)
        stands_for = asked.stands_for
        for row in self.answer:
            told = row.told
            band = told.number if isinstance(told, Band) else None
            yield RowScore(
                index=row.index,
                subject=row.subject,
                band=band,
                stands_for=None if band is None else stands_for[band - 1],
                own=self.own[row.index] if self.own else None,
                reason=row.reason,
                reasons=reasons_of(asked, told),
            )


async def score_many(
    session: Session,
    template: str,
    rows: Iterable[Scored],
    *,
    purpose: Purpose | str,
    progress: Progress | None = None,
) -> BatchScores:
    """Ask for the scores of many subjects, up to a million.

    Args:
        session: of the institution that asks.
        template: its digest, or its name for the newest of that name.
        rows: the subjects, each once; with the values of the own columns, or all without.
        purpose: what the answers are for, one of the template's purposes.
        progress: is told how many rows are judged.

    Returns:
        The scores, opened and verified; iterate for one `RowScore` each.

    Raises:
        Refused: the batch as a whole was refused; rows are refused one by one.
        SafeRoomError: what came back does not verify; or an own part cannot be reckoned, which is
            found before anything is asked.
    """
    view = await kept_view(session, template)
    scored(view)
    asked = [(row, None) if isinstance(row, str) else row for row in rows]
    own = own_parts(session, view, [values for _, values in asked])
    subjects = (subject for subject, _ in asked)
    batch = await prepare_many(session, view.envelope.digest, subjects, purpose=purpose)
    return await ask_scores(session, batch, own, progress=progress)


async def ask_scores(
    session: Session, batch: Batch, own: OwnParts = (), *, progress: Progress | None = None
) -> BatchScores:
    """Ask a signed batch of scores, the first time or again; it goes on where it stopped.

    Args:
        session: of the institution that asks.
        batch: as `prepare_many` gave it.
        own: each row's own part of the log-odds, as `own_parts` reckons them; empty for none.
        progress: is told how many rows are judged.
    """
    request = batch.request
    scored(await kept_view(session, request.template, request.certificate))
    if own and len(own) != len(batch):
        rule = "an own part for each row, or none at all"
        raise SafeRoomError(Reason.MALFORMED, rule, [FieldFault("own", rule)])
    answer = await when_ready(partial(ask_many, session, batch, progress=progress))
    return BatchScores(answer, own)


def own_columns(session: Session, view: TemplateView) -> tuple[str, ...]:
    """Name the own columns that a score's model reads; none where no job here came to it."""
    try:
        report = report_of(session, scored(view).model)
    except SafeRoomError as error:
        if error.reason is not Reason.UNKNOWN_STATEMENT:
            raise
        return ()
    return tuple(weight.name for weight in report.weights)


def own_parts(
    session: Session, view: TemplateView, values: Sequence[Mapping[str, float] | None]
) -> OwnParts:
    """Reckon the own part of each row; none where no row has own values.

    Raises:
        SafeRoomError: `OFF_DOMAIN` names the row and the column; else as `own_report`.
    """
    if all(each is None for each in values):
        return ()
    report = own_report(session, view)
    told: list[float] = []
    for at, each in enumerate(values):
        try:
            told.append(own_part(report, each or {}))
        except SafeRoomError as error:
            faults = [FieldFault(f"rows[{at}].{one.field}", one.rule) for one in error.fields]
            raise SafeRoomError(error.reason, error.detail, faults) from None
    return told
