"""Cards of models as an enclave's child fits them and its gate tells them, in this process.

And the bands of a card, before neighbours are joined: what is joined tells no more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from saferoom_attacks.model_attacks import LEAVES, Floats, Records
from saferoom_enclaves.children.fit_jobs import Fit
from saferoom_enclaves.fit_rows import Rows
from saferoom_enclaves.fits.gate import _hundredths
from saferoom_enclaves.fitting import _trained
from saferoom_enclaves.risk_bands import noisy_bands
from saferoom_models.pooled.measure import measure
from saferoom_models.pooled.rows import Parts
from saferoom_proto.fit_bands import MOST_BANDS


def rows_of(records: Records) -> Rows:
    """Give records as a child reads them: all columns are one owner's."""
    many = len(records.labels)
    codes = np.array([f"{at:018d}".encode() for at in range(many)])
    return Rows(codes, records.values, np.empty((many, 0)), records.labels)


@dataclass
class SimCards:
    """Trains, measures and rounds; each room has a seed of its own."""

    trees: bool = False
    """Boosting is trained, else logistic regression."""
    asked: int = 0
    beyond: float = -1.0
    """The most that the gate's own measure of membership was beyond what chance gives."""

    def cards(self, records: Records, chosen: Sequence[float], count: int, seed: int) -> Floats:
        dice = np.random.default_rng(seed)
        rows, told = rows_of(records), list[list[float]]()
        for _ in range(count):
            card, split = list[str](), dice.bytes(32).hex()
            for each in chosen:
                self.asked += 1
                model, log_odds, parts = _trained(self._job(each, split), rows)
                found = measure(log_odds, records.labels, parts)
                self.beyond = max(self.beyond, found.membership - found.by_chance)
                figures = (found.auc, found.ks)
                figures = (*figures, found.membership) if self.trees else (*model.weights, *figures)
                card += map(_hundredths, figures)
            told.append(list(map(float, card)))
        return np.array(told)

    def _job(self, chosen: float, split: str) -> Fit:
        ridge, trees = (None, int(chosen)) if self.trees else (chosen, 0)
        leaves = LEAVES if self.trees else 0
        return Fit.model_construct(
            columns=("amount", "flag"), inverse_ridge=ridge, trees=trees, leaves=leaves, seed=split
        )


@dataclass
class SimBands:
    """Trains, and tells bands of the rows held out with noise; each room has a seed of its own.

    Attributes:
        trees: how many; a logistic regression without.
        secret: which rows are held out is nobody's to know.
    """

    trees: int = 0
    secret: bool = True
    asked: int = 0

    def cards(self, records: Records, chosen: Sequence[float], count: int, seed: int) -> Floats:
        dice = np.random.default_rng(seed)
        rows, told = rows_of(records), list[list[float]]()
        made: dict[tuple[str, float], tuple[Floats, Parts]] = {}
        for _ in range(count):
            split = dice.bytes(32).hex() if self.secret else "00" * 32
            card = list[float]()
            for ridge in chosen[-1:] if self.trees else chosen:
                self.asked += 1
                if (split, ridge) not in made:
                    job = Fit.model_construct(
                        columns=("amount", "flag"),
                        inverse_ridge=None if self.trees else ridge,
                        trees=self.trees,
                        leaves=7,
                        seed=split,
                    )
                    made[split, ridge] = _trained(job, rows)[1:]
                log_odds, parts = made[split, ridge]
                bands = noisy_bands(log_odds, records.labels, parts, Decimal(1))
                numbers = [(each.events, each.others, each.foretold / 1000) for each in bands]
                numbers += [(0, 0, 0)] * (MOST_BANDS - len(numbers))
                card += [number for each in numbers for number in each]
            told.append(card)
        return np.array(told)
