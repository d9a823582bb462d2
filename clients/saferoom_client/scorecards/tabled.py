"""A scorecard over columns that its bank never saw, of tables that passed their owner's gate.

A table of a column and the label has a number of rows with the event, and of others, for each class
of the column: all that bins are made of. Tables of two columns and the label weigh them beside each
other. The card names the receipts that it stands on.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Final

from saferoom_client.files import bad_file
from saferoom_client.scorecards.cards import kept_column, refused, saying_faults
from saferoom_client.scorecards.document import (
    FittedOn,
    KeptNote,
    KeptRules,
    KeptScale,
    KeptTables,
    Scorecard,
)
from saferoom_client.scorecards.fitting import Wanted, asked_of, require_ordered
from saferoom_client.scorecards.released import (
    ReadTables,
    by_label,
    counted,
    read_tables,
    unknown_of,
    values_in,
)
from saferoom_client.tongue import later
from saferoom_proto.statements import FeatureKind
from saferoom_proto.trust import Trust

if TYPE_CHECKING:
    from saferoom_models.scorecard.counts import Count, Counts
    from saferoom_models.scorecard.tabled import Pair

EVENT: Final = "true"
"""The event's class of a label that is a flag."""
WITHHELD: Final = "WITHHELD"


def card_of_tables(
    receipts: Sequence[Path],
    wanted: Wanted,
    trust: Trust,
    *,
    name: str,
    now: datetime | None = None,
) -> Scorecard:
    """Make a card of released tables; nothing is sent anywhere.

    Args:
        receipts: files of `saferoom stats ask --receipt`, each verified first.
        wanted: how; its columns name the label, and the class of it that is the event.
        trust: what receipts are held to.
        name: what the card is called.
        now: what time it is; the clock's, if not given.

    Raises:
        SafeRoomError: what a receipt does not show; `MALFORMED` where one has no table of the
            label, or a column stands in two; `NOT_INSTALLED`.
    """
    label = wanted.columns.label or ""
    told = [read_tables(path, trust, label) for path in receipts]
    return card_of_read(told, wanted, name=name, now=now)


def card_of_read(
    told: Sequence[ReadTables], wanted: Wanted, *, name: str, now: datetime | None = None
) -> Scorecard:
    """Make a card of tables that were verified; as `card_of_tables`."""
    with saying_faults(", ".join(each.path.name for each in told)):
        from saferoom_models.scorecard.tabled import card_of_counts  # noqa: PLC0415 - an extra

        asked = asked_of(wanted)
        # Step 1: counts of each column, and of two of them.
        columns, notes, of = _columns(told, wanted)
        ordered = {n for n, each in of.items() if each.shapes[n].kind is FeatureKind.ORDERED}
        require_ordered(wanted, ordered)
        pairs = dict(_pairs(told, list(columns), wanted))
        total = _total(told, wanted, columns)
        # Step 2: bins, weights and points.
        found = card_of_counts(columns, pairs, total, asked)
    kept = tuple(map(kept_column, found.card.columns))
    used = {each.name for each in kept}
    return Scorecard(
        name=name,
        time=now or datetime.now(UTC),
        scale=KeptScale(
            points=wanted.scale.points, odds=wanted.scale.odds, double=wanted.scale.double
        ),
        intercept=found.card.intercept,
        columns=kept,
        rules=KeptRules(
            least_share=wanted.least_share,
            least_events=wanted.least_events,
            most_bins=wanted.most_bins,
            least_value=wanted.least_value,
            shapes=dict(wanted.shapes),
        ),
        on=_on(told, wanted, total),
        fitted=None,
        held=None,
        stability=None,
        membership=None,
        notes=(
            *notes,
            *(KeptNote(kind=n.kind, column=n.column, value=n.value) for n in found.notes),
        ),
        tables=tuple(
            _kept(each, tuple(n for n, where in of.items() if where is each and n in used))
            for each in told
        ),
    )


