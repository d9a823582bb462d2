"""The days of a city: everything is told from its date backwards."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final

MONTHS: Final = 18
"""Months of which bills and payments are there: a half-year can be compared with the last one's."""
_DAYS: Final = 366 * 36
"""More than the oldest firm has."""
_FIRST_OF_MONTH: Final = 1


class Days:
    """Days, months and years before a city's date, as they are written.

    Args:
        as_of: the city's date.

    Attributes:
        months: the last 18 months, the oldest first.
        seasons: of each its number in the year, from 0.
        starts: of each how many days ago its first day was.
        quarters: at which of the months a whole quarter begins that has ended; five of them.
        years: the last three whole years, the oldest first.
    """

    def __init__(self, as_of: date) -> None:
        self.as_of: Final = as_of
        self._written: Final = [(as_of - timedelta(ago)).isoformat() for ago in range(_DAYS)]
        firsts = [as_of.replace(day=_FIRST_OF_MONTH)]
        while len(firsts) < MONTHS:
            last = firsts[-1] - timedelta(1)
            firsts.append(last.replace(day=_FIRST_OF_MONTH))
        firsts.reverse()
        self.months: Final = tuple(first.isoformat()[:7] for first in firsts)
        self.seasons: Final = tuple(first.month - 1 for first in firsts)
        self.starts: Final = tuple((as_of - first).days for first in firsts)
        self.quarters: Final = tuple(
            at for at, season in enumerate(self.seasons) if season % 3 == 0 and at + 3 < MONTHS
        )
        self.years: Final = tuple(as_of.year - ago for ago in (3, 2, 1))

    def ago(self, days: int) -> str:
        """Write the day so many days before the city's date; none is after it."""
        return self._written[max(0, days)]

    def later(self, days: int, after: int) -> str:
        """Write a day after one that is past, which may be to come."""
        return (self.as_of - timedelta(days) + timedelta(after)).isoformat()
