"""Loads on their way from an owner to its enclave, and orders to go back to an earlier one.

Both are passed on as they come; loads are never read.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from saferoom.enclave_wire import LoadHeader, LoadPiece, load_owner
from saferoom.evidence import Caller, Recorded
from saferoom.exchange import Loaded
from saferoom.links import Links
from saferoom.register import Register
from saferoom.session import Session
from saferoom.undisturbed import Undisturbed
from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.rollback import RollbackOrder
from saferoom_proto.statements import load as load_statement

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
        # What an enclave takes is recorded, or it would wait for the proof, and the next load would
        # follow a snapshot nobody knows.
        self._undisturbed: Final = Undisturbed()

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
        self._require_own(caller, owner, schema)
        passing = self._pass_on(self._links.serving(owner), _after(header, pieces))
        return await self._undisturbed.run(passing)

    async def progress(self, caller: Caller, header: LoadHeader) -> int:
        """Tell how many pieces of a load its enclave keeps.

        Raises:
            SafeRoomError: as `load`.
        """
        self._require_own(caller, header.owner, header.schema)
        return await self._links.serving(header.owner).tell_load(header)

    async def rollback(self, caller: Caller, order: Envelope) -> Recorded[object]:
        """Have an enclave go back to an earlier snapshot; gives the new one, recorded.

        Raises:
            SafeRoomError: `NOT_ALLOWED` for another owner's store; `LOCKED` or `UNAVAILABLE`;
                whatever the enclave refuses with.
        """
        owner = load_statement(order, RollbackOrder).owner
        if caller.organisation != owner:
            raise SafeRoomError(Reason.NOT_ALLOWED, "another owner's store")
        return await self._undisturbed.run(self._back(self._links.serving(owner), order))

    def _require_own(self, caller: Caller, owner: str, schema: str) -> None:
        if caller.organisation != owner:
            raise SafeRoomError(Reason.NOT_ALLOWED, "another owner's load")
        if self._register.schema(schema).says.owner != owner:
            raise SafeRoomError(Reason.UNKNOWN_STATEMENT, "another owner's schema")

    async def _back(self, session: Session, order: Envelope) -> Recorded[object]:
        entry = await session.rollback(order, self._seconds)
        recorded = await session.outbox.take(entry)
        session.snapshot = recorded.statement
        return recorded

    async def _pass_on(self, session: Session, pieces: AsyncIterator[LoadPiece]) -> _Outcome:
        # Step 2: piece by piece to the enclave; the slower side sets the pace.
        loaded = await session.load(pieces, self._seconds)
        # Step 3: the snapshot counts once it is recorded, and with it who ordered it.
        if loaded.snapshot is None:
            return loaded, None
        recorded = await session.outbox.take(loaded.snapshot)
        session.snapshot = recorded.statement
        return loaded, recorded


async def _after(header: LoadPiece, pieces: AsyncIterator[LoadPiece]) -> AsyncIterator[LoadPiece]:
    yield header
    async for piece in pieces:
        yield piece
