"""A scorecard of counts alone: columns that whoever makes the card never saw row by row.

Bins come of each column's counts by label. Weights come of counts of two columns and the label, by
Fisher's linear discriminant on weights of evidence, which needs no more than their means and
covariances. Where those counts are not there each column weighs 1, as if columns told nothing of
each other (naive Bayes); what two tell alike then counts twice, and a note says so.
Source: Hastie, Tibshirani, Friedman, The Elements of Statistical Learning (2009), sections 4.3 and
4.4.5 (the discriminant beside logistic regression), 6.6.3.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from saferoom_models.arrays import Floats
from saferoom_models.scorecard.binning import Binned
from saferoom_models.scorecard.card import Values, make_card, place
from saferoom_models.scorecard.counts import Count, Counts
from saferoom_models.scorecard.faults import Fault, ScorecardError
from saferoom_models.scorecard.fit import Asked, Fitted, Note, NoteKind, choose, looked_at

_SINGULAR: Final = 0.02
"""The least eigenvalue of correlations with which weights are reckoned: below it two columns all
but tell the same, or noise has made what no rows have."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Counts of two columns together.

    Attributes:
        first, second: a value of each column in each cell; NaN, or an empty text, where there is
            none.
        counts: of each cell.
    """

    first: Values
    second: Values
    counts: tuple[Count, ...]


Pairs = Mapping[tuple[str, str], Pair]
"""By the names of both columns, in the order of the columns."""


def card_of_counts(
    columns: Mapping[str, Counts], pairs: Pairs, total: Count, asked: Asked
) -> Fitted:
    """Make a card of counts.

    Args:
        columns: counts of each, by its name.
        pairs: of two of them, as far as they are there.
        total: rows with the event and others.
        asked: how.

    Raises:
        ScorecardError: `FEW_EVENTS`, `NO_COLUMNS`, `BAD_COUNTS`.
    """
    if not total.events or not total.others:
        raise ScorecardError(Fault.FEW_EVENTS, "rows with the event and without it are needed")
    chosen, notes = choose(columns, asked)
    if not chosen:
        raise ScorecardError(Fault.NO_COLUMNS, "no column tells enough; see the rules of bins")
    prior = math.log(total.events / total.others)
    found = _moments(chosen, pairs, total) if len(chosen) > 1 else None
    if found is None:
        weights, intercept = dict.fromkeys(chosen, 1.0), prior
        notes += [Note(NoteKind.WEIGHED_ALONE, "")] if len(chosen) > 1 else []
    else:
        values = {name: binned.value for name, binned in chosen.items()}
        names, same = found.apart(values)
        weights, turned = found.weights(names)
        intercept = prior - found.between(weights)
        for kind, left in ((NoteKind.SAME, same), (NoteKind.OTHER_SIGN, turned)):
            notes += [Note(kind, name, values[name]) for name in left]
    kept = [(name, chosen[name], weight) for name, weight in weights.items()]
    return Fitted(make_card(kept, intercept, asked.scale), (*notes, *looked_at(kept, total)))


@dataclass(frozen=True, slots=True)
class _Moments:
    """Means of weights of evidence among events and others, and their covariances within these.

    Attributes:
        names: of the columns.
        means: shape (2, columns): of events, of others.
        within: shape (columns, columns): pooled by rows.
    """

    names: tuple[str, ...]
    means: Floats
    within: Floats

    def apart(self, values: Mapping[str, float]) -> tuple[list[str], list[str]]:
        """Part columns from those that all but tell the same as others that tell more.

        Args:
            values: information values, by column.
        """
        names, same = list(self.names), list[str]()
        while len(names) > 1:
            within = self._of(names)
            spread = np.sqrt(np.diag(within))
            alike = within / np.outer(spread, spread)
            if np.linalg.eigvalsh(alike).min() >= _SINGULAR:
                break
            np.fill_diagonal(alike, 0.0)
            place = divmod(int(np.abs(alike).argmax()), len(names))
            same.append(min((names[at] for at in place), key=values.__getitem__))
            names.remove(same[-1])
        return names, same

    def weights(self, names: Sequence[str]) -> tuple[dict[str, float], list[str]]:
        """Give the discriminant's weights, and the columns left out whose weight is not positive.

        Points would fall there where risk falls.
        """
        left, turned = list(names), list[str]()
        while True:
            at = [self.names.index(name) for name in left]
            solved = _solved(self._of(left), (self.means[0] - self.means[1])[at])
            weights = dict(zip(left, solved.tolist(), strict=True))
            worst = min(left, key=weights.__getitem__)
            if weights[worst] > 0 or len(left) == 1:
                return weights, turned
            left.remove(worst)
            turned.append(worst)

    def between(self, weights: Mapping[str, float]) -> float:
        """Give the discriminant halfway between events and others."""
        at = [self.names.index(name) for name in weights]
        return float(np.array([*weights.values()]) @ self.means.mean(axis=0)[at])

    def _of(self, names: Sequence[str]) -> Floats:
        at = [self.names.index(name) for name in names]
        return self.within[np.ix_(at, at)]


def _moments(chosen: Mapping[str, Binned], pairs: Pairs, total: Count) -> _Moments | None:
    """Reckon means and covariances; none where two columns have no counts together."""
    names = tuple(chosen)
    means = np.zeros((2, len(names)))
    covariances = np.zeros((2, len(names), len(names)))
    for at, binned in enumerate(chosen.values()):
        woe = np.array([each.woe for each in binned.bins])
        for side, counts in enumerate(_sides([each.count for each in binned.bins])):
            means[side, at] = np.average(woe, weights=counts)
            covariances[side, at, at] = np.average((woe - means[side, at]) ** 2, weights=counts)
    for one, first in enumerate(names):
        for other, second in enumerate(names[one + 1 :], one + 1):
            pair = pairs.get((first, second))
            if pair is None:
                return None
            woes = (_woe(chosen[first], pair.first), _woe(chosen[second], pair.second))
            for side, counts in enumerate(_sides(pair.counts)):
                if not counts.sum():
                    return None
                a, b = (each - np.average(each, weights=counts) for each in woes)
                both = float(np.average(a * b, weights=counts))
                covariances[side, one, other] = covariances[side, other, one] = both
    shares = total.events / total.rows, total.others / total.rows
    return _Moments(names, means, shares[0] * covariances[0] + shares[1] * covariances[1])


def _woe(binned: Binned, values: Values) -> Floats:
    return np.array([each.woe for each in binned.bins])[place(binned.bins, values)]


def _sides(counts: Sequence[Count]) -> tuple[Floats, Floats]:
    events = np.array([each.events for each in counts], dtype=np.float64)
    return events, np.array([each.others for each in counts], dtype=np.float64)


def _solved(matrix: Floats, right: Floats) -> Floats:
    """Solve equations whose matrix is positive definite, by Cholesky."""
    lower = np.linalg.cholesky(matrix)
    return np.linalg.inv(lower.T) @ (np.linalg.inv(lower) @ right)
