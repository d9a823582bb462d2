"""Where owners' relays attend, each carrying one connection to its owner's enclave.

    relay  →  room    what listens at it: a door
    relay  ←  room    the order: charter and switchboard
    relay  ⇄  room    bytes of one TLS connection, from the room's channel to the enclave's socket

The room connects to a socket of its own, and whatever goes in is carried. TLS runs between the
room's key and the enclave's: the relay reads nothing and can put nothing in. What it says of the
door is taken for what it is: the enclave's own evidence must name the certificate, and its key
agent must endorse that. Bytes wait nowhere but in gRPC's and the kernel's windows, which are
bounded: who reads slowly is written to slowly.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from saferoom.channel import Door
from saferoom.config import RunBy
from saferoom.evidence import Caller
from saferoom.logs import Log
from saferoom.place import LaunchOrder, LinkState
from saferoom.register import Register
from saferoom.supervisor import socket_lent
from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError

CARRIED_BYTES: Final = 1 << 16
"""The most in one message: four TLS records, the largest of which has 16 KiB."""

_PAUSE_SECONDS: Final = 0.2
"""A relay that comes back is met at once; it keeps the pauses."""

REPLACED: Final = "a newer relay of this owner attends"


@dataclass(frozen=True, slots=True)
class SaidDoor:
    """An enclave that listens, as its relay says.

    Attributes:
        certificate: on its socket.
        charter: digest of the charter it was started with.
        switchboard: digest of the statement of whom it lets in.
        sandbox_level: 0 to 3.
        sandbox_missing: what its sandbox lacks.
        launch: its supervisor's word that it started it.
    """

    certificate: x509.Certificate
    charter: str
    switchboard: str
    sandbox_level: int
    sandbox_missing: tuple[str, ...]
    launch: Envelope | None


@dataclass(frozen=True, slots=True)
class Order:
    """What an owner's enclave is to be started with."""

    charter: Envelope
    switchboard: Envelope

    def fits(self, door: SaidDoor) -> bool:
        """Tell whether an enclave was started with it."""
        return (door.charter, door.switchboard) == (self.charter.digest, self.switchboard.digest)


class Orders:
    """What the enclaves are to be started with that their owners run.

    Args:
        register: gives the charters in force.
        switchboard: gives the room's statement.
        run_by: tells of an owner who starts its enclave.
    """

    def __init__(
        self,
        register: Register,
        switchboard: Callable[[], Envelope],
        run_by: Callable[[str], RunBy],
    ) -> None:
        self._register: Final = register
        self._switchboard: Final = switchboard
        self._run_by: Final = run_by

    def order(self, owner: str) -> Order:
        """Give an owner's order.

        Raises:
            SafeRoomError: `NOT_ALLOWED` if the server starts this owner's enclave.
        """
        if self._run_by(owner) is not RunBy.OWNER:
            place = f"room.toml, enclaves.run_by.{owner}"
            rule = 'it is not "owner": the server starts this enclave'
            detail = f"{place}: {rule}"
            raise SafeRoomError(Reason.NOT_ALLOWED, detail, [FieldFault(place, rule)])
        held = self._register.charter_statement(owner)
        return Order(held.envelope, self._switchboard())


class Attendance:
    """One attending relay, and the connection it carries, once the room has made it."""

    def __init__(self, door: SaidDoor) -> None:
        self.door: Final = door
        self._connected: Final[
            asyncio.Future[tuple[asyncio.StreamReader, asyncio.StreamWriter] | None]
        ] = asyncio.get_running_loop().create_future()
        self._left: Final[asyncio.Future[str]] = asyncio.get_running_loop().create_future()

    @property
    def why(self) -> str:
        """Why it left; empty while it is here."""
        return self._left.result() if self._left.done() else ""

    def leave(self, why: str) -> None:
        """The relay is gone, or is sent away; what it carried is cut."""
        if self._left.done():
            return
        self._left.set_result(why)
        if not self._connected.done():
            self._connected.set_result(None)
        elif (connection := self._connected.result()) is not None:
            connection[1].close()

    async def left(self) -> str:
        """Wait until it left; tell why."""
        return await asyncio.shield(self._left)

    def connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take the room's connection. There is one: another attendance carries the next."""
        if self._connected.done():
            writer.close()
        else:
            self._connected.set_result((reader, writer))

    async def from_room(self) -> AsyncIterator[bytes]:
        """Give what the room sends, until either side ends the connection."""
        connection = await asyncio.shield(self._connected)
        while connection is not None and not self._left.done():
            try:
                data = await connection[0].read(CARRIED_BYTES)
            except OSError:
                return
            if not data:
                return
            yield data

    async def to_room(self, data: bytes) -> None:
        """Pass on what the enclave sends; waits while the room is slow to read.

        Raises:
            SafeRoomError: `UNAVAILABLE` if there is no connection any more.
        """
        connection = await asyncio.shield(self._connected)
        if connection is None or self._left.done():
            raise SafeRoomError(Reason.UNAVAILABLE, "the room's connection ended")
        try:
            connection[1].write(data)
            await connection[1].drain()
        except OSError as error:
            raise SafeRoomError(Reason.UNAVAILABLE, "the room's connection ended") from error


