"""A card of a bank's own half of a joint model, which was trained on a card's weights of evidence.

The job's columns were a card's weights of evidence, so the joint weights are weights of its bins:
points of the same bins follow exactly. The owner's half stays where it is; what a score of it tells
is a band, whose points are added.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from saferoom_client.scorecards.document import (
    KeptApproval,
    KeptBin,
    KeptColumn,
    KeptJoint,
    KeptNote,
    Scorecard,
)
from saferoom_client.scores import contribution
from saferoom_client.tongue import later
from saferoom_client.training.report import TrainingReport, Weight
from saferoom_client.training.table import TrainingTable
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError

OTHER_SIGN: Final = "OTHER_SIGN"
_SAME: Final = 1e-9
"""Of weights of evidence, as the file with them has them: all digits of a double."""


def join_card(
    card: Scorecard,
    report: TrainingReport,
    table: TrainingTable,
    *,
    template_digest: str,
    owners: Sequence[str],
    approvals: Sequence[KeptApproval],
    now: datetime | None = None,
) -> Scorecard:
    """Make a card of the own half of a joint model.

    Args:
        card: whose weights of evidence the job was trained on.
        report: the job's.
        table: the rows that the job began with.
        template_digest: of the template that it was trained under.
        owners: whose columns the room had.
        approvals: of that template.
        now: what time it is; the clock's, if not given.

    Raises:
        SafeRoomError: `MALFORMED` where the job was trained on anything else than this card's
            weights of evidence.
    """
    columns = {each.name: each for each in card.columns}
    weights = {each.name: each for each in report.weights if each.scale}
    _require_trained_on(columns, report, table)
    scale = card.scale.scale()
    base = scale.of(report.intercept) / max(1, len(weights))
    slope = scale.of(1.0) - scale.of(0.0)
    made = tuple(_column(columns[name], weight, base, slope) for name, weight in weights.items())
    if not made:
        raise _other("no column of the job has a weight")
    shift = sum(each.joint * each.mean / each.scale for each in weights.values())
    return Scorecard(
        name=card.name,
        time=now or datetime.now(UTC),
        scale=card.scale,
        intercept=report.intercept - shift,
        columns=made,
        rules=card.rules,
        on=card.on,
        fitted=None,
        held=None,
        stability=None,
        membership=None,
        notes=(
            *card.notes,
            *(
                KeptNote(kind=OTHER_SIGN, column=each.name, value=each.value)
                for each in made
                if each.weight < 0
            ),
        ),
        joint=_joint(report, template_digest, owners, approvals),
    )


def _joint(
    report: TrainingReport,
    template_digest: str,
    owners: Sequence[str],
    approvals: Sequence[KeptApproval],
) -> KeptJoint:
    return KeptJoint(
        job=report.job,
        template=report.template,
        template_digest=template_digest,
        owners=tuple(owners),
        institution=report.institution,
        purpose=report.purpose,
        time=report.time,
        rows=report.rows,
        events=report.events,
        room_columns=report.room_columns,
        separation=report.separation,
        alone_separation=report.alone_separation,
        model=report.model,
        approvals=tuple(approvals),
    )


def _require_trained_on(
    columns: Mapping[str, KeptColumn], report: TrainingReport, table: TrainingTable
) -> None:
    """See that every value of every column is the weight of evidence of one of its bins."""
    for weight in report.weights:
        if weight.name not in columns:
            raise _other(f"the card has no column {weight.name}")
        known = sorted(each.woe for each in columns[weight.name].bins)
        for value in set(table.columns[weight.name]):
            if not any(math.isclose(value, each, rel_tol=_SAME, abs_tol=_SAME) for each in known):
                raise _other(f"{weight.name} holds what is no weight of evidence of this card")


def _column(column: KeptColumn, weight: Weight, base: float, slope: float) -> KeptColumn:
    """Give a column its joint weight, and its bins their points, clipped as training does."""
    bins = tuple(
        KeptBin(
            **each.model_dump(exclude={"points"}),
            points=round(base + slope * contribution(weight, each.woe)),
        )
        for each in column.bins
    )
    return column.model_copy(update={"weight": weight.joint / weight.scale, "bins": bins})


def _other(why: str) -> SafeRoomError:
    rule = f"{why}: {_RULE}"
    refusal = SafeRoomError(Reason.MALFORMED, rule, [FieldFault("job", rule)])
    refusal.add_note("saferoom scorecard apply CARD --rows TABLE --label COLUMN --woe woe.csv")
    return refusal


_RULE: Final = later("train the job on this card's weights of evidence")
