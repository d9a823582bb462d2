"""Sparse arrays, as far as the audit of statistics uses them."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

_Index: TypeAlias = slice | NDArray[np.int64]

class csc_array:
    def __init__(
        self,
        arg1: csc_array
        | tuple[int, int]
        | tuple[NDArray[np.float64], tuple[NDArray[np.int64], NDArray[np.int64]]],
        *,
        shape: tuple[int, int] | None = None,
    ) -> None: ...
    @property
    def shape(self) -> tuple[int, int]: ...
    @property
    def indices(self) -> NDArray[np.int64]: ...
    @property
    def T(self) -> csc_array: ...
    def __getitem__(self, key: tuple[_Index, _Index]) -> csc_array: ...
    def __matmul__(self, other: csc_array) -> csc_array: ...
    def dot(self, other: NDArray[np.float64]) -> NDArray[np.float64]: ...
