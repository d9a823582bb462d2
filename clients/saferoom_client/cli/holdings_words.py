"""What is held about a subject and what could have been learned of it, in plain words."""

from __future__ import annotations

import math
from collections.abc import Iterator

from saferoom_client.cli.feature import points
from saferoom_client.cli.narrow import folded
from saferoom_client.cli.output import moment
from saferoom_client.holdings import OwnHoldings
from saferoom_client.values import Use
from saferoom_proto.holdings import HeldAccount, HeldTable
from saferoom_proto.statements import Absent, Feature, FeatureKind, Template


def describe_held(own: OwnHoldings) -> Iterator[str]:
    """Tell a subject what one owner holds about it, table by table."""
    holdings = own.holdings
    for table in holdings.tables:
        yield from _table(table)
    if holdings.features:
        yield from folded("what answers are made from:", 1)
    for held in holdings.features:
        feature = own.features[held.feature]
        value = _nothing(feature) if held.value is None else f"{held.value} {feature.unit}".strip()
        yield from folded(f"{feature.title.en} {feature.title.zh} ({held.feature}): {value}", 2)
        yield from folded(f"may be asked: {points(feature)}", 3)
    yield from folded(f"period {holdings.store.epoch}; shown by entry {own.index} of the log", 1)


def describe_learned(own: OwnHoldings) -> Iterator[str]:
    """Tell a subject who could have learned what from one owner's answers, at most."""
    for account in own.holdings.accounts:
        feature = own.features.get(account.feature)
        name = account.feature if feature is None else feature.title.en
        group = account.group
        others = [each for each in account.institutions if each != group]
        who = f"{group} ({', '.join(account.institutions)})" if others else group
        period = f"period {account.epoch} of {own.holdings.owner}"
        yield from folded(f"{who} can know of {name!r} {_known(account, feature)}", 1)
        yield from folded(f"at most {math.log2(account.cells):.2f} bits; {period}", 2)


def describe_use(use: Use, template: Template | None) -> Iterator[str]:
    """Tell a subject what was asked about it once, by whom, and what became of it."""
    yield from folded(f"entry {use.index}, {moment(use.time)}", 0)
    if use.by_itself:
        yield from folded(f"you yourself were shown what {use.owner} holds", 1)
        return
    at = f"at {use.owner}" if use.owner else "in the room"
    what = "a question" if template is None else f"{template.name!r}"
    yield from folded(f"{use.institution} asked {what} {at}", 1)
    if template is not None:
        yield from folded(f"{template.title.en} {template.title.zh}", 2)
        yield from folded(" ".join(template.check.split()), 2)
    if use.request is not None:
        params = ", ".join(f"{name}={value}" for name, value in use.request.params.items())
        yield from folded(f"for {use.request.purpose}{f', with {params}' if params else ''}", 2)
    if use.answered:
        yield from folded(f"answered; it could tell {use.bits:.2f} bits more than before", 2)
    else:
        yield from folded(f"refused: {use.reason}", 2)
    if use.consent is not None:
        yield from folded(f"under your consent {use.consent}", 2)


def _table(table: HeldTable) -> Iterator[str]:
    rows = len(table.rows)
    yield from folded(
        f"{table.title.en} {table.title.zh} ({table.name}): {rows or 'no'} row"
        f"{'' if rows == 1 else 's'}",
        1,
    )
    for number, row in enumerate(table.rows, start=1):
        if rows > 1:
            yield from folded(f"row {number}", 2)
        for column, value in zip(table.columns, row, strict=True):
            if not column.withheld:
                shown = "-" if value is None else value
                yield from folded(f"{column.title.en} {column.title.zh}: {shown}", 3)
    for column, count in zip(table.columns, table.withheld, strict=True):
        if count:
            yield from folded(
                f"{column.title.en} {column.title.zh}: {count} held, not shown here, since they can"
                " name somebody else",
                3,
            )


def _nothing(feature: Feature) -> str:
    counts = "no" if feature.absent is Absent.FALSE else "not found"
    return f"nothing, which is answered {counts!r}"


def _known(account: HeldAccount, feature: Feature | None) -> str:
    """Say what the cuts that were asked tell apart; the answers themselves are not known here."""
    cuts = account.cuts
    kind = None if feature is None else feature.kind
    if not cuts:
        return "whether anything is held"
    if kind is FeatureKind.FLAG:
        return "whether it is so"
    if kind is FeatureKind.CLASSES:
        return f"whether it is one of {', '.join(cuts)}"
    ordered = sorted(cuts, key=float) if kind is FeatureKind.ORDERED else list(cuts)
    unit = "" if feature is None or not feature.unit else f" {feature.unit}"
    return f"whether it reaches {', '.join(ordered)}{unit}"
