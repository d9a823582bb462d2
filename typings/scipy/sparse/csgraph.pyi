import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array

def connected_components(
    csgraph: csc_array, *, directed: bool
) -> tuple[int, NDArray[np.int64]]: ...
