"""The pooled fit that a joint one is measured by."""

import numpy as np
from numpy.typing import NDArray

class LogisticRegression:
    coef_: NDArray[np.float64]
    intercept_: NDArray[np.float64]
    def __init__(self, *, C: float = ..., tol: float = ..., max_iter: int = ...) -> None: ...
    def fit(self, X: NDArray[np.float64], y: NDArray[np.int64]) -> LogisticRegression: ...
    def decision_function(self, X: NDArray[np.float64]) -> NDArray[np.float64]: ...
