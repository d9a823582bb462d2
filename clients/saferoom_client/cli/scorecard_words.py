"""What is told of a scorecard, and of rows that it scored, in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from saferoom_client.cli.output import mapping
from saferoom_client.cli.tables import table
from saferoom_client.scorecards.applying import STABLE, Loss, Scored
from saferoom_client.scorecards.document import KeptMeasures, Scorecard
from saferoom_client.scorecards.words import (
    bin_words,
    measure_words,
    note_words,
    points_words,
    reason_words,
    stability_words,
)
from saferoom_client.tongue import later, say

_COLUMNS: Final = (later("column"), later("information value"), later("weight"), later("points"))
_BINS: Final = (
    later("column"),
    later("bin"),
    later("rows"),
    later("with the event"),
    later("weight of evidence"),
    later("points"),
)
_BANDS: Final = (later("band"), later("rows"), later("with the event"), later("lift"))


def describe_card(card: Scorecard, *, bins: bool = False) -> Iterator[str]:
    """Tell what a card is and how it does; with its bins, if they are asked for."""
    yield say("scorecard {name}", name=card.name)
    if card.joint is not None:
        yield from mapping(
            {
                later("your half of"): card.joint.model,
                later("trained with"): say(", ").join(card.joint.owners),
                later("under"): card.joint.template,
            }
        )
    for each in card.tables:
        yield from mapping(
            {
                later("of tables of"): f"{each.owner}: {each.template}",
                later("request"): each.request,
                later("columns"): ", ".join(each.columns) or say("none"),
            }
        )
    if card.held is not None:
        told: dict[str, object] = {
            later("held out"): _rows(card.held),
            "AUC": measure_words(card.held.auc),
            "KS": measure_words(card.held.ks),
        }
        if card.stability is not None:
            told[later("stability")] = stability_words(card.stability)
        yield from mapping(told)
    yield ""
    if bins:
        yield from _bins(card)
    else:
        yield from table(
            _COLUMNS,
            [
                (
                    column.name,
                    f"{column.value:.3f}",
                    f"{column.weight:+.3f}",
                    say(
                        "{least} to {most}",
                        least=min(each.points for each in column.bins),
                        most=column.most,
                    ),
                )
                for column in card.columns
            ],
        )
    if card.held is not None:
        yield ""
        yield from _bands(card.held)
    if card.notes:
        yield ""
        yield from map(note_words, card.notes)


def describe_scored(scored: Scored) -> Iterator[str]:
    """Tell of rows that were scored, and how far they have moved."""
    points = scored.points
    told: dict[str, object] = {
        later("rows"): f"{len(points):,}",
        later("points"): say(
            "{mean:.1f} on average, {least} to {most}",
            mean=sum(points) / len(points),
            least=min(points),
            most=max(points),
        ),
    }
    if scored.stability is not None:
        told[later("stability")] = stability_words(scored.stability)
    if scored.measured is not None:
        told[later("with the event")] = f"{scored.measured.events:,}"
        told["AUC"] = measure_words(scored.measured.auc)
        told["KS"] = measure_words(scored.measured.ks)
    yield from mapping(told)
    for name, index in scored.columns.items():
        if index >= STABLE:
            yield say("{column}: stability {words}", column=name, words=stability_words(index))


def scored_document(scored: Scored) -> dict[str, object]:
    """Write what is told of scored rows for a program; the rows themselves go into a file."""
    return {
        "rows": len(scored.points),
        "mean": sum(scored.points) / len(scored.points),
        "stability": scored.stability,
        "columns": scored.columns,
        "measured": None if scored.measured is None else scored.measured.model_dump(mode="json"),
    }


def describe_values(card: Scorecard, points: int, reasons: tuple[Loss, ...]) -> Iterator[str]:
    """Tell one applicant's points, and what lost most of them."""
    yield say("{points} points", points=points)
    for number, loss in enumerate(reasons, 1):
        yield f"  {number}. {reason_words(loss)}"
    if card.joint is not None:
        yield say("your half alone: add the points of the owner's band")


def values_document(points: int, reasons: tuple[Loss, ...]) -> dict[str, object]:
    """Write one applicant's points for a program."""
    return {
        "points": points,
        "reasons": [
            {"column": loss.column.name, "lost": loss.points, "words": reason_words(loss)}
            for loss in reasons
        ],
    }


def _rows(told: KeptMeasures) -> str:
    return say("{rows:,} rows, {events:,} with the event", rows=told.rows, events=told.events)


def _bins(card: Scorecard) -> Iterator[str]:
    rows = [
        (
            column.name,
            bin_words(each),
            f"{each.events + each.others:,}",
            f"{each.events / max(1, each.events + each.others):.2%}",
            f"{each.woe:+.3f}",
            str(each.points),
        )
        for column in card.columns
        for each in column.bins
    ]
    yield from table(_BINS, rows)


def _bands(told: KeptMeasures) -> Iterator[str]:
    rows = [
        (
            points_words(band.low, band.high),
            f"{band.rows:,}",
            f"{band.rate:.2%}",
            f"{band.rate / told.rate:.2f}" if told.rate else "",
        )
        for band in told.bands
    ]
    yield from table(_BANDS, rows)
