"""Loads on their way from an owner to its enclave: passed on as they come, never read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from saferoom.enclave_wire import LoadPiece, load_owner
from saferoom.evidence import Caller, Recorded
from saferoom.exchange import Loaded
from saferoom.links import Links
from saferoom.register import Register
from saferoom_proto.reasons import Reason, SafeRoomError


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

    async def load(
        self, caller: Caller, pieces: AsyncIterator[LoadPiece]
    ) -> tuple[Loaded, Recorded[object] | None]:
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
        # Step 2: piece by piece to the enclave; the slower side sets the pace.
        session = self._links.serving(owner)
        loaded = await session.load(_after(header, pieces), self._seconds)
        # Step 3: the snapshot counts once it is recorded.
        if loaded.snapshot is None:
            return loaded, None
        recorded = await session.outbox.take(loaded.snapshot)
        session.snapshot = recorded.statement
        return loaded, recorded


async def _after(header: LoadPiece, pieces: AsyncIterator[LoadPiece]) -> AsyncIterator[LoadPiece]:
    yield header
    async for piece in pieces:
        yield piece
