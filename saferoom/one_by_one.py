"""One at a time for each name: nothing comes between counting what is there and adding to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Final, TypeVar
from weakref import WeakValueDictionary

from saferoom.undisturbed import Undisturbed

T = TypeVar("T")


class OneByOne:
    """Lets those of one name take turns; others go on beside them."""

    def __init__(self) -> None:
        self._doors: Final = WeakValueDictionary[str, asyncio.Lock]()
        self._working: Final = Undisturbed()

    async def run(self, name: str, work: Callable[[], Coroutine[object, object, T]]) -> T:
        """Be the only one of this name while some work is done, to its end.

        A caller who leaves gives up no turn: what it began to add, the next one counts.
        """
        # Held here, and by whoever waits: it goes when nobody does.
        door = self._doors.setdefault(name, asyncio.Lock())
        return await self._working.run_within(door, work)
