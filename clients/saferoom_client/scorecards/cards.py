"""Between a card as a file and the arithmetic of the extra `saferoom[modelling]`."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from saferoom_client.extras import Extra, needing
from saferoom_client.scorecards.document import (
    KeptBand,
    KeptBin,
    KeptColumn,
    KeptMeasure,
    KeptMeasures,
    Scorecard,
)
from saferoom_client.scorecards.table import Rows
from saferoom_client.tongue import later
from saferoom_models.scorecard.faults import ScorecardError
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError

if TYPE_CHECKING:
    from saferoom_models.scorecard.binning import Holds
    from saferoom_models.scorecard.card import Card, CardColumn, Values
    from saferoom_models.scorecard.measures import Measure, Measures


RULES: Final = (
    later("a value is infinite"),
    later("rows with the event and without it are needed"),
    later("least_share is above 0 and at most 0.5"),
    later("least_events is 1 or more: odds need both"),
    later("most_bins is 2 to 20"),
    later("no column tells enough; see the rules of bins"),
    later("the weights do not settle: leave out columns that tell the same"),
)
"""What the arithmetic refuses, listed for translation: it imports nothing of ours."""


@contextmanager
def saying_faults(place: str) -> Generator[None]:
    """Turn a refusal of the arithmetic into one of the client's, and name a missing extra.

    Raises:
        SafeRoomError: `MALFORMED` naming the place; `NOT_INSTALLED`.
    """
    with needing(Extra.MODELLING, "scorecards"):
        try:
            yield
        except ScorecardError as error:
            raise refused(place, error.detail) from error


def refused(place: str, rule: str, step: str = "saferoom scorecard fit --help") -> SafeRoomError:
    """Make a refusal that names place, rule and what to type next."""
    refusal = SafeRoomError(Reason.MALFORMED, rule, [FieldFault(place, rule)])
    refusal.add_note(step)
    return refusal


def kinds_of(card: Scorecard) -> dict[str, bool]:
    """Give a card's columns, and whether they are of classes."""
    return {each.name: each.of_classes for each in card.columns}


def values_of(rows: Rows) -> dict[str, Values]:
    """Give a table's columns as the arithmetic takes them."""
    import numpy as np  # noqa: PLC0415 - an extra

    return {**{name: np.array(each) for name, each in rows.numbers.items()}, **rows.classes}


def card_of(kept: Scorecard) -> Card:
    """Give a kept card as what adds up points."""
    from saferoom_models.scorecard.binning import Bin, Binned  # noqa: PLC0415 - an extra
    from saferoom_models.scorecard.card import Card, CardColumn  # noqa: PLC0415
    from saferoom_models.scorecard.counts import Count  # noqa: PLC0415

    return Card(
        tuple(
            CardColumn(
                column.name,
                Binned(
                    tuple(
                        Bin(_holds(each), Count(each.events, each.others), each.woe)
                        for each in column.bins
                    ),
                    column.value,
                    column.missing_known,
                ),
                column.weight,
                tuple(each.points for each in column.bins),
            )
            for column in kept.columns
        ),
        kept.intercept,
    )


def kept_column(column: CardColumn) -> KeptColumn:
    """Give a column as it is kept."""
    from saferoom_models.scorecard.binning import Classes, Interval  # noqa: PLC0415 - an extra

    bins: list[KeptBin] = []
    for each, points in zip(column.binned.bins, column.points, strict=True):
        low = high = None
        classes: tuple[str, ...] = ()
        match each.holds:
            case Interval():
                low, high = each.holds.low, each.holds.high
            case Classes():
                classes = each.holds.names
            case _:
                pass
        bins.append(
            KeptBin(
                low=low,
                high=high,
                classes=classes,
                missing=each is column.binned.bins[-1],
                events=each.count.events,
                others=each.count.others,
                woe=each.woe,
                points=points,
            )
        )
    return KeptColumn(
        name=column.name,
        weight=column.weight,
        value=column.binned.value,
        missing_known=column.binned.missing_known,
        bins=tuple(bins),
    )


def kept_measures(told: Measures) -> KeptMeasures:
    """Give measures as they are kept."""
    return KeptMeasures(
        rows=told.count.rows,
        events=told.count.events,
        auc=_measure(told.auc),
        ks=_measure(told.ks),
        bands=tuple(
            KeptBand(
                low=band.low, high=band.high, events=band.count.events, others=band.count.others
            )
            for band in told.bands
        ),
    )


def _measure(told: Measure) -> KeptMeasure:
    return KeptMeasure(value=told.value, low=told.low, high=told.high)


def _holds(kept: KeptBin) -> Holds:
    from saferoom_models.scorecard.binning import (  # noqa: PLC0415 - an extra
        Classes,
        Interval,
        Missing,
    )

    if kept.missing:
        return Missing()
    return Classes(kept.classes) if kept.classes else Interval(kept.low, kept.high)
