"""HTTP/2 frame by frame (RFC 9113), as a client writes them that keeps no manners."""

from __future__ import annotations

import asyncio
import ssl
import struct
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tests.server.room.members import Connection
from tests.server.room.opened import OpenedRoom

WHO_AM_I: Final = "/saferoom.v1.IdentityService/WhoAmI"

_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RESET, _SETTINGS, _PING, _CONTINUATION = 0, 1, 3, 4, 6, 9
_END_STREAM, _ACK, _END_HEADERS = 1, 1, 4
_CANCEL: Final = 8
_INITIAL_WINDOW: Final = 4


def frame(kind: int, flags: int, stream: int, body: bytes = b"") -> bytes:
    """Write a frame (section 4.1)."""
    return struct.pack(">I", len(body))[1:] + struct.pack(">BBI", kind, flags, stream) + body


def headers(stream: int, method: str) -> bytes:
    """Begin a call and say nothing more: literals without indexing (RFC 7541, section 6.2.2)."""
    fields = {
        ":method": "POST",
        ":scheme": "https",
        ":path": method,
        ":authority": "room",
        "te": "trailers",
        "content-type": "application/grpc",
    }
    written = [each.encode() for pair in fields.items() for each in pair]
    lengths = [bytes([len(each)]) + each for each in written]
    block = b"".join(b"\0" + name + said for name, said in zip(*[iter(lengths)] * 2, strict=True))
    return frame(_HEADERS, _END_HEADERS, stream, block)


def request(stream: int, said: bytes, *, of: int | None = None) -> bytes:
    """Send a call's request; where it is `of` more bytes than are sent, it is never finished."""
    flags = _END_STREAM if of is None else 0
    length = struct.pack(">BI", 0, len(said) if of is None else of)
    return frame(_DATA, flags, stream, length + said)


def reset(stream: int) -> bytes:
    """Take a call back."""
    return frame(_RESET, 0, stream, struct.pack(">I", _CANCEL))


def settings() -> bytes:
    """Say something that is to be acknowledged."""
    return frame(_SETTINGS, 0, 0, struct.pack(">HI", _INITIAL_WINDOW, 1 << 16))


def endless_headers(stream: int) -> bytes:
    """Begin a call's headers and go on with them (CVE-2024-27316); more of them may follow."""
    return frame(_HEADERS, 0, stream, b"\0\1a\1b") + more_headers(stream)


def more_headers(stream: int) -> bytes:
    """Go on with headers."""
    return frame(_CONTINUATION, 0, stream, (b"\0\3x-a\x64" + b"b" * 100) * 100)


def ping() -> bytes:
    """Ask whether somebody is there."""
    return frame(_PING, 0, 0, bytes(8))


@dataclass(frozen=True, slots=True)
class Line:
    """A connection to a room, after its handshake."""

    read: asyncio.StreamReader
    write: asyncio.StreamWriter

    async def send(self, *frames: bytes) -> None:
        """Write frames."""
        self.write.write(b"".join(frames))
        await self.write.drain()

    async def ended(self) -> None:
        """Read until the room ends the connection."""
        with suppress(ConnectionError, ssl.SSLError):
            while await self.read.read(1 << 16):
                pass


@asynccontextmanager
async def line(
    room: OpenedRoom, own: Connection, *, window: int | None = None
) -> AsyncGenerator[Line]:
    """Connect to a room with a certificate.

    Args:
        room: whose server is attacked.
        own: the attacker's certificate and key.
        window: how much it lets the room send of one answer; by default HTTP/2's 64 KiB.
    """
    context = ssl.create_default_context(cafile=room.folder / "tls" / "ca.pem")
    context.verify_flags |= ssl.VERIFY_X509_STRICT  # from Python 3.13 on it is so by itself
    context.set_alpn_protocols(["h2"])
    with TemporaryDirectory() as folder:
        pair = Path(folder) / "pair.pem"
        pair.write_bytes(own.key + own.certificate)
        context.load_cert_chain(pair)
    said = b"" if window is None else struct.pack(">HI", _INITIAL_WINDOW, window)
    reader, writer = await asyncio.open_connection("localhost", room.server.port, ssl=context)
    opened = Line(reader, writer)
    try:
        await opened.send(_PREFACE, frame(_SETTINGS, 0, 0, said), frame(_SETTINGS, _ACK, 0))
        yield opened
    finally:
        writer.transport.abort()
