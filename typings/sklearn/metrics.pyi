"""How scores are measured."""

import numpy as np
from numpy.typing import NDArray

def roc_auc_score(y_true: NDArray[np.int64], y_score: NDArray[np.float64]) -> float: ...
def roc_curve(
    y_true: NDArray[np.int64], y_score: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]: ...
