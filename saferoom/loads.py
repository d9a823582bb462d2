"""Loads on their way from an owner to its enclave: passed on as they come, never read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from saferoom.enclave_wire import LoadPiece, load_owner
from saferoom.evidence import Caller, Recorded
from saferoom.exchange import Loaded
from saferoom.links import Links
from saferoom.register import Register
from saferoom.session import Session
from saferoom_proto.reasons import Reason, SafeRoomError

_Outcome = tuple[Loaded, Recorded[object] | None]
"""What became of a load, and its recorded snapshot if it was taken."""


class Loads:
    """Passes loads on and records the snapshots they become.

    Args:
        register: knows the schemas.
        links: reaches the enclaves.
        seconds: the longest a load may take.
    """

    def __init__(self, register: Register, links: Links, seconds: float) -> None:
        self._register: Final = register
        self._links: Final = links
        self._seconds: Final = seconds
        self._under_way: Final[set[asyncio.Task[_Outcome]]] = set()

    async def load(self, caller: Caller, pieces: AsyncIterator[LoadPiece]) -> _Outcome:
        """Pass a load on; gives what became of it, and its recorded snapshot if it was taken.

        Raises:
            SafeRoomError: `NOT_ALLOWED` for another owner's load; `LOCKED` or `UNAVAILABLE`;
                whatever the enclave refuses with.
        """
        # Step 1: whose load it is, and under which schema.
        header = await anext(pieces, None)
        if header is None:
            raise SafeRoomError(Reason.MALFORMED, "a load begins with its header")
        owner, schema = load_owner(header)
        if caller.organisation != owner:
            raise SafeRoomError(Reason.NOT_ALLOWED, "another owner's load")
        if self._register.schema(schema).says.owner != owner:
            raise SafeRoomError(Reason.UNKNOWN_STATEMENT, "another owner's schema")
        # A caller who leaves ends only its own waiting: what the enclave takes is recorded, or it
        # would wait for the proof, and the next load would follow a snapshot nobody knows.
        passing = self._pass_on(self._links.serving(owner), _after(header, pieces))
        task = asyncio.create_task(passing)
        self._under_way.add(task)
        task.add_done_callback(self._finished)
        return await asyncio.shield(task)

    async def _pass_on(self, session: Session, pieces: AsyncIterator[LoadPiece]) -> _Outcome:
        # Step 2: piece by piece to the enclave; the slower side sets the pace.
        loaded = await session.load(pieces, self._seconds)
        # Step 3: the snapshot counts once it is recorded, and with it who ordered it.
        if loaded.snapshot is None:
            return loaded, None
        recorded = await session.outbox.take(loaded.snapshot)
        session.snapshot = recorded.statement
        return loaded, recorded

    def _finished(self, task: asyncio.Task[_Outcome]) -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            task.exception()  # its caller may have left; then nobody else looks at it


async def _after(header: LoadPiece, pieces: AsyncIterator[LoadPiece]) -> AsyncIterator[LoadPiece]:
    yield header
    async for piece in pieces:
        yield piece