@dataclass(frozen=True, slots=True)
class Reached:
    """An enclave that its owner runs, as a relay connects it."""

    door: Door
    attendance: Attendance

    @property
    def sandbox_level(self) -> int:
        """0 to 3."""
        return self.attendance.door.sandbox_level

    @property
    def sandbox_missing(self) -> tuple[str, ...]:
        """What its sandbox lacks."""
        return self.attendance.door.sandbox_missing

    @property
    def launch(self) -> Envelope | None:
        """Its supervisor's word."""
        return self.attendance.door.launch

    async def ended(self) -> str:
        """Wait until its relay left."""
        return await self.attendance.left()


class Relays:
    """The relays that attend: one for each owner, the newest.

    Args:
        sockets: the folder for the room's own sockets.
        log: the operator's.
    """

    def __init__(self, sockets: Path, log: Log) -> None:
        self.waiting: Final = LinkState.AWAY
        self.longest_pause_seconds: Final = _PAUSE_SECONDS
        self._sockets: Final = sockets
        self._log: Final = log
        self._attending: Final[dict[str, Attendance]] = {}
        self._attended: Final[dict[str, asyncio.Event]] = {}
        self._closed = False

    @contextmanager
    def attend(self, caller: Caller, door: SaidDoor) -> Generator[Attendance]:
        """Let a relay attend for the caller's own organisation while its call is open.

        The newest wins: it is the likeliest to be alive, for a line that was cut is not noticed
        at once at this end.

        Raises:
            SafeRoomError: `UNAVAILABLE` while the room closes.
        """
        if self._closed:
            raise SafeRoomError(Reason.UNAVAILABLE, "the room closes")
        owner, name = caller.organisation, caller.identity.name
        attendance = Attendance(door)
        before = self._attending.get(owner)
        self._attending[owner] = attendance
        if before is not None:
            self._log.warning("relay replaced by a newer one", owner=owner, relay=name)
            before.leave(REPLACED)
        self._log.info("relay attends", owner=owner, relay=name)
        self._attendance(owner).set()
        try:
            yield attendance
        finally:
            attendance.leave("the relay left")
            if self._attending.get(owner) is attendance:
                del self._attending[owner]
            self._log.info("relay left", owner=owner, relay=name, why=attendance.why)

    @asynccontextmanager
    async def launched(self, order: LaunchOrder) -> AsyncGenerator[Reached]:
        """Wait for a relay of an order's owner, and give the enclave that it connects.

        Raises:
            SafeRoomError: `CONFLICT` if that was started with another order.
        """
        attendance = await self._newest(order.owner)
        door = attendance.door
        try:
            if not Order(order.charter, order.switchboard).fits(door):
                raise SafeRoomError(Reason.CONFLICT, "the enclave was started with another order")
            with socket_lent(self._sockets, order.owner) as socket:
                listener = await asyncio.start_unix_server(
                    attendance.connect, socket, limit=CARRIED_BYTES
                )
                try:
                    pem = door.certificate.public_bytes(Encoding.PEM)
                    yield Reached(Door(socket, door.certificate, pem), attendance)
                finally:
                    listener.close()
        finally:
            attendance.leave("the room ended the session")

    def close(self) -> None:
        """Send every relay away, and let no more in."""
        self._closed = True
        for attendance in tuple(self._attending.values()):
            attendance.leave("the room closes")

    async def _newest(self, owner: str) -> Attendance:
        while True:
            attendance = self._attending.get(owner)
            if attendance is not None and not attendance.why:
                return attendance
            attended = self._attendance(owner)
            attended.clear()
            await attended.wait()

    def _attendance(self, owner: str) -> asyncio.Event:
        return self._attended.setdefault(owner, asyncio.Event())
