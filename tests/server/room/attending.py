"""An enclave that its owner started, and a relay of the test's own: it carries, or it lies."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import grpc
from cryptography.hazmat.primitives.serialization import Encoding

from saferoom.room import Room
from saferoom_proto.starting import LaunchDocument, Started, started
from saferoom_proto.v1 import relay_pb2, relay_pb2_grpc
from simulator import SimOwner
from tests.server.room.forked import fake
from tests.server.room.opened import SECONDS, OpenedRoom

Alter = Callable[[bytes], bytes]
Stream = grpc.aio.StreamStreamCall[relay_pb2.AttendRequest, relay_pb2.AttendResponse]


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A stand-in enclave that listens where the server has no hand in it."""

    started: Started
    socket: Path
    door: relay_pb2.EnclaveDoor


@asynccontextmanager
async def elsewhere(room: OpenedRoom, owner: SimOwner, folder: Path) -> AsyncGenerator[Elsewhere]:
    """Start a stand-in enclave as a supervisor would."""
    await asyncio.to_thread(folder.mkdir, exist_ok=True)
    switchboard = Room.open(room.folder).switchboard.statement
    socket = Path(mkdtemp(prefix="saferoom-")) / "s"
    charter = owner.charters[-1]
    document = LaunchDocument(
        owner.name, folder, socket, charter, switchboard, folder, max_memory_mib=512, sandbox=False
    )
    async with AsyncExitStack() as stack:
        stack.callback(shutil.rmtree, socket.parent)
        one = await stack.enter_async_context(started(document, seconds=SECONDS, command=(fake(),)))
        door = relay_pb2.EnclaveDoor(
            certificate=one.certificate.public_bytes(Encoding.DER),
            charter=charter.digest,
            switchboard=switchboard.digest,
            sandbox_missing=["everything"],
        )
        yield Elsewhere(one, socket, door)


async def attend(
    room: OpenedRoom, owner: str, door: relay_pb2.EnclaveDoor, name: str = "relay"
) -> Stream:
    """Say what listens, as a member of an organisation."""
    stub = relay_pb2_grpc.RelayServiceStub(room.calls(owner, name).channel)
    stream = stub.Attend()
    await said(stream, relay_pb2.AttendRequest(door=door))
    return stream


async def said(stream: grpc.aio.StreamStreamCall[Any, Any], message: object) -> None:
    """Write to a room that may refuse before it has read: its refusal is then what is read."""
    with suppress(grpc.aio.AioRpcError):
        await stream.write(message)


async def ordered(stream: Stream) -> relay_pb2.EnclaveOrder:
    """Read the order."""
    async with asyncio.timeout(SECONDS):
        told = await stream.read()
    assert isinstance(told, relay_pb2.AttendResponse)
    return told.order


async def carry(stream: Stream, socket: Path, alter: Alter = bytes) -> None:
    """Carry until either side ends; what comes from the enclave can be altered."""
    reader, writer = await asyncio.open_unix_connection(socket)

    async def to_room() -> None:
        while data := await reader.read(1 << 16):
            await stream.write(relay_pb2.AttendRequest(carried=alter(data)))

    up = asyncio.create_task(to_room())
    try:
        while isinstance(message := await stream.read(), relay_pb2.AttendResponse):
            writer.write(message.carried)
            await writer.drain()
    finally:
        writer.close()
        up.cancel()
        await asyncio.gather(up, return_exceptions=True)


@asynccontextmanager
async def relayed(
    room: OpenedRoom, at: Elsewhere, owner: str = "tax", alter: Alter = bytes
) -> AsyncGenerator[Stream]:
    """Attend and carry until the end of the block."""
    stream = await attend(room, owner, at.door)
    await ordered(stream)
    carrying = asyncio.create_task(carry(stream, at.socket, alter))
    try:
        yield stream
    finally:
        stream.cancel()
        carrying.cancel()
        with suppress(asyncio.CancelledError, grpc.aio.AioRpcError, OSError):
            await carrying
