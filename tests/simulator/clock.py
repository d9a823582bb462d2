"""A host's clocks: those that stand still until a test moves them, and the real ones."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Final

START: Final = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


class Clock:
    """The date and the seconds since boot of this host, for enclaves in processes of their own."""

    def utc(self) -> datetime:
        """Give the time of day."""
        return datetime.now(UTC)

    def boot_seconds(self) -> float:
        """Give the seconds since boot."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def advance(self, seconds: float) -> None:
        """Let a little time pass."""
        time.sleep(min(seconds, 0.01))

    def turn(self, seconds: float) -> None:
        """Refuse to set the date of this host."""
        raise NotImplementedError(f"nobody sets this host's date by {seconds} seconds")


class SimClock(Clock):
    """The date and the seconds since boot of a made-up host."""

    def __init__(self, start: datetime = START) -> None:
        self._utc = start
        self._boot = 1000.0

    def utc(self) -> datetime:
        """Give the time of day."""
        return self._utc

    def boot_seconds(self) -> float:
        """Give the seconds since boot."""
        return self._boot

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._utc += timedelta(seconds=seconds)
        self._boot += seconds

    def turn(self, seconds: float) -> None:
        """Set the date, as an operator or attacker would; the boot clock does not notice."""
        self._utc += timedelta(seconds=seconds)
