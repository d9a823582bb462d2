"""Rows held out in bands of their scores, whose edges are those of the rows of training.

No row that is held out has a part in where a band ends: so a row that changes alters the numbers of
two bands, and of no others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from saferoom_models.arrays import Floats, Integers
from saferoom_models.pooled.rows import Parts


@dataclass(frozen=True, slots=True)
class Counted:
    """Exact numbers of bands, the riskiest first: whoever tells them adds noise.

    Attributes:
        events: rows with the event.
        others: rows without.
        foretold: risks that the model foretells, added up in steps, each row's rounded.
    """

    events: Integers
    others: Integers
    foretold: Integers


def count_bands(
    log_odds: Floats, labels: Integers, parts: Parts, *, most: int, steps: int
) -> Counted:
    """Count the rows held out by band.

    Args:
        log_odds: of all rows.
        labels: 0 and 1.
        parts: which are held out.
        most: bands; fewer where scores are the same.
        steps: in one risk of 1.
    """
    trained = log_odds[parts.train]
    edges = np.unique(np.quantile(trained, np.arange(1, most) / most))
    edges = edges[edges > trained.min()]  # below the least there is nobody
    held, label = log_odds[parts.held], labels[parts.held]
    # The riskiest first: the last of those that ascend.
    at = len(edges) - np.searchsorted(edges, held, side="right")
    risks = np.rint(steps / (1 + np.exp(-held))).astype(np.int64)
    size = len(edges) + 1
    return Counted(
        np.bincount(at[label == 1], minlength=size).astype(np.int64),
        np.bincount(at[label == 0], minlength=size).astype(np.int64),
        # Exact in floats: whole numbers far below 2^53.
        np.bincount(at, risks, minlength=size).astype(np.int64),
    )
