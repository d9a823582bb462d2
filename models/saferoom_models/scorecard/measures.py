"""How well points tell rows with the event from others, and how far they have moved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from saferoom_models.arrays import Floats, Integers
from saferoom_models.scorecard.counts import Count, count_labels
from saferoom_models.scorecard.faults import Fault, ScorecardError

BANDS: Final = 10
DRAWS: Final = 1000
_SURE: Final = (0.025, 0.975)
_LEAST_SHARE: Final = 1e-4
"""An empty band would make the index infinite; this is the usual floor."""
_CHANCE: Final = 1.36
"""The two-sample Kolmogorov-Smirnov statistic's 95 % point, over sqrt of the sizes' harmonic sum
(Smirnov 1948)."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A number, and between what it lies with 95 % confidence."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Band:
    """Rows whose points lie from one number on, to below another.

    Attributes:
        low: points; none for the lowest band.
        high: points; none for the highest.
        count: of rows.
        lift: its rate of the event, of the rate of all rows.
    """

    low: int | None
    high: int | None
    count: Count
    lift: float


@dataclass(frozen=True, slots=True)
class Measures:
    """How points tell rows apart.

    Attributes:
        count: of all rows.
        auc: the chance that a row with the event has fewer points than one without.
        ks: the most that the shares of both below some points are apart.
        bands: the riskiest first.
    """

    count: Count
    auc: Measure
    ks: Measure
    bands: tuple[Band, ...]


def measure(points: Integers, labels: Integers, edges: Sequence[int], seed: int = 0) -> Measures:
    """Measure points against labels.

    Points are few whole numbers, so rows drawn anew (stratified bootstrap, percentiles) are counts
    drawn anew: a thousand draws take milliseconds.

    Args:
        points: one for each row.
        labels: 1 for the event, else 0.
        edges: of bands, as `band_edges` gives them.
        seed: of the draws.

    Raises:
        ScorecardError: `FEW_EVENTS`.
    """
    total = count_labels(labels)
    if not total.events or not total.others:
        raise ScorecardError(Fault.FEW_EVENTS, "rows with the event and without it are needed")
    distinct, at = np.unique(points, return_inverse=True)
    events = np.bincount(at[labels == 1], minlength=len(distinct))
    others = np.bincount(at[labels == 0], minlength=len(distinct))
    draw = np.random.default_rng(seed)
    drawn = (
        draw.multinomial(total.events, events / total.events, DRAWS),
        draw.multinomial(total.others, others / total.others, DRAWS),
    )
    auc, ks = _auc_ks(events[None], others[None])
    aucs, kss = _auc_ks(*drawn)
    return Measures(
        total, _measure(auc, aucs), _measure(ks, kss), _bands(points, labels, edges, total)
    )


def band_edges(points: Integers, bands: int = BANDS) -> tuple[int, ...]:
    """Place edges so that bands hold about as many rows each; fewer where points repeat."""
    wanted = np.quantile(points, np.arange(1, bands) / bands, method="higher")
    lowest = points.min()
    return tuple(int(edge) for edge in np.unique(wanted) if edge > lowest)


def stability(expected: Sequence[int], actual: Sequence[int]) -> float:
    """Give the population stability index of rows over bins, or over bands.

    Under 0.1 is taken for stable, over 0.25 for moved (Siddiqi 2006, chapter 9).

    Args:
        expected: rows of each when the card was made.
        actual: rows of each now.
    """
    before, now = (
        np.maximum(np.asarray(each) / max(1, sum(each)), _LEAST_SHARE)
        for each in (expected, actual)
    )
    return float(((now - before) * np.log(now / before)).sum())


@dataclass(frozen=True, slots=True)
class Membership:
    """How far rows of training can be told from others by how well the card fits them.

    Attributes:
        advantage: of whoever takes a row whose loss is below some number for one of training: how
            much more often that is right about those than wrong about others, at best.
        by_chance: what that comes to, 19 times of 20 at most, where the card remembers nobody.
    """

    advantage: float
    by_chance: float


def membership(fitted: tuple[Floats, Integers], held: tuple[Floats, Integers]) -> Membership:
    """Attack a card by its losses (Yeom and others, CSF 2018), with the best threshold there is.

    Args:
        fitted: log-odds and labels of rows of training.
        held: those of rows held out.
    """
    inside, outside = (np.sort(_losses(*each)) for each in (fitted, held))
    at = np.concatenate([inside, outside])
    below = np.searchsorted(inside, at, side="right") / len(inside)
    wrong = np.searchsorted(outside, at, side="right") / len(outside)
    sizes = np.sqrt(1 / len(inside) + 1 / len(outside))
    return Membership(float(max(0.0, (below - wrong).max())), float(_CHANCE * sizes))


def _losses(log_odds: Floats, labels: Integers) -> Floats:
    return np.logaddexp(0.0, np.where(labels == 1, -log_odds, log_odds))


def _auc_ks(events: Integers, others: Integers) -> tuple[Floats, Floats]:
    """Reckon both of counts by points, ascending; a row of counts for each draw."""
    event = events / events.sum(axis=1, keepdims=True)
    other = others / others.sum(axis=1, keepdims=True)
    below = np.cumsum(event, axis=1)
    auc = (other * (below - event / 2)).sum(axis=1)
    ks = np.abs(below - np.cumsum(other, axis=1)).max(axis=1)
    return auc, ks


def _measure(value: Floats, drawn: Floats) -> Measure:
    low, high = np.quantile(drawn, _SURE)
    return Measure(float(value[0]), float(low), float(high))


def _bands(
    points: Integers, labels: Integers, edges: Sequence[int], total: Count
) -> tuple[Band, ...]:
    ends = (None, *edges, None)
    at = np.searchsorted(np.asarray(edges, dtype=np.int64), points, side="right")
    found: list[Band] = []
    for number, (low, high) in enumerate(pairwise(ends)):
        count = count_labels(labels[at == number])
        found.append(Band(low, high, count, count.rate / total.rate))
    return tuple(found)
