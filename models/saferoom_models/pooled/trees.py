"""Trees as data, and how they foretell a row: without scikit-learn, which only fits them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from saferoom_models.arrays import Floats, Integers


@dataclass(frozen=True, slots=True)
class Node:
    """A node of a tree.

    Attributes:
        column: that decides.
        threshold: a row whose bin is at most this goes left.
        left, right: places in the tree; 0 in a leaf, for nothing leads to the root.
        value: a leaf's part of the log-odds.
    """

    column: int
    threshold: int
    left: int
    right: int
    value: float


@dataclass(frozen=True, slots=True)
class Boosted:
    """A fitted model.

    Attributes:
        edges: of each column, ascending: a bin holds its lower edge.
        trees: in the order in which they are added up.
        baseline: the log-odds before the first.
    """

    edges: tuple[tuple[float, ...], ...]
    trees: tuple[tuple[Node, ...], ...]
    baseline: float

    def log_odds(self, values: Floats) -> Floats:
        """Foretell rows, each by itself."""
        bins = binned(values, self.edges)
        total = np.full(len(values), self.baseline)
        for tree in self.trees:
            total += _leaves(tree, bins)
        return total


def binned(values: Floats, edges: Sequence[Sequence[float]]) -> Integers:
    """Give the numbers of the bins that rows fall into; shape (rows, columns)."""
    bins = np.empty(values.shape, np.int64)
    for place, of in enumerate(edges):
        bins[:, place] = np.searchsorted(np.asarray(of, np.float64), values[:, place], "right")
    return bins


def _leaves(tree: tuple[Node, ...], bins: Integers) -> Floats:
    """Give the value of the leaf that each row falls into."""
    columns, thresholds, left, right = (
        np.array([getattr(node, field) for node in tree], np.int64)
        for field in ("column", "threshold", "left", "right")
    )
    at = np.zeros(len(bins), np.int64)
    while (inner := left[at] != 0).any():
        here = at[inner]
        goes = bins[inner, columns[here]] <= thresholds[here]
        at[inner] = np.where(goes, left[here], right[here])
    return np.array([node.value for node in tree])[at]
