"""What is held about a subject and what could have been learned of it, in plain words."""

from __future__ import annotations

import math
from collections.abc import Iterator

from saferoom_client.cli.answer_words import asked_by, in_words, reasons_of
from saferoom_client.cli.feature import points
from saferoom_client.cli.narrow import folded
from saferoom_client.cli.output import moment
from saferoom_client.holdings import OwnHoldings
from saferoom_client.tongue import say, titled
from saferoom_client.use import Use
from saferoom_proto.holdings import HeldAccount, HeldTable
from saferoom_proto.statements import (
    Absent,
    BatchRequest,
    Feature,
    FeatureKind,
    ListRequest,
    Returns,
    Template,
)


def describe_held(own: OwnHoldings) -> Iterator[str]:
    """Tell a subject what one owner holds about it, table by table."""
    holdings = own.holdings
    for table in holdings.tables:
        yield from _table(table)
    if holdings.features:
        yield from folded(say("what answers are made from:"), 1)
    for held in holdings.features:
        feature = own.features[held.feature]
        value = _nothing(feature) if held.value is None else f"{held.value} {feature.unit}".strip()
        if feature.kind is FeatureKind.STATED:
            value = say("not shown here, since it can name somebody else")
        yield from folded(f"{titled(feature.title)} ({held.feature}): {value}", 2)
        yield from folded(say("may be asked: {points}", points=points(feature)), 3)
    yield from folded(
        say(
            "period {epoch}; shown by entry {index} of the log",
            epoch=holdings.store.epoch,
            index=own.index,
        ),
        1,
    )


def describe_learned(own: OwnHoldings) -> Iterator[str]:
    """Tell a subject who could have learned what from one owner's answers, at most."""
    for account in own.holdings.accounts:
        feature = own.features.get(account.feature)
        name = account.feature if feature is None else titled(feature.title)
        group = account.group
        others = [each for each in account.institutions if each != group]
        who = f"{group} ({', '.join(account.institutions)})" if others else group
        period = say("period {epoch} of {owner}", epoch=account.epoch, owner=own.holdings.owner)
        yield from folded(
            say(
                "{who} can know of {name!r} {known}",
                who=who,
                name=name,
                known=_known(account, feature),
            ),
            1,
        )
        yield from folded(
            say(
                "{cells} possible values told apart at most, {log2:.2f} bits; {period}",
                cells=account.cells,
                log2=math.log2(account.cells),
                period=period,
            ),
            2,
        )


def describe_use(use: Use, template: Template | None) -> Iterator[str]:
    """Tell a subject what was asked about it once, by whom, and what became of it."""
    yield from folded(say("entry {index}, {moment}", index=use.index, moment=moment(use.time)), 0)
    if use.by_itself:
        yield from folded(say("you yourself were shown what {owner} holds", owner=use.owner), 1)
        return
    at = say("at {owner}", owner=use.owner) if use.owner else say("in the room")
    what = say("a question") if template is None else f"{template.name!r}"
    if use.of_price:
        asked = say(
            "{institution} asked what {what} costs {at}",
            institution=use.institution,
            what=what,
            at=at,
        )
    else:
        asked = say(
            "{institution} asked {what} {at}", institution=use.institution, what=what, at=at
        )
    yield from folded(asked, 1)
    if template is not None:
        yield from _asked(template)
    if use.request is not None:
        params = ", ".join(f"{name}={value}" for name, value in use.params.items())
        yield from folded(
            say("for {purpose}, with {params}", purpose=use.request.purpose, params=params)
            if params
            else say("for {purpose}", purpose=use.request.purpose),
            2,
        )
    yield from _became(use, template)
    if use.consent is not None:
        yield from folded(say("under your consent {consent}", consent=use.consent), 2)


def _became(use: Use, template: Template | None) -> Iterator[str]:
    """Tell what became of a use."""
    if isinstance(use.request, ListRequest) and use.answered:
        yield from folded(say("its page of the list told of you; nothing was charged"), 2)
        return
    if use.row is not None and isinstance(use.request, BatchRequest):
        number, rows = use.row.row.index + 1, use.request.rows
        yield from folded(say("row {number:,} of a batch of {rows:,}", number=number, rows=rows), 2)
    if use.answer is not None:
        yield from folded(say("the answer was {answer}", answer=in_words(use.answer)), 2)
        yield from _reasons(use, template)
    if use.of_price and use.answered:
        yield from folded(say("told the price; nothing was charged"), 2)
    elif use.answered:
        yield from folded(
            say("answered; it could tell {bits:.2f} bits more than before", bits=use.bits), 2
        )
    else:
        yield from folded(say("refused: {reason}", reason=use.reason), 2)


def _reasons(use: Use, template: Template | None) -> Iterator[str]:
    reasons = () if template is None else reasons_of(template, use.answer)
    if reasons:
        yield from folded(say("raised most by {features}", features=", ".join(reasons)), 2)


def _asked(template: Template) -> Iterator[str]:
    yield from folded(titled(template.title), 2)
    yield from folded(asked_by(template), 2)
    if template.returns is Returns.CONJUNCTION:
        yield from folded(say("told only whether all of it holds, not what of it"), 2)
    if template.returns is Returns.BLIND:
        yield from folded(say("matched with a value that only who asked knows"), 2)


def _table(table: HeldTable) -> Iterator[str]:
    rows = len(table.rows)
    yield from folded(
        say("{title} ({name}): 1 row", title=titled(table.title), name=table.name)
        if rows == 1
        else say(
            "{title} ({name}): {rows} rows", title=titled(table.title), name=table.name, rows=rows
        ),
        1,
    )
    for number, row in enumerate(table.rows, start=1):
        if rows > 1:
            yield from folded(say("row {number}", number=number), 2)
        for column, value in zip(table.columns, row, strict=True):
            if not column.withheld:
                shown = "-" if value is None else value
                yield from folded(f"{titled(column.title)}: {shown}", 3)
    for column, count in zip(table.columns, table.withheld, strict=True):
        if count:
            yield from folded(
                say(
                    "{title}: {count} held, not shown here, since they can name somebody else",
                    title=titled(column.title),
                    count=count,
                ),
                3,
            )


def _nothing(feature: Feature) -> str:
    counts = say("no") if feature.absent is Absent.FALSE else say("not found")
    return say("nothing, which is answered {counts!r}", counts=counts)


def _known(account: HeldAccount, feature: Feature | None) -> str:
    """Say what was asked tells apart; the answers themselves are not known here."""
    if account.scores:
        scored = "; ".join(
            say(
                "which of {answers} answers a model's score has, by this and other values",
                answers=each,
            )
            for each in account.scores
        )
        return f"{_by_cuts(account, feature)}; {scored}" if account.cuts else scored
    return _by_cuts(account, feature)


def _by_cuts(account: HeldAccount, feature: Feature | None) -> str:
    cuts = account.cuts
    kind = None if feature is None else feature.kind
    if not cuts:
        return say("whether anything is held")
    if kind is FeatureKind.FLAG:
        return say("whether it is so")
    if kind is FeatureKind.STATED:
        return say("whether it is one of {count} values that it stated", count=len(cuts))
    if kind is FeatureKind.CLASSES:
        return say("whether it is one of {cuts}", cuts=", ".join(cuts))
    ordered = sorted(cuts, key=float) if kind is FeatureKind.ORDERED else list(cuts)
    unit = "" if feature is None or not feature.unit else f" {feature.unit}"
    return say("whether it reaches {ordered}{unit}", ordered=", ".join(ordered), unit=unit)
