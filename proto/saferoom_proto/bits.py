"""What a number of bits buys, in whole cells: reckoned exactly, never by a logarithm."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

MAX_BITS: Final = 64
"""Largest budget. A grid of 7 thresholds holds 3 bits, so nothing sensible comes near."""


def within(cells: int, bits: Decimal) -> bool:
    """Whether cells <= 2**bits. With bits = p/q in lowest terms: whether cells**q <= 2**p."""
    if cells.bit_length() > MAX_BITS + 1:
        return False  # more than any budget; spares raising a product of many periods to q
    p, q = bits.as_integer_ratio()
    return cells**q <= 1 << p


def most_cells(bits: Decimal) -> int:
    """Give the most cells that a number of bits buys: the whole part of 2 to their power."""
    low, high = 1, 1 << MAX_BITS + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if within(middle, bits) else (low, middle)
    return low


def fewest_bits(cells: int) -> Decimal:
    """Give the fewest thousandths of a bit that buy so many cells."""
    low, high = -1, MAX_BITS * 1000
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if within(cells, Decimal(middle) / 1000) else (middle, high)
    return Decimal(high) / 1000
