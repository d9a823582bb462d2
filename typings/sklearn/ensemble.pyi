"""What fits trees in the room; `_predictors` and `_baseline_prediction` are where they stand."""

import numpy as np
from numpy.typing import NDArray

class _Predictor:
    nodes: NDArray[np.void]

class HistGradientBoostingClassifier:
    _predictors: list[list[_Predictor]]
    _baseline_prediction: NDArray[np.float64]
    def __init__(
        self,
        *,
        learning_rate: float,
        max_iter: int,
        max_leaf_nodes: int,
        min_samples_leaf: int,
        l2_regularization: float,
        early_stopping: bool,
        random_state: int,
    ) -> None: ...
    def fit(
        self, X: NDArray[np.float64], y: NDArray[np.int64]
    ) -> HistGradientBoostingClassifier: ...
    def decision_function(self, X: NDArray[np.float64]) -> NDArray[np.float64]: ...
