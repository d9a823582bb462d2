"""The owner's relay: dials the room and carries TLS between it and the enclave's socket.

1  it says what listens here, and is given the order
2  the order goes into the exchange; an enclave that was started otherwise is started anew first
3  bytes go both ways until either side, or the line between, ends

It reads nothing of what it carries: each end of the TLS takes one certificate, which it learns from
statements that this program cannot sign. A lost line is taken up again after a pause that doubles.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Final

import grpc
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from saferoom_client.channel import open_channel
from saferoom_client.events import Event, Happening, Tell, ignore_events
from saferoom_client.premises.exchange import DoorFile, Exchange, Order
from saferoom_client.profile import Profile
from saferoom_client.refused import refusal_of
from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.v1 import relay_pb2, relay_pb2_grpc
from saferoom_proto.wire import envelope_from_proto, envelope_to_proto

FIRST_PAUSE_SECONDS: Final = 0.1
LONGEST_PAUSE_SECONDS: Final = 10.0
REPLACED_PAUSE_SECONDS: Final = 60.0
"""Two relays of one owner would otherwise turn each other out without end."""
KEEPALIVE_MILLISECONDS: Final = 12_000
KEEPALIVE_TIMEOUT_MILLISECONDS: Final = 6_000
"""A dead line is noticed within 18 s; the server takes a ping every 10 s."""
CARRIED_BYTES: Final = 1 << 16
LOOK_SECONDS: Final = 0.1
DOOR_SECONDS: Final = 10.0
"""How long it waits for a door before it asks the room again: the order may have changed."""

_FINAL: Final = frozenset({Reason.UNAUTHENTICATED, Reason.CERTIFICATE_REVOKED})
"""What no waiting mends; an organisation that is not enrolled yet may be at the next try."""

Stream = grpc.aio.StreamStreamCall[relay_pb2.AttendRequest, relay_pb2.AttendResponse]


async def relay(exchange: Exchange, profile: Profile, *, on_event: Tell = ignore_events) -> None:
    """Attend until cancelled, taking up a lost line again.

    Args:
        exchange: shared with the supervisor.
        profile: the relay's own member folder, of the enclave's owner.
        on_event: is told what happens.

    Raises:
        SafeRoomError: `UNAUTHENTICATED` or `CERTIFICATE_REVOKED` if the room takes this relay for
            nobody.
    """
    pause = FIRST_PAUSE_SECONDS
    while True:
        call = _Call(exchange, profile, on_event)
        try:
            await call.run()
            pause = FIRST_PAUSE_SECONDS
            continue
        except (SafeRoomError, grpc.aio.AioRpcError) as error:
            refusal = error if isinstance(error, SafeRoomError) else refusal_of(error)
            if refusal.reason in _FINAL:
                raise refusal from error
        if call.carried:
            pause = FIRST_PAUSE_SECONDS
        if refusal.reason is Reason.CONFLICT:
            pause, why = REPLACED_PAUSE_SECONDS, "another relay attends"
            on_event(Event(Happening.REPLACED, f"{why}; again in {pause:.0f} s"))
        else:
            on_event(Event(Happening.DISCONNECTED, f"{_words(refusal)}; again in {pause:.1f} s"))
        # Jitter keeps the relays of one room from coming back all at once.
        await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
        pause = min(pause * 2, LONGEST_PAUSE_SECONDS)


def _words(refusal: SafeRoomError) -> str:
    faults = "; ".join(f"{one.field}: {one.rule}" for one in refusal.fields)
    return f"{refusal.reason}: {faults or refusal.detail or refusal.words.what}"


class _Call:
    """One call to the room."""

    def __init__(self, exchange: Exchange, profile: Profile, on_event: Tell) -> None:
        self._exchange: Final = exchange
        self._profile: Final = profile
        self._on_event: Final = on_event
        self.carried = False
        """Whether the room has sent anything for the enclave."""

    async def run(self) -> None:
        """Attend once. Returns when the door has changed, and raises when the line ended."""
        door = self._exchange.door()
        async with open_channel(
            self._profile,
            keepalive_milliseconds=KEEPALIVE_MILLISECONDS,
            keepalive_timeout_milliseconds=KEEPALIVE_TIMEOUT_MILLISECONDS,
        ) as channel:
            stream = relay_pb2_grpc.RelayServiceStub(channel).Attend()
            # Step 1: what listens, and what is to.
            await _write(stream, relay_pb2.AttendRequest(door=_said(door)))
            order = _order(await stream.read())
            self._exchange.offer(order)
            # Step 2: an enclave of this order.
            if door is not None and order.fits(door):
                await self._carry(stream, door)
                return
        self._on_event(
            Event(Happening.WAITING, "for the enclave to be started by the room's order")
        )
        await self._until(lambda: order.fits(self._exchange.door()), DOOR_SECONDS)

    async def _carry(self, stream: Stream, door: DoorFile) -> None:
        # Step 3: the connection.
        try:
            reader, writer = await asyncio.open_unix_connection(
                self._exchange.socket, limit=CARRIED_BYTES
            )
        except OSError as error:
            detail = f"the enclave's socket: {error.strerror}"
            raise SafeRoomError(Reason.UNAVAILABLE, detail) from error
        self._on_event(Event(Happening.ATTENDING, self._profile.card.address))
        tasks = (
            asyncio.create_task(self._to_enclave(stream, writer)),
            asyncio.create_task(_to_room(stream, reader)),
            asyncio.create_task(self._until(lambda: self._exchange.door() != door)),
        )
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            writer.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _to_enclave(self, stream: Stream, writer: asyncio.StreamWriter) -> None:
        """Pass on what the room sends, no faster than the enclave reads."""
        try:
            while isinstance(message := await stream.read(), relay_pb2.AttendResponse):
                self.carried = True
                writer.write(message.carried)
                await writer.drain()
        except OSError as error:
            raise SafeRoomError(Reason.UNAVAILABLE, "the enclave closed its socket") from error
        raise SafeRoomError(Reason.UNAVAILABLE, "the room ended the call")

    async def _until(self, reached: Callable[[], bool], seconds: float | None = None) -> None:
        """Wait until something is so of the exchange, for so long at most."""
        loop = asyncio.get_running_loop()
        end = None if seconds is None else loop.time() + seconds
        # No event tells of files everywhere.
        while not reached() and (end is None or loop.time() < end):  # noqa: ASYNC110
            await asyncio.sleep(LOOK_SECONDS)


async def _to_room(stream: Stream, reader: asyncio.StreamReader) -> None:
    """Pass on what the enclave sends, no faster than the room takes it."""
    try:
        while data := await reader.read(CARRIED_BYTES):
            await _write(stream, relay_pb2.AttendRequest(carried=data))
    except OSError as error:
        raise SafeRoomError(Reason.UNAVAILABLE, "the enclave closed its socket") from error
    raise SafeRoomError(Reason.UNAVAILABLE, "the enclave closed its socket")


async def _write(stream: Stream, message: relay_pb2.AttendRequest) -> None:
    try:
        await stream.write(message)
    except asyncio.InvalidStateError as error:
        raise SafeRoomError(Reason.UNAVAILABLE, "the room ended the call") from error


def _said(door: DoorFile | None) -> relay_pb2.EnclaveDoor:
    if door is None:
        return relay_pb2.EnclaveDoor()
    certificate = x509.load_pem_x509_certificate(door.certificate.encode())
    return relay_pb2.EnclaveDoor(
        certificate=certificate.public_bytes(Encoding.DER),
        charter=door.charter,
        switchboard=door.switchboard,
        sandbox_level=door.sandbox_level,
        sandbox_missing=door.sandbox_missing,
        launch=envelope_to_proto(Envelope.from_text(door.launch)),
    )


def _order(message: object) -> Order:
    if not isinstance(message, relay_pb2.AttendResponse) or not message.HasField("order"):
        raise SafeRoomError(Reason.UNAVAILABLE, "the room gives no order")
    said = message.order
    return Order(envelope_from_proto(said.charter), envelope_from_proto(said.switchboard))
