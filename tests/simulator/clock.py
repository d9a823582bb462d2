"""A host's clocks that stand still until a test moves them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

START: Final = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


class SimClock:
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
