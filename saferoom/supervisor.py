"""Starts enclaves as child processes, in development and for small rooms.

In production each enclave runs under its owner's own user, started by a supervisor that the server
does not control (`relays.py`).
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from saferoom.channel import Door
from saferoom.config import EnclavesConfig
from saferoom.place import LaunchOrder, LinkState
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.starting import (
    COMMAND,
    SOCKET_PATH_BYTES,
    LaunchDocument,
    Started,
    memory_lent,
    started,
)

LONGEST_PAUSE_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Child:
    """An enclave of the server's own, which listens."""

    started: Started
    door: Door
    launch: None = None
    """The server's word would say nothing."""

    @property
    def sandbox_level(self) -> int:
        """0 to 3."""
        return self.started.greeting.sandbox_level

    @property
    def sandbox_missing(self) -> tuple[str, ...]:
        """What its sandbox lacks."""
        return self.started.greeting.sandbox_missing

    async def ended(self) -> str:
        """Wait for its end."""
        return f"the process ended with {await self.started.process.wait()}"


class Supervisor:
    """Starts one enclave at a time for each order, and ends it.

    Args:
        sockets: the folder for sockets; a short temporary one is used where its path is too long.
        config: how enclaves are started.
        command: what is started.
    """

    def __init__(
        self, sockets: Path, config: EnclavesConfig, command: Sequence[str] = COMMAND
    ) -> None:
        self.waiting: Final = LinkState.STARTING
        self.longest_pause_seconds: Final = LONGEST_PAUSE_SECONDS
        self._sockets: Final = sockets
        self._config: Final = config
        self._command: Final = tuple(command)

    @asynccontextmanager
    async def launched(self, order: LaunchOrder) -> AsyncGenerator[Child]:
        """Start an enclave, and end it on leaving.

        Raises:
            SafeRoomError: `UNAVAILABLE` if it does not come to listen.
        """
        config = self._config
        order.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (
            socket_lent(self._sockets, order.owner) as socket,
            memory_lent(config.scratch, order.folder) as memory,
        ):
            document = LaunchDocument(
                order.owner,
                order.folder,
                socket,
                order.charter,
                order.switchboard,
                memory,
                config.max_memory_mib,
                config.sandbox,
                broker_socket(config.brokers.get(order.owner)),
            )
            async with started(
                document, seconds=config.start_seconds, command=self._command
            ) as one:
                door = Door(socket, one.certificate, one.greeting.certificate.encode())
                yield Child(one, door)


def broker_socket(folder: Path | None) -> Path | None:
    """Give where an enclave listens for its broker; the folder is made.

    Raises:
        SafeRoomError: `BAD_CONFIG` for a path that is too long for a socket.
    """
    if folder is None:
        return None
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder.resolve() / "s"
    if len(os.fsencode(path)) > SOCKET_PATH_BYTES:
        detail = f"enclaves.brokers: a socket's path has at most {SOCKET_PATH_BYTES} bytes"
        raise SafeRoomError(Reason.BAD_CONFIG, detail)
    return path


@contextmanager
def socket_lent(sockets: Path, owner: str) -> Generator[Path]:
    """Lend a path for a socket that was not used before, in a folder nobody else enters."""
    folder = sockets.resolve()
    folder.mkdir(mode=0o700, exist_ok=True)
    own = Path(tempfile.mkdtemp(prefix=f"{owner}-", dir=folder))
    if len(os.fsencode(own / "s")) > SOCKET_PATH_BYTES:
        own.rmdir()
        own = Path(tempfile.mkdtemp(prefix="saferoom-"))
    try:
        yield own / "s"
    finally:
        shutil.rmtree(own, ignore_errors=True)
