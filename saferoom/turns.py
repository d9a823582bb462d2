"""Turns: many together, or one alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final


class Turns:
    """Lets any number of tasks work together, or one alone; whoever waits to be alone is next."""

    def __init__(self) -> None:
        self._door: Final = asyncio.Lock()
        self._inside = 0
        self._nobody: Final = asyncio.Event()
        self._nobody.set()

    @asynccontextmanager
    async def together(self) -> AsyncGenerator[None]:
        """Work beside others that work together."""
        async with self._door:
            self._inside += 1
            self._nobody.clear()
        try:
            yield
        finally:
            self._inside -= 1
            if not self._inside:
                self._nobody.set()

    @asynccontextmanager
    async def alone(self) -> AsyncGenerator[None]:
        """Work while nobody else does."""
        async with self._door:
            await self._nobody.wait()
            yield
