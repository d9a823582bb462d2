"""Sources: interfaces of a provider that an owner's enclave asks about one subject at a time.

What a source answers is held for one **period**: so many days, counted from the first of January
1970, the same for every subject. Within a period a subject's record is fetched once at most, and a
question about it is charged to that period. So a price depends on the day and on the questions, and
never on whether a record was fetched before, or has changed since.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Final

from pydantic import Field

from saferoom_proto.statements.base import Owner, Part

MOST_DAYS: Final = 31
"""A record that was fetched is thrown away after a month at the latest."""

_FIRST: Final = date(1970, 1, 1)
_YEAR: Final = 10_000
_MONTH: Final = 100
_LEAST_PERIOD: Final = 19_700_101
"""The first period there can be. No store gets so many epochs: 19 million loads."""


class Source(Part):
    """Which interface is asked, and for how many days its answer is held."""

    name: Owner
    days: Annotated[int, Field(ge=1, le=MOST_DAYS)]

    def period(self, moment: datetime) -> int:
        """Give the period that an instant lies in: its first day, as YYYYMMDD in UTC."""
        day = (moment.astimezone(UTC).date() - _FIRST).days
        return number_of(_FIRST + timedelta(days=day - day % self.days))

    def periods(self, first: datetime, last: datetime, most: int) -> tuple[int, ...]:
        """Give the periods from one instant to another; of many the latest, and no more than so."""
        found = [self.period(last)]
        while len(found) < most and opened(found[-1]) > first:
            found.append(self.period(opened(found[-1]) - timedelta(days=1)))
        return tuple(reversed(found))


def number_of(day: date) -> int:
    """Give the number of the period that begins on a day."""
    return day.year * _YEAR + day.month * _MONTH + day.day


def is_period(epoch: int) -> bool:
    """Tell the periods of sources from the epochs of a store."""
    return epoch >= _LEAST_PERIOD


def opened(period: int) -> datetime:
    """Give a period's first instant."""
    year, rest = divmod(period, _YEAR)
    month, day = divmod(rest, _MONTH)
    return datetime(year, month, day, tzinfo=UTC)


def ended_by(period: int, moment: datetime) -> bool:
    """Tell whether a period is over for certain, however many days its source names."""
    return opened(period) + timedelta(days=MOST_DAYS) <= moment
