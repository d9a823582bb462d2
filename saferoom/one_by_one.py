"""One at a time for each name: nothing comes between counting what is there and adding to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final
from weakref import WeakValueDictionary


class OneByOne:
    """Lets those of one name take turns; others go on beside them."""

    def __init__(self) -> None:
        self._doors: Final = WeakValueDictionary[str, asyncio.Lock]()

    @asynccontextmanager
    async def turn(self, name: str) -> AsyncGenerator[None]:
        """Be the only one of this name."""
        # Held here, and by whoever waits: it goes when nobody does.
        door = self._doors.setdefault(name, asyncio.Lock())
        async with door:
            yield
