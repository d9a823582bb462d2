"""Columns in the coefficients of polynomials, so that one product gives inner products.

With k columns in a polynomial of degree N = 8192, a chunk has L = N/k rows. Residuals d stand at 0
to L - 1; the chunk of column f stands reversed in block f, row i at fL + L - 1 - i. Coefficient fL
+ L - 1 of the product modulo X^N + 1 is then the sum of d_i·x_f,i: a term of another column f'
would need i - i' = (f - f')L, which no two rows of a chunk have, and what wraps round ends at L -
2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from saferoom_models.arrays import Integers
from saferoom_models.vertical.scheme import DEGREE, MODULUS

# Milliseconds on one core of what a choice of k changes (a prototype's);
# only their ratios matter, and any choice is right.
_SEAL_AND_LOAD = 12.0
_REPLY = 6.0
_TRANSFORM = 1.0
_PRODUCT = 0.3
_ROUNDS = 10
_HALF_BITS = 25


@dataclass(frozen=True, slots=True)
class Packing:
    """How so many columns of so many rows lie in polynomials."""

    rows: int
    columns: int
    together: int

    @property
    def chunk(self) -> int:
        """Rows in a polynomial."""
        return DEGREE // self.together

    @property
    def chunks(self) -> int:
        """Polynomials that the rows need."""
        return -(-self.rows // self.chunk)

    @property
    def groups(self) -> int:
        """Polynomials that the columns need, for each chunk; and replies, in all."""
        return -(-self.columns // self.together)

    def split(self, values: Integers) -> list[Integers]:
        """Cut a vector over the rows into its chunks."""
        return [values[start : start + self.chunk] for start in range(0, self.rows, self.chunk)]

    def polynomials(self, columns: Integers, group: int) -> list[Integers]:
        """Give a group's columns, packed, chunk by chunk.

        Args:
            columns: all columns, of shape (rows, columns).
            group: which, from 0.
        """
        chosen = columns[:, group * self.together : (group + 1) * self.together]
        packed: list[Integers] = []
        for start in range(0, self.rows, self.chunk):
            part = chosen[start : start + self.chunk]
            blocks = np.zeros((self.together, self.chunk), np.int64)
            blocks[: part.shape[1], self.chunk - len(part) :] = part[::-1].T
            packed.append(blocks.reshape(-1))
        return packed

    def places(self, group: int) -> list[int]:
        """Name the coefficients of a group's reply that hold its columns' inner products."""
        count = min(self.together, self.columns - group * self.together)
        return [(block + 1) * self.chunk - 1 for block in range(count)]


def pack_sealed(rows: int, columns: int) -> Packing:
    """Choose the packing of columns that are sealed once and multiplied in every round."""

    def cost(packing: Packing) -> float:
        cells = packing.chunks * packing.groups
        once = _SEAL_AND_LOAD * cells / _ROUNDS
        return once + _TRANSFORM * packing.chunks + _PRODUCT * cells + _REPLY * packing.groups

    return min(_choices(rows, columns), key=cost)


def pack_plain(rows: int, columns: int) -> Packing:
    """Choose the packing of columns that are at hand, by which sealed residuals are multiplied."""

    def cost(packing: Packing) -> float:
        cells = packing.chunks * packing.groups
        return _SEAL_AND_LOAD * packing.chunks + _PRODUCT * cells + _REPLY * packing.groups

    return min(_choices(rows, columns), key=cost)


def _choices(rows: int, columns: int) -> list[Packing]:
    return [Packing(rows, columns, together) for together in (1, 2, 4, 8, 16, 32)]


def products_modulo(columns: Integers, values: Integers) -> list[int]:
    """Give each column's inner product with a vector, modulo T, exactly.

    The vector's numbers, below 2^50, are halved in two of 25 bits: with columns below 2^14 and
    fewer than 2^20 rows no sum reaches 2^63.

    Args:
        columns: shape (rows, columns), whole numbers.
        values: shape (rows,), from 0 to T - 1.
    """
    low = columns.T @ (values & ((1 << _HALF_BITS) - 1))
    high = columns.T @ (values >> _HALF_BITS)
    return [(int(a) + (int(b) << _HALF_BITS)) % MODULUS for a, b in zip(low, high, strict=True)]
