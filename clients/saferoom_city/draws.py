"""One firm's chance in one category of records: the same seed, firm and category draw the same.

The bytes of a city do not depend on the machine, nor on the version of Python. So every draw comes
from `random.Random.random`, whose sequence Python keeps for a seed (MT19937), and arithmetic is
that of IEEE 754 without what a mathematical library rounds in its own way: no `exp`, no `log`, no
power. That is why this is plain Python: numpy's streams may change between its releases (NEP 19),
and its `exp` rounds by the processor's instructions.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Final, TypeVar

T = TypeVar("T")

_ROOT_OF_3: Final = 1.7320508075688772
_HALVINGS: Final = 10


def growth(x: float) -> float:
    """Give e to the power of x, to 7 digits for |x| < 3, by multiplication alone."""
    part = x / (1 << _HALVINGS)
    value = 1 + part + part * part / 2 + part * part * part / 6
    for _ in range(_HALVINGS):
        value *= value
    return value


class Draws:
    """What falls to one firm in one category.

    Args:
        seed: of the city.
        firm: its number.
        stream: of the category; each has its own, so that one can be left out.
    """

    __slots__ = ("unit",)

    def __init__(self, seed: int, firm: int, stream: int) -> None:
        made = Random((seed << 48) | (firm << 8) | stream)  # noqa: S311 - nothing here is secret
        self.unit: Final = made.random
        """Gives a number from 0 to just under 1."""

    def chance(self, probability: float) -> bool:
        """Tell whether something happens."""
        return self.unit() < probability

    def between(self, low: int, high: int) -> int:
        """Give a whole number from one to another, each as likely."""
        return low + int(self.unit() * (high - low + 1))

    def pick(self, items: Sequence[T]) -> T:
        """Take one, each as likely."""
        return items[int(self.unit() * len(items))]

    def normal(self) -> float:
        """Give a number of mean 0 and deviation 1: of the sum of four, which ends at 3.46."""
        unit = self.unit
        return (unit() + unit() + unit() + unit() - 2) * _ROOT_OF_3

    def spread(self, sigma: float) -> float:
        """Give a factor about 1, whose logarithm deviates by sigma."""
        return growth(sigma * self.normal())

    def count(self, mean: float) -> int:
        """Give how often something happened: binomial, at most 6 times."""
        unit, part = self.unit, mean / 6
        return sum(unit() < part for _ in range(6))

    def digits(self, number: int) -> str:
        """Give so many digits."""
        return "".join("0123456789"[int(self.unit() * 10)] for _ in range(number))


def likely(base: float, risk: float, slope: float) -> float:
    """Give a probability that rises with a risk: `base` for the average firm, 0.95 at most."""
    return min(0.95, base * growth(slope * risk))