def _columns(
    told: Sequence[ReadTables], wanted: Wanted
) -> tuple[dict[str, Counts], list[KeptNote], dict[str, ReadTables]]:
    """Give the counts of each column that is taken, what was withheld, and where each stands."""
    label, asked = wanted.columns.label or "", wanted.columns
    found: dict[str, Counts] = {}
    notes: list[KeptNote] = []
    of: dict[str, ReadTables] = {}
    for each in told:
        for name in each.shapes:
            numbers = each.of(name, label) if name != label else None
            taken = name in asked.named if asked.named else name not in asked.leave
            if numbers is None or not taken:
                continue
            if name in of:
                raise bad_file(each.path, f"{name} stands in another receipt, too: take one")
            of[name] = each
            counts = counted(each.shapes[name], by_label(each, label, asked.event, numbers))
            if counts is None:
                notes.append(KeptNote(kind=WITHHELD, column=name, value=0.0))
            else:
                found[name] = counts
    for option, names in (("--column", asked.named), ("--leave", asked.leave)):
        for name in names:
            if not any(name in each.shapes for each in told):
                raise refused(f"{option} {name}", later("no receipt has such a column"))
    if not found:
        rule = later("of every column a number was withheld: ask for fewer classes, or with noise")
        raise refused("receipts", rule, "saferoom stats --help")
    return found, notes, of


def _pairs(
    told: Sequence[ReadTables], names: Sequence[str], wanted: Wanted
) -> Iterator[tuple[tuple[str, str], Pair]]:
    """Give counts of two columns together, where no number of them is withheld."""
    from saferoom_models.scorecard.tabled import Pair  # noqa: PLC0415 - an extra

    label = wanted.columns.label or ""
    for each in told:
        for first, second in combinations(names, 2):
            numbers = each.of(first, second, label)
            if numbers is None:
                continue
            shapes = each.shapes[first], each.shapes[second]
            unknown = tuple(map(unknown_of, shapes))
            # Of whom a column is unknown there are often none, and that is withheld.
            cells = {
                at: count
                for at, count in by_label(each, label, wanted.columns.event, numbers).items()
                if count is not None or not any(map(operator.eq, at, unknown))
            }
            counts = [count for count in cells.values() if count is not None]
            if len(counts) == len(cells):
                left, right = zip(*cells, strict=True)
                values = values_in(shapes[0], left), values_in(shapes[1], right)
                yield (first, second), Pair(*values, tuple(counts))


def _total(told: Sequence[ReadTables], wanted: Wanted, columns: Mapping[str, Counts]) -> Count:
    """Count all rows by label: in a table of its own, or over a column's classes."""
    from saferoom_models.scorecard.counts import ClassCounts, Count  # noqa: PLC0415 - an extra

    label = wanted.columns.label or ""
    for each in told:
        alone = each.of(label)
        count = None if alone is None else by_label(each, label, wanted.columns.event, alone)[()]
        if count is not None:
            return count
    first = next(iter(columns.values()))
    parts = first.counts.values() if isinstance(first, ClassCounts) else first.counts
    return sum(parts, Count()) + first.missing


def _on(told: Sequence[ReadTables], wanted: Wanted, total: Count) -> FittedOn:
    return FittedOn(
        file=", ".join(each.path.name for each in told),
        digest=told[0].digest,
        label=wanted.columns.label or "",
        event=wanted.columns.event,
        rows=total.rows,
        events=total.events,
        held_out="0",
    )


def _kept(told: ReadTables, columns: tuple[str, ...]) -> KeptTables:
    verified = told.verified
    asked, release = verified.template.aggregate, verified.release
    privacy = None if asked is None else asked.privacy
    return KeptTables(
        receipt=told.digest,
        request=verified.request_id,
        institution=verified.request.institution,
        owner=release.owner,
        template=verified.template.name,
        template_digest=release.template,
        certificate=release.certificate,
        purpose=str(verified.request.purpose),
        epoch=0 if release.store is None else release.store.epoch,
        time=release.time,
        entry=verified.index,
        columns=columns,
        base=None if asked is None or privacy is not None else asked.rules.base,
        epsilon=None if privacy is None else str(privacy.epsilon),
    )
