"""What the room writes, and what it knows of it: opened together, from one file."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from saferoom.archive import Archive
from saferoom.ledger.ledger import Ledger
from saferoom.notary import Notary
from saferoom.register import KINDS, Held, Register
from saferoom.state.database import Database
from saferoom_proto.keys import SigningKey
from saferoom_proto.statements import Payload, load


@dataclass(frozen=True, slots=True)
class Books:
    """What is written, and what is known of it."""

    ledger: Ledger
    archive: Archive
    notary: Notary
    register: Register


async def open_books(
    path: Path,
    stack: AsyncExitStack,
    *,
    origin: str,
    key: SigningKey,
    clock: Callable[[], datetime],
) -> Books:
    """Open a room's database; what closes it goes on the stack.

    Args:
        path: of the database.
        stack: closes it, after what is put on the stack later.
        origin: the room's name.
        key: signs checkpoints.
        clock: gives aware instants.

    Raises:
        SafeRoomError: `BAD_CONFIG` if another process has it open; `BAD_PROOF` or `STORE_DAMAGED`
            if it is not what the room wrote.
    """
    database = stack.enter_context(Database.open(path))
    kinds = [kind.KIND for kind in KINDS]
    ledger = await Ledger.open(database, origin=origin, key=key, clock=clock, kinds=kinds)
    stack.push_async_callback(ledger.close)
    archive = Archive(database)
    return Books(ledger, archive, Notary(ledger, archive), await read_register(archive))


async def read_register(archive: Archive) -> Register:
    """Make what the room knows of what its log holds."""
    register = Register()
    for organisation in await archive.organisations():
        register.enrol(organisation)
    kinds = {kind.payload_type(): kind for kind in KINDS}
    for envelope in await archive.of_kinds([kind.KIND for kind in KINDS]):
        statement: Held[Payload] = Held(envelope, load(envelope, kinds[envelope.payload_type]))
        register.apply(statement)
    return register
