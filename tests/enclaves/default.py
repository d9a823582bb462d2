"""How well the features of a city's owners predict who does not pay back."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold

from saferoom_client.records.annex import catalogue
from saferoom_client.records.offers import offers
from saferoom_proto.statements.feature import Absent, FeatureKind
from tests.enclaves.city_store import City

Matrix = NDArray[np.float64]


def loans(lines: bytes) -> tuple[NDArray[np.bytes_], NDArray[np.int64]]:
    """Read the bank's list: the firms' codes, and who failed."""
    rows = [line.split(b",") for line in lines.splitlines()]
    return np.array([row[0] for row in rows]), np.array([row[-1] == b"true" for row in rows], "i8")


def matrices(city: City, rows: NDArray[np.intp]) -> dict[str, Matrix]:
    """Give by category what its features tell of some firms: cells, and what is not known."""
    parts: dict[str, list[Matrix]] = {}
    for at, (name, feature) in enumerate(city.features.items()):
        if feature.kind is FeatureKind.STATED:
            continue
        cells = city.told.columns[at][rows].astype(np.float64)
        unknown = cells < 0
        if feature.absent is Absent.FALSE:
            cells[unknown], unknown = 0, np.zeros_like(unknown)
        key = catalogue().type(offers().features[name].type_id).category.key
        wide = parts.setdefault(key, [])
        if feature.kind is FeatureKind.CLASSES:
            wide += [(cells == each).astype(np.float64) for each in range(len(feature.classes))]
            continue
        known = cells[~unknown]
        cells[unknown] = known.mean()
        wide.append((cells - cells.mean()) / (cells.std() or 1.0))
        if unknown.any():
            wide.append(unknown.astype(np.float64))
    return {key: np.column_stack(wide) for key, wide in parts.items()}


def auc(columns: Matrix, failed: NDArray[np.int64]) -> float:
    """Give the AUC of a logistic regression over three folds, each judged by the others."""
    scores = np.zeros(len(failed))
    for known, held_out in StratifiedKFold(3, shuffle=True, random_state=1).split(columns, failed):
        model = LogisticRegression(C=0.05, max_iter=500).fit(columns[known], failed[known])
        scores[held_out] = model.decision_function(columns[held_out])
    return roc_auc_score(failed, scores)
