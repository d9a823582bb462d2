"""Messages between an enclave and a child: some bytes behind their length, with descriptors."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from saferoom_proto.reasons import Reason, SafeRoomError

_LENGTH: Final = struct.Struct(">I")


@dataclass(frozen=True, slots=True)
class Frame:
    """A message, and the descriptors that came with it; whoever receives it closes them."""

    message: bytes
    files: tuple[int, ...]

    def close(self) -> None:
        """Close the descriptors."""
        for file in self.files:
            os.close(file)


def send(channel: socket.socket, message: bytes, files: Sequence[int] = ()) -> None:
    """Send a message.

    Raises:
        OSError: the other side is gone, or does not read in time.
    """
    head = _LENGTH.pack(len(message))
    sent = socket.send_fds(channel, [head], files) if files else channel.send(head)
    channel.sendall(head[sent:] + message)


def receive(channel: socket.socket, most_bytes: int, most_files: int) -> Frame | None:
    """Receive a message; none if the other side ended before one.

    Raises:
        SafeRoomError: `MALFORMED`, it is not of the form.
        OSError: the other side is gone, or says nothing in time.
    """
    head, files, flags, _ = socket.recv_fds(
        channel, _LENGTH.size, most_files, socket.MSG_CMSG_CLOEXEC
    )
    if not head:
        return None
    frame = Frame(b"", tuple(files))
    try:
        _require(not flags & socket.MSG_CTRUNC, "more descriptors than may come")
        (length,) = _LENGTH.unpack(head + _exactly(channel, _LENGTH.size - len(head)))
        _require(length <= most_bytes, f"{length} bytes, at most {most_bytes}")
        return Frame(_exactly(channel, length), frame.files)
    except BaseException:
        frame.close()
        raise


def _exactly(channel: socket.socket, count: int) -> bytes:
    data = bytearray(count)
    rest = memoryview(data)
    while rest:
        received = channel.recv_into(rest)
        _require(received > 0, "cut short")
        rest = rest[received:]
    return bytes(data)


def _require(holds: bool, rule: str) -> None:
    if not holds:
        raise SafeRoomError(Reason.MALFORMED, f"a message between processes: {rule}")
