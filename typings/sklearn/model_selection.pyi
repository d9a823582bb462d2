"""How rows are held out in turn."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

class StratifiedKFold:
    def __init__(self, n_splits: int, *, shuffle: bool, random_state: int) -> None: ...
    def split(
        self, X: NDArray[np.float64], y: NDArray[np.int64]
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]: ...
