"""scipy ships no types; the names that the statistics and their tests use."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csc_array

class OptimizeResult:
    @property
    def x(self) -> NDArray[np.float64] | None: ...
    @property
    def fun(self) -> float: ...
    @property
    def status(self) -> int: ...

class Bounds:
    def __init__(self, lb: ArrayLike, ub: ArrayLike) -> None: ...

class LinearConstraint:
    def __init__(self, A: ArrayLike, lb: ArrayLike, ub: ArrayLike) -> None: ...

def linprog(
    c: NDArray[np.float64],
    *,
    A_eq: csc_array | NDArray[np.float64],
    b_eq: NDArray[np.float64],
    bounds: NDArray[np.float64] | tuple[float, float | None],
    method: str,
) -> OptimizeResult: ...
def milp(
    c: NDArray[np.float64],
    *,
    integrality: ArrayLike,
    bounds: Bounds,
    constraints: Sequence[LinearConstraint],
    options: Mapping[str, float] = ...,
) -> OptimizeResult: ...
