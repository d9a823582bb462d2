"""Fitting a scorecard on a bank's own rows, and measuring it on rows it never saw."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from saferoom_client.scorecards.cards import (
    kept_column,
    kept_measures,
    refused,
    saying_faults,
    values_of,
)
from saferoom_client.scorecards.document import (
    FittedOn,
    KeptMembership,
    KeptNote,
    KeptRules,
    KeptScale,
    Scorecard,
)
from saferoom_client.scorecards.table import Columns, Rows, read_rows
from saferoom_client.scores import Scale
from saferoom_client.tongue import later

if TYPE_CHECKING:
    from saferoom_models.arrays import Integers
    from saferoom_models.scorecard.binning import Rules
    from saferoom_models.scorecard.card import Values
    from saferoom_models.scorecard.fit import Asked, Fitted

HELD_OUT: Final = 0.3
LEAST_SHARE: Final = 0.05
LEAST_EVENTS: Final = 10
MOST_BINS: Final = 6
LEAST_VALUE: Final = 0.02
FREE: Final = "free"
_OTHERS: Final = ""
"""Names the columns that are not named."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """How a card is to be made.

    Attributes:
        columns: which columns of the table.
        scale: log-odds to points.
        held_out: the share of rows that is held out, or a table of its own.
        shapes: how risk may go along a column, by its name; "" for all others: free, rising,
            falling, or either of these.
        least_share, least_events, most_bins: what bins keep.
        least_value: columns with less information value are left out.
    """

    columns: Columns
    scale: Scale = field(default_factory=Scale)
    held_out: float | Path = HELD_OUT
    shapes: Mapping[str, str] = field(default_factory=dict[str, str])
    least_share: float = LEAST_SHARE
    least_events: int = LEAST_EVENTS
    most_bins: int = MOST_BINS
    least_value: float = LEAST_VALUE


def fit_scorecard(
    table: Path, wanted: Wanted, *, name: str, now: datetime | None = None
) -> Scorecard:
    """Fit a card on a table of the bank's own; nothing is sent anywhere.

    Args:
        table: CSV, Excel, Parquet or Arrow.
        wanted: how.
        name: what the card is called.
        now: what time it is; the clock's, if not given.

    Raises:
        SafeRoomError: `BAD_CONFIG` or `MALFORMED` names file, line, column and rule;
            `NOT_INSTALLED`.
    """
    with saying_faults(str(table)):
        # Step 1: all that can be refused before a row is read.
        asked = asked_of(wanted)
        rows = read_rows(table, wanted.columns)
        require_ordered(wanted, rows.numbers)
        # Step 2: the rows it is fitted on, and those it is measured with.
        inside, outside = _split(rows, wanted)
        found = _fit(inside, asked)
        # Step 3: what is kept of it.
        on = _on(table, rows, wanted)
        return _kept(found, inside, outside, wanted=wanted, on=on, name=name, now=now)


def asked_of(wanted: Wanted) -> Asked:
    """Give it as the arithmetic takes it; `MALFORMED` names what is no way for risk to go."""
    from saferoom_models.scorecard.binning import Rules, Shape  # noqa: PLC0415 - an extra
    from saferoom_models.scorecard.fit import Asked  # noqa: PLC0415

    def rules(shape: str) -> Rules:
        if shape not in {each.value for each in Shape}:
            rule = later("how risk goes along a column: free, rising, falling or either")
            raise refused(f"--risk {shape}", rule)
        return Rules(wanted.least_share, wanted.least_events, wanted.most_bins, Shape(shape))

    return Asked(
        wanted.scale.of,
        rules(wanted.shapes.get(_OTHERS, FREE)),
        {name: rules(shape) for name, shape in wanted.shapes.items() if name != _OTHERS},
        wanted.least_value,
    )


def require_ordered(wanted: Wanted, numbers: Container[str]) -> None:
    """Refuse to have risk go along what is no column of numbers."""
    for name in wanted.shapes:
        if name != _OTHERS and name not in numbers:
            rule = later("risk goes along a column of numbers that counts; this is none")
            raise refused(f"--risk {name}", rule)


@dataclass(frozen=True, slots=True)
class _Part:
    """Some rows, as the arithmetic takes them."""

    values: dict[str, Values]
    labels: Integers


def _split(rows: Rows, wanted: Wanted) -> tuple[_Part, _Part]:
    import numpy as np  # noqa: PLC0415 - an extra

    whole = _part(rows)
    if isinstance(wanted.held_out, Path):
        kinds = {**dict.fromkeys(rows.numbers, False), **dict.fromkeys(rows.classes, True)}
        columns = Columns(label=wanted.columns.label, event=wanted.columns.event)
        return whole, _part(read_rows(wanted.held_out, columns, kinds))
    if not 0 < wanted.held_out < 1:
        rule = later("a share of the rows is held out, above 0 and below 1")
        raise refused("--held-out", rule)
    # The same rows give the same card: of each label a share, chosen by one fixed seed.
    draw = np.random.default_rng(0)
    held = np.zeros(len(rows), dtype=bool)
    for label in (0, 1):
        places = draw.permutation(np.flatnonzero(whole.labels == label))
        held[places[: round(wanted.held_out * len(places))]] = True
    return _some(whole, ~held), _some(whole, held)


def _part(rows: Rows) -> _Part:
    import numpy as np  # noqa: PLC0415 - an extra

    return _Part(values_of(rows), np.array(rows.labels or (), dtype=np.int64))


def _some(part: _Part, which: Integers) -> _Part:
    import numpy as np  # noqa: PLC0415 - an extra

    places = np.flatnonzero(which)
    values: dict[str, Values] = {}
    for name, each in part.values.items():
        whole = isinstance(each, np.ndarray)
        values[name] = each[places] if whole else [each[at] for at in places.tolist()]
    return _Part(values, part.labels[places])


def _fit(part: _Part, asked: Asked) -> Fitted:
    from saferoom_models.scorecard.fit import fit_card  # noqa: PLC0415 - an extra

    return fit_card(part.values, part.labels, asked)


def _kept(
    found: Fitted,
    inside: _Part,
    outside: _Part,
    *,
    wanted: Wanted,
    on: FittedOn,
    name: str,
    now: datetime | None,
) -> Scorecard:
    from saferoom_models.scorecard.measures import (  # noqa: PLC0415 - an extra
        band_edges,
        measure,
        membership,
        stability,
    )

    card = found.card
    places = [card.places(part.values) for part in (inside, outside)]
    fitted, held = (card.column_points(each).sum(axis=1) for each in places)
    edges = band_edges(fitted)
    measured = [
        kept_measures(measure(points, part.labels, edges))
        for points, part in ((fitted, inside), (held, outside))
    ]
    attack = membership(
        (card.log_odds(places[0]), inside.labels), (card.log_odds(places[1]), outside.labels)
    )
    return Scorecard(
        name=name,
        time=now or datetime.now(UTC),
        scale=KeptScale(
            points=wanted.scale.points, odds=wanted.scale.odds, double=wanted.scale.double
        ),
        intercept=card.intercept,
        columns=tuple(map(kept_column, card.columns)),
        rules=KeptRules(
            least_share=wanted.least_share,
            least_events=wanted.least_events,
            most_bins=wanted.most_bins,
            least_value=wanted.least_value,
            shapes=dict(wanted.shapes),
        ),
        on=on,
        fitted=measured[0],
        held=measured[1],
        stability=stability(
            [band.rows for band in measured[0].bands], [band.rows for band in measured[1].bands]
        ),
        membership=KeptMembership(advantage=attack.advantage, by_chance=attack.by_chance),
        notes=tuple(
            KeptNote(kind=note.kind, column=note.column, value=note.value) for note in found.notes
        ),
    )


def _on(table: Path, rows: Rows, wanted: Wanted) -> FittedOn:
    held = wanted.held_out
    return FittedOn(
        file=table.name,
        digest=rows.digest,
        label=wanted.columns.label or "",
        event=wanted.columns.event,
        rows=len(rows),
        events=sum(rows.labels or ()),
        held_out=held.name if isinstance(held, Path) else f"{held:g}",
    )
