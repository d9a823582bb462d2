"""Waiting before a call is made again that the room refused unread, for being one too many.

The room says after how long to come again (`google.rpc.RetryInfo`), and no try comes sooner. Each
further one waits twice as long, and each wait is drawn from that to half as much again, so that
callers that were refused together do not come again together. Nothing is made again past the
call's own deadline.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Final

MOST_TRIES: Final = 6
LONGEST_PAUSE_SECONDS: Final = 5.0
"""Up to which waits grow; one that the room itself says may be longer."""
LEAST_SECONDS_LEFT: Final = 0.05
"""What a call needs at least; with less left it is not made again."""


class Pauses:
    """How long to wait before each further try of one call.

    Args:
        deadline: when the call's time is over, by a clock that counts seconds.
        dice: draws from 0 to 1.
    """

    def __init__(self, deadline: float, dice: random.Random) -> None:
        self._deadline: Final = deadline
        self._dice: Final = dice
        self._factors: Final[Iterator[int]] = iter([2**tried for tried in range(MOST_TRIES - 1)])

    def next(self, retry_seconds: float, now: float) -> float | None:
        """Give the next wait in seconds; none if the call is not to be made again.

        Args:
            retry_seconds: what the room said.
            now: by the deadline's clock.
        """
        factor = next(self._factors, None)
        if factor is None:
            return None
        told = max(retry_seconds, 0.0)
        pause = max(told, min(told * factor, LONGEST_PAUSE_SECONDS))
        pause *= 1 + self._dice.random() / 2
        return pause if now + pause + LEAST_SECONDS_LEFT < self._deadline else None
