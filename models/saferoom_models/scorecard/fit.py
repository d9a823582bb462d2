"""Fitting a scorecard: bins, then a logistic regression on their weights of evidence."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from saferoom_models.arrays import Floats, Integers
from saferoom_models.scorecard.binning import Binned, Rules, apart, bin_column
from saferoom_models.scorecard.card import Card, ToPoints, Values, make_card, place
from saferoom_models.scorecard.counts import (
    Count,
    Counts,
    count_classes,
    count_labels,
    count_numbers,
)
from saferoom_models.scorecard.faults import Fault, ScorecardError

LEAST_VALUE: Final = 0.02
SUSPICIOUS_VALUE: Final = 0.5
"""Below the first a column tells nothing, above the second more than is likely: it may have been
written after the event (Siddiqi 2006, chapter 6)."""
EVENTS_PER_COLUMN: Final = 10
"""Peduzzi and others, J. Clin. Epidemiol. 49 (1996): fewer, and weights are not to be relied on."""
_TELLS_LABEL: Final = 0.9
"""How far apart rows with the event and others lie along a column that is the label by another
name: no bin of it has enough of both."""
_UNBOUNDED: Final = 1e6
"""The inverse ridge: none to speak of. Few bins of enough rows each are what holds the weights."""
_MOST_ROUNDS: Final = 1000


class NoteKind(StrEnum):
    """What stood out about a column. Never renamed, never reused."""

    ONE_BIN = "ONE_BIN"
    TELLS_LABEL = "TELLS_LABEL"
    LITTLE_VALUE = "LITTLE_VALUE"
    OTHER_SIGN = "OTHER_SIGN"
    SUSPICIOUS = "SUSPICIOUS"
    MISSING_UNKNOWN = "MISSING_UNKNOWN"
    FEW_EVENTS = "FEW_EVENTS"
    WEIGHED_ALONE = "WEIGHED_ALONE"
    SAME = "SAME"


@dataclass(frozen=True, slots=True)
class Note:
    """What stood out.

    Attributes:
        kind: of it.
        column: where; empty for the whole card.
        value: the column's information value, where it has one.
    """

    kind: NoteKind
    column: str
    value: float = 0.0


@dataclass(frozen=True, slots=True)
class Asked:
    """How a card is to be made.

    Attributes:
        rules: of columns, by name.
        default: of all others.
        least_value: columns that tell less are left out.
        scale: log-odds to points.
    """

    scale: ToPoints
    default: Rules = field(default_factory=Rules)
    rules: Mapping[str, Rules] = field(default_factory=dict[str, Rules])
    least_value: float = LEAST_VALUE


@dataclass(frozen=True, slots=True)
class Fitted:
    """A card, and what stood out while it was made."""

    card: Card
    notes: tuple[Note, ...]


def fit_card(columns: Mapping[str, Values], labels: Integers, asked: Asked) -> Fitted:
    """Fit a scorecard.

    Args:
        columns: values by name; an array of numbers, or a list of classes.
        labels: 1 for the event, else 0; one for each row.
        asked: how.

    Raises:
        ScorecardError: `FEW_EVENTS`, `NO_COLUMNS`, `BAD_COUNTS`, `NOT_CONVERGED`.
    """
    # Step 1: bins of every column, from its counts alone.
    total = count_labels(labels)
    if not total.events or not total.others:
        raise ScorecardError(Fault.FEW_EVENTS, "rows with the event and without it are needed")
    counted: dict[str, Counts] = {
        name: count_numbers(values, labels)
        if isinstance(values, np.ndarray)
        else count_classes(values, labels)
        for name, values in columns.items()
    }
    chosen, notes = choose(counted, asked)
    # Step 2: the regression, without columns whose weight has the other sign beside the rest.
    woe = {
        name: np.array([each.woe for each in binned.bins])[place(binned.bins, columns[name])]
        for name, binned in chosen.items()
    }
    weights, intercept, turned = _same_sign(woe, labels)
    notes += [Note(NoteKind.OTHER_SIGN, name, chosen[name].value) for name in turned]
    # Step 3: points, and what is to be looked at.
    kept = [(name, chosen[name], weight) for name, weight in weights.items()]
    card = make_card(kept, intercept, asked.scale)
    return Fitted(card, (*notes, *looked_at(kept, total)))


def choose(columns: Mapping[str, Counts], asked: Asked) -> tuple[dict[str, Binned], list[Note]]:
    """Give the bins of columns that tell enough, and what stood out of the others.

    Raises:
        ScorecardError: `BAD_COUNTS` naming the column.
    """
    chosen: dict[str, Binned] = {}
    notes: list[Note] = []
    for name, counts in columns.items():
        try:
            binned = bin_column(counts, asked.rules.get(name, asked.default))
        except ScorecardError as error:
            raise ScorecardError(error.fault, f"{name}: {error.detail}") from error
        if binned is not None and binned.value >= asked.least_value:
            chosen[name] = binned
        elif binned is None:
            sure = apart(counts) >= _TELLS_LABEL
            notes.append(Note(NoteKind.TELLS_LABEL if sure else NoteKind.ONE_BIN, name))
        else:
            notes.append(Note(NoteKind.LITTLE_VALUE, name, binned.value))
    return chosen, notes


def _same_sign(
    woe: Mapping[str, Floats], labels: Integers
) -> tuple[dict[str, float], float, list[str]]:
    """Fit until every weight goes with its bins: else points would fall where risk falls."""
    names, turned = list(woe), list[str]()
    while names:
        fit = LogisticRegression(C=_UNBOUNDED, tol=1e-8, max_iter=_MOST_ROUNDS)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", ConvergenceWarning)
                fit.fit(np.stack([woe[name] for name in names], axis=1), labels)
        except ConvergenceWarning as error:
            detail = "the weights do not settle: leave out columns that tell the same"
            raise ScorecardError(Fault.NOT_CONVERGED, detail) from error
        weights: list[float] = fit.coef_[0].tolist()
        worst = min(range(len(names)), key=weights.__getitem__)
        if weights[worst] > 0:
            return dict(zip(names, weights, strict=True)), float(fit.intercept_[0]), turned
        turned.append(names.pop(worst))
    raise ScorecardError(Fault.NO_COLUMNS, "no column tells enough; see the rules of bins")


def looked_at(kept: Sequence[tuple[str, Binned, float]], total: Count) -> list[Note]:
    """Say what is to be looked at of the columns of a card."""
    few = min(total.events, total.others) < EVENTS_PER_COLUMN * len(kept)
    return [
        *(
            Note(NoteKind.SUSPICIOUS, name, binned.value)
            for name, binned, _ in kept
            if binned.value > SUSPICIOUS_VALUE
        ),
        *(
            Note(NoteKind.MISSING_UNKNOWN, name, binned.value)
            for name, binned, _ in kept
            if not binned.missing_known and binned.bins[-1].count.rows
        ),
        *([Note(NoteKind.FEW_EVENTS, "")] if few else []),
    ]
