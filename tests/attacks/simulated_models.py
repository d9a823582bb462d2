"""Cards of models as an enclave's child fits them and its gate tells them, in this process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from saferoom_attacks.model_attacks import Floats, Records
from saferoom_enclaves.children.fit_jobs import Fit
from saferoom_enclaves.fits.gate import _hundredths
from saferoom_enclaves.fitting import _Rows, _trained
from saferoom_models.pooled.measure import measure


@dataclass
class SimCards:
    """Trains, measures and rounds; each room has a seed of its own."""

    asked: int = 0
    beyond: float = -1.0
    """The most that the gate's own measure of membership was beyond what chance gives."""

    def cards(self, records: Records, ridges: Sequence[float], count: int, seed: int) -> Floats:
        dice = np.random.default_rng(seed)
        codes = np.array([f"{at:018d}".encode() for at in range(len(records.labels))])
        rows, told = _Rows(codes, records.values, records.labels), list[list[float]]()
        for _ in range(count):
            card, split = list[str](), dice.bytes(32).hex()
            for ridge in ridges:
                self.asked += 1
                job = Fit.model_construct(
                    columns=("amount", "flag"), inverse_ridge=ridge, trees=0, leaves=0, seed=split
                )
                model, log_odds, parts = _trained(job, rows)
                found = measure(log_odds, records.labels, parts)
                self.beyond = max(self.beyond, found.membership - found.by_chance)
                card += map(_hundredths, (*model.weights, found.auc, found.ks))
            told.append(list(map(float, card)))
        return np.array(told)
