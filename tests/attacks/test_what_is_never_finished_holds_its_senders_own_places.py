"""A bank with a certificate, and strangers without one, that begin and never end.

What gRPC does by itself no limit of ours sees: it reads a request before our code is asked, and
writes the answer after it. A bank held 18 KB with headers alone and 1 MiB with a request that
lacked one byte, 256 times on each connection, without end; strangers took every file.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, ExitStack, suppress
from pathlib import Path
from typing import Final

import grpc
import pytest

from saferoom.open_files import OWN_FILES
from saferoom.server import HANDSHAKE_SECONDS
from saferoom_proto.reasons import Reason
from saferoom_proto.rpc_errors import from_rpc_error
from saferoom_proto.v1 import identity_pb2
from simulator import World
from tests.attacks.raw_http2 import (
    WHO_AM_I,
    Line,
    endless_headers,
    headers,
    line,
    more_headers,
    ping,
    request,
    reset,
    settings,
)
from tests.server.conftest import INSTITUTION
from tests.server.room.opened import SECONDS, OpenedRoom, opened, until

PLACES: Final = 8
DEADLINE: Final = 2.0
CONNECTIONS: Final = 8
BEGUN: Final = 100
FLOOD_SECONDS: Final = 30.0
MOST_GROWN: Final = 128 << 20
SETTINGS: Final = f"""
[limits]
calls_per_caller = {PLACES}
deadline_seconds = {DEADLINE}
connections = {CONNECTIONS}
"""
NOTHING: Final = "/saferoom.v1.IdentityService/Nothing"


def headers_only(stream: int) -> bytes:
    """Begin a call."""
    return headers(stream, WHO_AM_I)


def half_a_request(stream: int) -> bytes:
    """Begin a call, and its request."""
    return headers(stream, WHO_AM_I) + request(stream, bytes(1000), of=1 << 20)


async def ping_on(attacker: Line) -> None:
    """Send pings until the room has had enough."""
    for _ in range(1000):
        await attacker.send(ping() * 10)
        await asyncio.sleep(0.001)


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[OpenedRoom]:
    """Give a room with two banks: one attacks, the other asks."""
    async with opened(tmp_path / "room", World("unfinished"), SETTINGS) as room:
        for bank in ("bank-a", "bank-b"):
            await room.enrol(bank, INSTITUTION)
        yield room


async def let_in(room: OpenedRoom, bank: str) -> bool:
    """Tell whether a bank's call is let in, or finds all of its places taken."""
    asking = room.calls(bank).identity.WhoAmI(identity_pb2.WhoAmIRequest(), timeout=SECONDS)
    try:
        await asking
    except grpc.aio.AioRpcError as error:
        assert from_rpc_error(error).reason is Reason.TOO_MANY_REQUESTS
        return False
    return True


async def shut_out(room: OpenedRoom) -> bool:
    """Tell whether the attacker's places are all taken, and nobody else's."""
    assert await let_in(room, "bank-b")
    return not await let_in(room, "bank-a")


@pytest.mark.parametrize(
    "begin",
    [headers_only, half_a_request],
)
async def test_calls_that_are_begun_and_not_ended_have_a_place_each_and_end_in_time(
    room: OpenedRoom, begin: Callable[[int], bytes]
) -> None:
    async with line(room, room.member("bank-a")) as attacker:
        await attacker.send(*(begin(1 + 2 * each) for each in range(PLACES)))
        await until(lambda: shut_out(room))
        began = time.monotonic()
        await until(lambda: let_in(room, "bank-a"))
        assert time.monotonic() - began < 2 * DEADLINE


async def test_calls_of_no_method_are_refused_unread(room: OpenedRoom) -> None:
    async with line(room, room.member("bank-a")) as attacker:
        await attacker.send(*(headers(1 + 2 * each, NOTHING) for each in range(BEGUN)))

        async def told() -> bool:
            return room.log.getvalue().count(f'"method": "{NOTHING}"') == BEGUN

        await until(told)
        assert await let_in(room, "bank-a")


async def test_answers_that_nobody_reads_keep_their_places_until_their_reader_goes(
    room: OpenedRoom,
) -> None:
    async with line(room, room.member("bank-a"), window=0) as attacker:
        for each in range(1, 2 * BEGUN, 2):
            await attacker.send(headers(each, WHO_AM_I), request(each, b""))
        await until(lambda: shut_out(room))
        await asyncio.sleep(1.5 * DEADLINE)
        assert await shut_out(room)
    await until(lambda: let_in(room, "bank-a"))


