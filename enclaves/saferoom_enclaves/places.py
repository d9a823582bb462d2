"""How much of one kind of work may be under way, and how much of it one caller's.

Used in one event loop.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError


class Places:
    """Places that are had at once or not at all. Nobody can hold all of them.

    Beyond its first, a holder gets a place only while more are free than it has: the last one is
    left to whoever has none.

    Source: as `saferoom.limits`, with the factor 1: there are few places.

    Args:
        in_all: how many there are.
        what: has a place, for the operator's log.
    """

    def __init__(self, in_all: int, what: str) -> None:
        self._free = in_all
        self._what: Final = what
        self._held: Final = Counter[str]()

    @contextmanager
    def place(self, holder: str) -> Generator[None]:
        """Hold a place.

        Raises:
            SafeRoomError: `TOO_MANY_REQUESTS` if there is none for this holder.
        """
        held = self._held[holder]
        if held >= self._free:
            detail = f"{held} {self._what} of {holder} under way, {self._free} places free"
            rule = "as many as may be are under way: wait for the end of one"
            raise SafeRoomError(Reason.TOO_MANY_REQUESTS, detail, [FieldFault(self._what, rule)])
        self._held[holder] += 1
        self._free -= 1
        try:
            yield
        finally:
            self._free += 1
            self._held[holder] -= 1
            if not self._held[holder]:
                del self._held[holder]


class Turns:
    """Work of which a holder has one at a time, a few are under way, and a few more wait.

    Args:
        at_once: how many are under way.
        waiting: how many more may wait.
        what: is waited for, for the operator's log.
    """

    def __init__(self, at_once: int, waiting: int, what: str) -> None:
        self._turns: Final = asyncio.Semaphore(at_once)
        self._most: Final = at_once + waiting
        self._what: Final = what
        self._holders: Final = set[str]()

    @asynccontextmanager
    async def turn(self, holder: str) -> AsyncGenerator[None]:
        """Wait for a turn, and have it.

        Raises:
            SafeRoomError: `TOO_MANY_REQUESTS`, at once, if this holder has or awaits one, or as
                many wait as may.
        """
        if holder in self._holders:
            detail, rule = f"one of its {self._what}", "one is under way: wait for its end"
            raise SafeRoomError(Reason.TOO_MANY_REQUESTS, detail, [FieldFault(self._what, rule)])
        if len(self._holders) >= self._most:
            detail = f"{len(self._holders)} {self._what} under way or waiting"
            rule = "as many as may be are under way: wait for the end of one"
            raise SafeRoomError(Reason.TOO_MANY_REQUESTS, detail, [FieldFault(self._what, rule)])
        self._holders.add(holder)
        try:
            async with self._turns:
                yield
        finally:
            self._holders.discard(holder)
