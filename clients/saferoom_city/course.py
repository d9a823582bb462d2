"""How something of a firm's goes from month to month: its year, its trend, and chance."""

from __future__ import annotations

from typing import Final

from saferoom_city.days import Days
from saferoom_city.draws import Draws
from saferoom_city.firm import Firm

_FALLING: Final = 0.11
"""By how much of itself it falls within 18 months, for each deviation that a firm looks worse."""
_GROWING: Final = 0.05
_MONTHLY_NOISE: Final = 0.09


def trend_of(draws: Draws, seen: float) -> float:
    """Draw by how much of itself a firm's business grows within 18 months; below zero it falls."""
    return _GROWING - _FALLING * seen + 0.08 * draws.normal()


def monthly(firm: Firm, days: Days, draws: Draws, seen: float, mean: int) -> list[int]:
    """Draw the last 18 months of something: zero in months before the firm was there.

    Args:
        firm: the firm; its trade gives the year's seasons.
        days: of the city.
        draws: of the category.
        seen: how the firm looks there.
        mean: of a month.

    Returns:
        18 whole numbers, the oldest first.
    """
    trend = trend_of(draws, seen)
    step, level = trend / len(days.months), 1 - trend / 2
    season = firm.trade.season
    unit = draws.unit
    values: list[int] = []
    for month, started in zip(days.seasons, days.starts, strict=True):
        noise = 1 + _MONTHLY_NOISE * (unit() + unit() - 1)
        level += step
        values.append(int(mean * season[month] * level * noise / 100) if started < firm.age else 0)
    return values
