"""A card as one page for people, with charts and a model card: HTML, or PDF."""

from __future__ import annotations

from collections.abc import Iterator

from saferoom_client.bars import bars
from saferoom_client.report.pdf import pdf
from saferoom_client.scorecards.document import KeptColumn, KeptMeasures, Scorecard
from saferoom_client.scorecards.model_card import model_card
from saferoom_client.scorecards.words import (
    bin_words,
    measure_words,
    note_words,
    points_words,
    stability_words,
)
from saferoom_client.sheet.render import html
from saferoom_client.sheet.rows import Form, Page, Row, Section
from saferoom_client.tongue import say, spoken


def page_of(card: Scorecard) -> Page:
    """Make the page in the language that is spoken.

    Raises:
        SafeRoomError: `NOT_INSTALLED`.
    """
    return Page(
        language=spoken(),
        title=say("Scorecard {name}", name=card.name),
        lead=_lead(card),
        tone="yes",
        answer=_answer(card),
        sections=tuple(_sections(card)),
    )


def write_page(card: Scorecard) -> bytes:
    """Write the page as HTML.

    Raises:
        SafeRoomError: `NOT_INSTALLED`.
    """
    return html(page_of(card)).encode()


def write_pdf(card: Scorecard) -> bytes:
    """Write the page as PDF.

    Raises:
        SafeRoomError: `NOT_INSTALLED`; `MALFORMED` for a character that no font here has.
    """
    return pdf(page_of(card), card.time)


def _lead(card: Scorecard) -> str:
    scale = card.scale
    if card.tables:
        return say(
            "{points:g} points are {odds:g} without the event to one with it; {double:g} more are"
            " odds twice as good. It holds counts that {owners} let out.",
            points=scale.points,
            odds=scale.odds,
            double=scale.double,
            owners=_owners(card),
        )
    return say(
        "{points:g} points are {odds:g} without the event to one with it; {double:g} more are odds"
        " twice as good. It holds counts of your own rows.",
        points=scale.points,
        odds=scale.odds,
        double=scale.double,
    )


def _answer(card: Scorecard) -> str:
    if card.held is not None:
        return say(
            "On rows held out: AUC {auc:.3f}, KS {ks:.3f}",
            auc=card.held.auc.value,
            ks=card.held.ks.value,
        )
    if card.tables:
        return say("Of tables of {owners}, and of no rows: not measured", owners=_owners(card))
    return say(
        "Your half of a model trained with {owners}: the owner's points are to be added",
        owners=say(", ").join(card.joint.owners if card.joint is not None else ()),
    )


def _owners(card: Scorecard) -> str:
    return say(", ").join(dict.fromkeys(each.owner for each in card.tables))


def _sections(card: Scorecard) -> Iterator[Section]:
    if card.held is not None and card.fitted is not None:
        yield _measured(say("On rows held out"), card.held, card.stability)
        yield _measured(say("On the rows it was fitted on"), card.fitted, None)
    yield Section(say("Points"), tuple(_points(card)))
    for column in card.columns:
        yield _column(column)
    yield Section(
        say("What stood out"),
        tuple(Row(note.kind, note_words(note)) for note in card.notes)
        or (Row(say("nothing"), ""),),
    )
    yield model_card(card)


def _measured(heading: str, told: KeptMeasures, stability: float | None) -> Section:
    moved = () if stability is None else (Row(say("stability"), stability_words(stability)),)
    numbers = [str(number) for number in range(1, len(told.bands) + 1)]
    return Section(
        heading,
        (
            Row(
                say("rows"),
                say("{rows:,}, {events:,} with the event", rows=told.rows, events=told.events),
            ),
            Row("AUC", measure_words(told.auc)),
            Row("KS", measure_words(told.ks)),
            *moved,
            Row(
                "",
                bars(numbers, {say("share with the event"): [band.rate for band in told.bands]}),
                Form.DRAWING,
            ),
            *(
                Row(
                    say("band {number}", number=number),
                    say(
                        "{where}: {rows:,} rows, {rate:.2%} with the event, lift {lift:.2f}",
                        where=points_words(band.low, band.high),
                        rows=band.rows,
                        rate=band.rate,
                        lift=band.rate / told.rate if told.rate else 0.0,
                    ),
                )
                for number, band in enumerate(told.bands, 1)
            ),
        ),
    )


def _points(card: Scorecard) -> Iterator[Row]:
    least = sum(min(each.points for each in column.bins) for column in card.columns)
    yield Row(
        say("a row's points"),
        say(
            "the sum of its columns' points: {least} to {most}",
            least=least,
            most=sum(column.most for column in card.columns),
        ),
    )
    yield Row(
        say("reasons"),
        say("the columns that lost most of their best bin's points, four at most"),
    )
    yield Row(
        "",
        bars(
            [column.name for column in card.columns],
            {say("information value"): [column.value for column in card.columns]},
            flat=True,
        ),
        Form.DRAWING,
    )


def _column(column: KeptColumn) -> Section:
    labels = [bin_words(each) for each in column.bins]
    return Section(
        column.name,
        (
            Row(say("information value"), f"{column.value:.4f}"),
            Row(say("weight"), f"{column.weight:+.4f}"),
            *(
                Row(
                    label,
                    say(
                        "{points} points; {rows:,} rows, {rate:.2%} with the event, weight of"
                        " evidence {woe:+.3f}",
                        points=each.points,
                        rows=each.events + each.others,
                        rate=each.events / max(1, each.events + each.others),
                        woe=each.woe,
                    ),
                )
                for label, each in zip(labels, column.bins, strict=True)
            ),
            Row(
                "",
                bars(
                    [_short(label) for label in labels],
                    {say("points"): [float(each.points) for each in column.bins]},
                    flat=True,
                ),
                Form.DRAWING,
            ),
        ),
    )


_LONG = 40


def _short(label: str) -> str:
    """Cut what would leave a chart no room: its row above says it whole."""
    return label if len(label) <= _LONG else f"{label[:_LONG]}…"
