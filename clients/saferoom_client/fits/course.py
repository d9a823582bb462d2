"""A training in the room while it is made: looked at, and ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

from saferoom_client.jobs import watch_job
from saferoom_client.refused import Refused
from saferoom_client.session import Session
from saferoom_client.training.states import JobView

_AGAIN_SECONDS: Final = 0.5
"""Until it is looked for again: it has not come to its enclave yet, or the line broke."""

Seen = Callable[[JobView], None]
"""Told how it stands, now and whenever that changes."""


@asynccontextmanager
async def looked_at(session: Session, job: str, seen: Seen | None) -> AsyncGenerator[None]:
    """Tell how a training stands for as long as the context lasts; whatever fails is not told."""
    looking = None if seen is None else asyncio.create_task(_look(session, job, seen))
    try:
        yield
    finally:
        if looking is not None:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)


async def _look(session: Session, job: str, seen: Seen) -> None:
    while True:
        with suppress(Refused):
            await watch_job(session, job, seen)
            return
        await asyncio.sleep(_AGAIN_SECONDS)
