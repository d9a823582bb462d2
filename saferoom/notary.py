"""The one maker of `Recorded`: puts statements into the ledger, and finds those standing there."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final, TypeVar

from saferoom.archive import Archive, Found
from saferoom.evidence import Recorded
from saferoom.ledger.entries import NewEntry
from saferoom.ledger.ledger import Ledger
from saferoom.mentions import mentions
from saferoom.state.rows import Row, StatementRow
from saferoom_proto.dsse import Envelope
from saferoom_proto.entry import SALT_BYTES
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Payload

T = TypeVar("T")


def new_salt() -> bytes:
    """Make the random bytes that open one entry's commitment."""
    return os.urandom(SALT_BYTES)


class Notary:
    """Records statements durably, each with its proof.

    Args:
        ledger: the room's.
        archive: finds what it holds.
        salt: makes a fresh salt for an entry whose statement brings none.
    """

    def __init__(
        self, ledger: Ledger, archive: Archive, salt: Callable[[], bytes] = new_salt
    ) -> None:
        self._ledger: Final = ledger
        self._archive: Final = archive
        self._salt: Final = salt

    async def record(
        self,
        kind: type[Payload],
        said: T,
        statement: Envelope,
        *,
        owners: tuple[str, ...] = (),
        rows: tuple[Row, ...] = (),
        backlog: tuple[Envelope, ...] = (),
        salt: bytes | None = None,
    ) -> Recorded[T]:
        """Put a statement into the ledger; once this returns, it is durable and proven.

        A statement that stands there already is given back as it stands.

        Args:
            kind: of the statement.
            said: what it says, or what belongs to it.
            statement: the statement, verified by the caller.
            owners: whose streams it goes into.
            rows: written in the same transaction.
            backlog: earlier statements that those streams get after it.
            salt: an enclave's, for its own statement; else a fresh one is made.

        Raises:
            SafeRoomError: `CONFLICT` if the rows stand there already though the statement does
                not; `UNAVAILABLE` if the disk refuses.
        """
        entry = NewEntry(
            kind.KIND,
            statement.digest,
            salt or self._salt(),
            (StatementRow(kind.KIND, statement, owners), *mentions(statement), *rows),
            backlog,
        )
        try:
            position = await self._ledger.append(entry)
        except SafeRoomError as error:
            if error.reason is not Reason.CONFLICT:
                raise
            recorded = await self.recall(statement.digest, said)
            if recorded is None:
                raise
            return recorded
        proof = self._ledger.tlog_proof(position)
        return Recorded(said, statement, position.index, entry.salt, proof)

    async def keep(self, *rows: Row) -> None:
        """Write rows that belong to entries written earlier; what stands there already stays."""
        try:
            await self._ledger.store(*rows)
        except SafeRoomError as error:
            if error.reason is not Reason.CONFLICT:
                raise

    async def recall(self, digest: str, said: T) -> Recorded[T] | None:
        """Give a statement that was recorded earlier, byte for byte as then; none if none was."""
        found = await self._archive.find(digest)
        return None if found is None else self.prove(found, said)

    def prove(self, found: Found, said: T) -> Recorded[T]:
        """Prove a statement that the archive found, under its own commit's checkpoint."""
        proof = self._ledger.tlog_proof(found.position)
        return Recorded(said, found.envelope, found.position.index, found.salt, proof)
