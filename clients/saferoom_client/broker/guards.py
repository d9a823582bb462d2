"""How often a provider is asked, and when it is left alone: for one source, in one event loop.

A circuit breaker and a rate limit of 30 lines each stand here because those of libraries
(pybreaker, tenacity, aiolimiter) have clocks and threads of their own, and none a limit for a day.

Source: M. Nygard, Release It!, 2nd edition (2018), section 5.2, circuit breaker; Turner, "New
directions in communications", IEEE Communications Magazine 24 (1986), token bucket.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import Final

FAILURES: Final = 5
"""Subjects that it failed for in a row, before a provider is left alone: one that it always fails
for holds nobody else up."""
FIRST_PAUSE_SECONDS: Final = 5.0
LONGEST_PAUSE_SECONDS: Final = 300.0
_BURST_SECONDS: Final = 2.0
"""What may be asked at once after a quiet time: so many seconds' worth, and one at least."""


class Breaker:
    """Leaves a provider alone that fails, and lets one request through now and then.

    Args:
        clock: gives seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock: Final = clock
        self._failed_for: Final[set[str]] = set()
        self._closed_until = 0.0
        self._pause = FIRST_PAUSE_SECONDS
        self._tried = False

    def lets_through(self) -> bool:
        """Tell whether the provider may be asked now; after a pause, by one request at a time."""
        if len(self._failed_for) < FAILURES:
            return True
        if self._clock() < self._closed_until or self._tried:
            return False
        self._tried = True
        return True

    def succeeded(self) -> None:
        """Take note that the provider answered."""
        self._failed_for.clear()
        self._pause, self._tried = FIRST_PAUSE_SECONDS, False

    def failed(self, subject: str) -> None:
        """Take note that it did not, about this subject."""
        self._tried = False
        if len(self._failed_for) < FAILURES:
            self._failed_for.add(subject)
        # Those that were under way when it was closed fail, too: they make its pause no longer.
        if len(self._failed_for) >= FAILURES and self._clock() >= self._closed_until:
            self._closed_until = self._clock() + self._pause
            self._pause = min(2 * self._pause, LONGEST_PAUSE_SECONDS)

    def given_up(self) -> None:
        """Take note that a request that was let through was not made."""
        self._tried = False


class Rate:
    """Counts requests against a limit for each second and one for each day.

    Args:
        per_second: how many, on average.
        per_day: how many in a day (UTC).
        clock: gives seconds that only grow.
        today: gives the instant, for the day.
    """

    def __init__(
        self,
        per_second: float,
        per_day: int,
        clock: Callable[[], float],
        today: Callable[[], datetime],
    ) -> None:
        self._per_second: Final = per_second
        self._most: Final = max(1.0, per_second * _BURST_SECONDS)
        self._per_day: Final = per_day
        self._clock: Final = clock
        self._today: Final = today
        self._left = self._most
        self._at = clock()
        self._day: date = today().date()
        self._of_day = 0

    def take(self) -> bool:
        """Count one request, if it may be made."""
        now, day = self._clock(), self._today().date()
        self._left = min(self._most, self._left + (now - self._at) * self._per_second)
        self._at = now
        if day > self._day:
            self._day, self._of_day = day, 0
        if self._left < 1 or self._of_day >= self._per_day:
            return False
        self._left -= 1
        self._of_day += 1
        return True