async def test_calls_taken_back_at_once_and_pings_without_end_hold_up_nobody_else(
    room: OpenedRoom,
) -> None:
    """CVE-2023-44487: each costs its sender nothing, and its place is free again."""
    async with AsyncExitStack() as lines:
        rapid = await lines.enter_async_context(line(room, room.member("bank-a")))
        pinging = await lines.enter_async_context(line(room, room.member("bank-a")))
        sent = 0
        for first in range(1, 20_000, 200):
            streams = range(first, first + 200, 2)
            async with asyncio.timeout(SECONDS):
                await rapid.send(
                    *(
                        headers(each, WHO_AM_I) + request(each, b"") + reset(each)
                        for each in streams
                    )
                )
            sent += len(streams)
            if first % 4000 == 1:
                assert await let_in(room, "bank-b")
        with pytest.raises(ConnectionError):
            await ping_on(pinging)
        assert sent == 10_000
        assert await let_in(room, "bank-b")


async def test_connections_beyond_the_bound_are_closed_and_those_that_end_make_room(
    room: OpenedRoom,
) -> None:
    assert await let_in(room, "bank-b")  # whose connection stays
    with ExitStack() as left:
        strangers: list[socket.socket] = []
        for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            for _ in range(2 * CONNECTIONS):
                one = left.enter_context(socket.socket(family))
                one.settimeout(SECONDS)
                one.connect((host, room.server.port))
                strangers.append(one)
        await asyncio.sleep(0.5)
        for one in strangers:
            one.setblocking(False)
        closed = sum(is_closed(one) for one in strangers)
        assert 2 * CONNECTIONS <= closed < len(strangers)
        assert await let_in(room, "bank-b")
    await until(lambda: let_in(room, "bank-a"))


def is_closed(one: socket.socket) -> bool:
    """Tell whether the other side has ended a connection on which it says nothing."""
    try:
        return one.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True


@pytest.mark.soak
async def test_a_handshake_that_is_never_finished_is_ended_in_time(room: OpenedRoom) -> None:
    reader, writer = await asyncio.open_connection("localhost", room.server.port)
    began = time.monotonic()
    async with asyncio.timeout(3 * HANDSHAKE_SECONDS):
        assert await reader.read() == b""
    writer.close()
    assert HANDSHAKE_SECONDS / 2 < time.monotonic() - began < 2 * HANDSHAKE_SECONDS


def rapid(turn: int) -> bytes:
    """Begin calls and take them back."""
    streams = range(1 + 200 * turn, 201 + 200 * turn, 2)
    return b"".join(headers(each, WHO_AM_I) + reset(each) for each in streams)


def acknowledged(turn: int) -> bytes:
    """Ask for acknowledgements."""
    del turn
    return settings() * 500


def endless(turn: int) -> bytes:
    """Begin headers that have no end."""
    return more_headers(1) if turn else endless_headers(1)


async def flood(room: OpenedRoom, frames: Callable[[int], bytes], until: float) -> int:
    """Send frames on one connection after another, and read none of what comes; count them."""
    connected = 0
    while time.monotonic() < until:
        with suppress(ConnectionError, ssl.SSLError, TimeoutError):
            async with line(room, room.member("bank-a")) as attacker:
                connected += 1
                for turn in range(10_000):
                    async with asyncio.timeout_at(asyncio.get_running_loop().time() + 1):
                        await attacker.send(frames(turn))
                    if time.monotonic() > until:
                        break
                    await asyncio.sleep(0)
    return connected


@pytest.mark.soak
@pytest.mark.parametrize("frames", [rapid, acknowledged, endless])
async def test_floods_of_frames_leave_memory_bounded_and_others_answered(
    room: OpenedRoom, frames: Callable[[int], bytes]
) -> None:
    """Both ends are in this process: what is held at either counts."""
    await flood(room, frames, time.monotonic() + FLOOD_SECONDS / 4)
    before = resident_bytes()
    flooding = asyncio.create_task(flood(room, frames, time.monotonic() + FLOOD_SECONDS))
    answered = 0
    while not flooding.done():
        assert await let_in(room, "bank-b")
        answered += 1
        await asyncio.sleep(0.2)
    assert await flooding
    assert answered > FLOOD_SECONDS / 5
    assert resident_bytes() - before < MOST_GROWN


def resident_bytes() -> int:
    """Give how much memory this process has."""
    pages = Path("/proc/self/statm").read_text("ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


HAVING: Final = """
import resource, sys
from saferoom.open_files import have_files
from saferoom_proto.reasons import SafeRoomError
resource.setrlimit(resource.RLIMIT_NOFILE, (64, int(sys.argv[1])))
try:
    have_files(100)
except SafeRoomError as error:
    print(error.fields[0].field)
else:
    print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


@pytest.mark.parametrize(
    ("may", "told"), [(4096, str(200 + OWN_FILES)), (256, "limits.connections")]
)
def test_a_server_has_files_for_every_connection_and_for_its_own_or_does_not_start(
    may: int, told: str
) -> None:
    said = subprocess.run(
        [sys.executable, "-c", HAVING, str(may)], capture_output=True, text=True, check=True
    )
    assert said.stdout.strip() == told
