"""A card of counts alone does what one of the same rows does, as far as counts can."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from saferoom_models.scorecard.binning import Rules
from saferoom_models.scorecard.card import Values
from saferoom_models.scorecard.counts import Count, Counts, OrderedCounts, count_labels
from saferoom_models.scorecard.faults import Fault, ScorecardError
from saferoom_models.scorecard.fit import Asked, Fitted, NoteKind, fit_card
from saferoom_models.scorecard.tabled import Pair, card_of_counts

Columns = dict[str, NDArray[np.float64]]
EDGES = (-1.0, -0.5, 0.0, 0.5, 1.0)
LOWS = np.array([-2.0, *EDGES])
ASKED = Asked(lambda odds: 600 - 20 * odds, Rules())


def rows(many: int = 20_000) -> tuple[Columns, NDArray[np.int64]]:
    """Make rows of columns in six classes: two that tell much alike, one that tells otherwise."""
    draw = np.random.default_rng(3)
    common = draw.normal(size=many)
    made = {
        "vat": common + 0.5 * draw.normal(size=many),
        "tax": common + 0.5 * draw.normal(size=many),
        "staff": draw.normal(size=many),
    }
    odds = -2 + 0.9 * common + 0.7 * made["staff"]
    labels = (draw.random(many) < 1 / (1 + np.exp(-odds))).astype(np.int64)
    classes = {name: LOWS[np.searchsorted(EDGES, each, "right")] for name, each in made.items()}
    return classes, labels


def counts_of(values: NDArray[np.float64], labels: NDArray[np.int64]) -> OrderedCounts:
    """Count a column as a table does."""
    return OrderedCounts(EDGES, tuple(count_labels(labels[values == low]) for low in LOWS.tolist()))


def pairs_of(columns: Columns, labels: NDArray[np.int64]) -> dict[tuple[str, str], Pair]:
    """Count two columns each together."""
    names, found = list(columns), dict[tuple[str, str], Pair]()
    cells = [(a, b) for a in LOWS.tolist() for b in LOWS.tolist()]
    for one, first in enumerate(names):
        for second in names[one + 1 :]:
            both = columns[first], columns[second]
            counts = [count_labels(labels[(both[0] == a) & (both[1] == b)]) for a, b in cells]
            left, right = (np.array(each) for each in zip(*cells, strict=True))
            found[first, second] = Pair(left, right, tuple(counts))
    return found


def made(columns: Columns, labels: NDArray[np.int64], *, paired: bool = True) -> Fitted:
    """Make a card of counts of rows."""
    counts: dict[str, Counts] = {name: counts_of(each, labels) for name, each in columns.items()}
    pairs = pairs_of(columns, labels) if paired else {}
    return card_of_counts(counts, pairs, count_labels(labels), ASKED)


def log_odds(fitted: Fitted, columns: Mapping[str, Values]) -> NDArray[np.float64]:
    return fitted.card.log_odds(fitted.card.places(columns))


def test_it_ranks_and_foretells_as_a_card_of_the_same_rows() -> None:
    columns, labels = rows()
    fitted, tabled = fit_card(columns, labels, ASKED), made(columns, labels)
    alone = made(columns, labels, paired=False)
    told = [log_odds(each, columns) for each in (fitted, tabled, alone)]
    aucs = [float(roc_auc_score(labels, each)) for each in told]
    assert aucs[1] == pytest.approx(aucs[0], abs=0.001)
    weights = [{each.name: each.weight for each in one.card.columns} for one in (fitted, tabled)]
    for name, weight in weights[0].items():
        assert weights[1][name] == pytest.approx(weight, abs=0.15)
    risks = [1 / (1 + np.exp(-each)) for each in told]
    errors = [abs(float(each.mean() - labels.mean())) for each in risks]
    assert errors[1] < 0.02
    assert [note.kind for note in alone.notes] == [NoteKind.WEIGHED_ALONE]
    worst = risks[2] > np.quantile(risks[2], 0.95)
    over = [float(each[worst].mean() - labels[worst].mean()) for each in risks]
    assert over[2] > over[1] + 0.05, "columns that tell alike count twice where each is alone"


def test_a_column_that_tells_the_same_as_another_is_left_out() -> None:
    columns, labels = rows()
    twice = columns | {"again": columns["vat"]}
    fitted = made(twice, labels)
    assert [(each.kind, each.column) for each in fitted.notes] == [(NoteKind.SAME, "vat")]
    assert {each.name for each in fitted.card.columns} == {"tax", "staff", "again"}
    assert min(each.weight for each in fitted.card.columns) > 0


def test_one_column_weighs_what_its_bins_say() -> None:
    columns, labels = rows()
    fitted = made({"staff": columns["staff"]}, labels)
    (column,) = fitted.card.columns
    assert column.weight == 1.0
    assert fitted.notes == ()
    risk = 1 / (1 + np.exp(-log_odds(fitted, columns)))
    for each, low in zip(column.binned.bins[:-1], [-9.0, *EDGES], strict=False):
        assert each.count.rate == pytest.approx(float(risk[columns["staff"] == max(low, -2.0)][0]))


def test_counts_that_are_rounded_or_noisy_make_a_card_too() -> None:
    columns, labels = rows(4000)
    draw = np.random.default_rng(1)

    def blurred(count: Count) -> Count:
        noise = draw.laplace(scale=8, size=2).round().astype(int).tolist()
        return Count(max(0, count.events + noise[0]), max(0, count.others + noise[1]))

    counts: dict[str, Counts] = {}
    for name, each in columns.items():
        exact = counts_of(each, labels)
        counts[name] = OrderedCounts(EDGES, tuple(map(blurred, exact.counts)))
    pairs = {
        name: Pair(pair.first, pair.second, tuple(map(blurred, pair.counts)))
        for name, pair in pairs_of(columns, labels).items()
    }
    fitted = card_of_counts(counts, pairs, count_labels(labels), ASKED)
    auc = float(roc_auc_score(labels, log_odds(fitted, columns)))
    exact = float(roc_auc_score(labels, log_odds(made(columns, labels), columns)))
    assert auc > exact - 0.03
    assert min(each.weight for each in fitted.card.columns) > 0


def test_what_tells_nothing_makes_no_card() -> None:
    columns, labels = rows()
    shuffled = np.random.default_rng(2).permutation(labels)
    with pytest.raises(ScorecardError) as caught:
        made(columns, shuffled)
    assert caught.value.fault is Fault.NO_COLUMNS
    with pytest.raises(ScorecardError) as caught:
        made(columns, np.zeros_like(labels))
    assert caught.value.fault is Fault.FEW_EVENTS
