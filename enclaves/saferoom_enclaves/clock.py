"""The enclave's time: it never runs back, and no statement of the room can push it ahead.

The time is the later of the host's clock and of what the newest accepted head says, carried on by
the clock that counts from the host's boot. Whoever sets the host's clock back gains nothing: no
window opens again. How old a head is counts on the boot clock alone.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from saferoom_proto.reasons import Reason, SafeRoomError

MOST_AHEAD: Final = timedelta(minutes=5)
"""A head further ahead of this clock is refused (DESIGN section 3)."""


class HostClock(Protocol):
    """The host's two clocks."""

    def utc(self) -> datetime:
        """Give the time of day, aware."""
        ...

    def boot_seconds(self) -> float:
        """Give the seconds since the host's boot, its sleep included; they never run back."""
        ...


class SystemClock:
    """The clocks of the host this process runs on."""

    def utc(self) -> datetime:
        """Give the time of day, aware."""
        return datetime.now(UTC)

    def boot_seconds(self) -> float:
        """Give CLOCK_BOOTTIME, which a changed date does not touch."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)


class EnclaveClock:
    """The time that an enclave goes by.

    Two readings are carried on by the boot clock: the latest of the host's, which heads are held
    against, and the latest known at all, which is the time. Were heads held against the latter, a
    row of heads, each a little ahead, could push it anywhere.

    Args:
        host: the host's clocks.
    """

    __slots__ = ("_boot", "_host", "_host_time", "_time")

    def __init__(self, host: HostClock) -> None:
        self._host: Final = host
        self._boot = host.boot_seconds()
        self._host_time = self._time = host.utc()

    def now(self) -> datetime:
        """Give the time: never earlier than any it gave before."""
        boot = self._host.boot_seconds()
        passed = timedelta(seconds=max(0.0, boot - self._boot))
        self._boot = boot
        self._host_time = max(self._host_time + passed, self._host.utc())
        self._time = max(self._time + passed, self._host_time)
        return self._time

    def boot_seconds(self) -> float:
        """Give the seconds since the host's boot."""
        return self._host.boot_seconds()

    def require_not_ahead(self, head_time: datetime) -> None:
        """Refuse with `HEAD_FROM_FUTURE` a head more than 5 minutes ahead of the host's clock."""
        self.now()
        if head_time > self._host_time + MOST_AHEAD:
            raise SafeRoomError(Reason.HEAD_FROM_FUTURE, f"the head is of {head_time}")

    def advance_to(self, moment: datetime) -> None:
        """Go on from a moment that is known to have been reached, if it is later than now."""
        self._time = max(self.now(), moment)
