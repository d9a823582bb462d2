"""The model card of a scorecard: what it is, from what, who let it be, for what, and what not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from saferoom_client.scorecards.document import KeptJoint, KeptTables, Scorecard
from saferoom_client.sheet.rows import Form, Row, Section, moment
from saferoom_client.tongue import later, say

_USES: Final = (
    later("To rank applicants like those it was fitted on, each with the reasons for its points."),
    later("Together with rules and people: it decides nothing by itself."),
)
_LIMITS: Final = (
    later("Rows of another time, product or place may behave otherwise: watch the stability."),
    later("Only applicants who were once accepted have labels; of the others it knows nothing."),
    later("Labels and columns are as the institution brought them."),
    later("Columns are looked at one by one: what two tell only together is not in it."),
)
_HALF: Final = later(
    "Alone it ranks nobody: its points were fitted beside the owner's half. A total is as exact as"
    " the owner's bands are."
)
_OF_TABLES: Final = (
    later("It was measured with no rows: nobody gave any. Watch it from the first applicant on."),
    later("Counts are rounded or have noise, and rows of whom the label is unknown are left out."),
    later("Rows of another time, product or place may behave otherwise: watch the stability."),
    later("Labels and columns are as the owner holds them; nobody else can check them."),
)
_SHAPES: Final = {
    "free": later("risk goes as it does"),
    "rising": later("risk rises"),
    "falling": later("risk falls"),
    "either": later("risk rises or falls"),
}


def model_card(card: Scorecard) -> Section:
    """Make the model card in the language that is spoken."""
    return Section(say("Model card"), tuple(_rows(card)))


def _rows(card: Scorecard) -> Iterator[Row]:
    yield Row(
        say("kind"),
        say(
            "Fisher's discriminant on weights of evidence of bins, in whole points, of counts that"
            " an owner's gate let out."
        )
        if card.tables
        else say("Logistic regression on weights of evidence of bins, in whole points.")
        if card.joint is None
        else say(
            "One half of a logistic regression over both sides' columns, trained on weights of"
            " evidence of these bins."
        ),
    )
    yield Row(
        say("bins fitted on"),
        say(
            "{file}: {rows:,} rows, {events:,} with {label} = {event}; held out: {held}",
            file=card.on.file,
            rows=card.on.rows,
            events=card.on.events,
            label=card.on.label,
            event=card.on.event,
            held=card.on.held_out,
        ),
    )
    if not card.tables:
        yield Row(say("that file"), f"sha256:{card.on.digest}", Form.CODE)
    rules = card.rules
    yield Row(
        say("bounds"),
        say(
            "A bin has at least {share:.1%} of the rows, {events} events and as many others; at"
            " most {bins} bins beside that of missing values; columns below {value:g} are left"
            " out.",
            share=rules.least_share,
            events=rules.least_events,
            bins=rules.most_bins,
            value=rules.least_value,
        ),
    )
    for name, shape in rules.shapes.items():
        yield Row(say("along {column}", column=name or say("other columns")), _shape(shape))
    if card.tables:
        for each in card.tables:
            yield from _tables(each)
    elif card.joint is None:
        yield Row(
            say("approved by"),
            say("Nobody in a room: it is made of the institution's own rows alone."),
        )
    else:
        yield from _joint(card.joint)
    yield Row(say("membership inference"), _membership(card))
    yield Row(say("for"), "\n".join(map(say, _USES)))
    limits = _LIMITS if card.joint is None else (_HALF, *_LIMITS)
    limits = _OF_TABLES if card.tables else limits
    yield Row(say("limits"), "\n".join(map(say, limits)))
    yield Row(say("when"), moment(card.time))


def _shape(shape: str) -> str:
    return say(_SHAPES[shape]) if shape in _SHAPES else shape


def _joint(joint: KeptJoint) -> Iterator[Row]:
    yield Row(
        say("trained on"),
        say(
            "{rows:,} common subjects, {events:,} with the event; {theirs} columns of {owners},"
            " which it does not hold",
            rows=joint.rows,
            events=joint.events,
            theirs=joint.room_columns,
            owners=say(", ").join(joint.owners),
        ),
    )
    yield Row(
        say("separation"),
        say(
            "{joint:.4f} with the owner's columns, {alone:.4f} without",
            joint=joint.separation,
            alone=joint.alone_separation,
        ),
    )
    yield Row(say("purpose"), joint.purpose)
    for each in joint.approvals:
        yield Row(
            say("approved by"),
            say(
                "{approvers} of {owner}",
                approvers=say(", ").join(each.approvers),
                owner=each.owner,
            ),
        )
    yield Row(say("job"), joint.job, Form.CODE)
    yield Row(say("template"), f"{joint.template}, {joint.template_digest}")
    yield Row(say("the owner's half"), joint.model, Form.CODE)


def _tables(told: KeptTables) -> Iterator[Row]:
    noise = (
        say("rounded to multiples of {base}", base=told.base)
        if told.epsilon is None
        else say("with noise, epsilon {epsilon}", epsilon=told.epsilon)
    )
    yield Row(
        say("tables of {owner}", owner=told.owner),
        say(
            "{template}, period {epoch}, {noise}: {columns}",
            template=told.template,
            epoch=told.epoch,
            noise=noise,
            columns=", ".join(told.columns) or say("no column of it tells enough"),
        ),
    )
    yield Row(
        say("asked by"),
        say("{institution}, for {purpose}", institution=told.institution, purpose=told.purpose),
    )
    yield Row(say("request"), told.request, Form.CODE)
    yield Row(say("that receipt"), f"sha256:{told.receipt}", Form.CODE)
    yield Row(say("entry of the log"), f"{told.entry}, {moment(told.time)}")


def _membership(card: Scorecard) -> str:
    told = card.membership
    if card.tables:
        return say("Not measured: it is made of tables, which tell of nobody alone.")
    if told is None:
        return say("Not measured: nobody holds joint scores of rows.")
    return say(
        "By how well it fits a row, rows of training are told from others with an advantage of"
        " {advantage:.4f}; by chance up to {by_chance:.4f}.",
        advantage=told.advantage,
        by_chance=told.by_chance,
    )
