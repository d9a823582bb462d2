"""Starts enclaves as child processes, in development and for small rooms.

In production each enclave runs under its owner's own user, started by a supervisor that the server
does not control. The protocol is the same: one JSON document on the enclave's standard input, one
JSON line on its standard output once it listens, its log on standard error.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from cryptography import x509
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from saferoom.channel import Door
from saferoom.config import EnclavesConfig
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import dump, parse_object
from saferoom_proto.reasons import Reason, SafeRoomError

COMMAND: Final = (sys.executable, "-I", "-B", "-m", "saferoom_enclaves")
"""By name only: the server never imports the enclave's package."""

STOP_SECONDS: Final = 10.0
"""How long an enclave may take to end when asked to, before it is killed."""

_LINE_LIMIT: Final = 1 << 16
_SOCKET_PATH_BYTES: Final = 107  # unix(7): sun_path has 108 bytes with its terminator
_KEPT_VARIABLES: Final = ("PATH", "LANG", "LC_ALL", "TZ")


class _Hello(BaseModel):
    """The line with which an enclave says that it listens."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    certificate: str
    sandbox_level: Annotated[int, Field(ge=0, le=3)]
    sandbox_missing: list[str]


@dataclass(frozen=True, slots=True)
class LaunchOrder:
    """What an enclave is started with.

    Attributes:
        owner: whose.
        folder: its own, for its sealed store and state.
        charter: the owner's, in force.
        switchboard_certificate: the one that the enclave takes from whoever connects; PEM.
    """

    owner: str
    folder: Path
    charter: Envelope
    switchboard_certificate: bytes


@dataclass(frozen=True, slots=True)
class Running:
    """An enclave that listens."""

    process: asyncio.subprocess.Process
    door: Door
    sandbox_level: int
    sandbox_missing: tuple[str, ...]


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
        self._sockets: Final = sockets
        self._config: Final = config
        self._command: Final = tuple(command)

    @asynccontextmanager
    async def launched(self, order: LaunchOrder) -> AsyncGenerator[Running]:
        """Start an enclave, and end it on leaving.

        Raises:
            SafeRoomError: `UNAVAILABLE` if it does not come to listen.
        """
        order.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._socket(order.owner) as socket, self._memory(order.folder) as memory:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env={name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ},
                cwd="/",
                limit=_LINE_LIMIT,
            )
            try:
                hello = await self._greet(process, self._document(order, socket, memory))
                yield _running(process, socket, hello)
            finally:
                await _end(process)

    async def _greet(self, process: asyncio.subprocess.Process, document: bytes) -> _Hello:
        if process.stdin is None or process.stdout is None:
            raise SafeRoomError(Reason.INTERNAL, "the enclave was started without pipes")
        try:
            async with asyncio.timeout(self._config.start_seconds):
                process.stdin.write(document)
                await process.stdin.drain()
                process.stdin.close()
                line = await process.stdout.readline()
        except (TimeoutError, OSError, ValueError) as error:
            raise SafeRoomError(Reason.UNAVAILABLE, "the enclave does not start") from error
        if not line:
            raise SafeRoomError(Reason.UNAVAILABLE, "the enclave ended at its start: see its log")
        parse_object(line)
        try:
            return _Hello.model_validate_json(line)
        except ValidationError as error:
            raise SafeRoomError(Reason.UNAVAILABLE, "the enclave's greeting is none") from error

    def _document(self, order: LaunchOrder, socket: Path, memory: Path) -> bytes:
        return dump(
            {
                "owner": order.owner,
                "folder": str(order.folder.resolve()),
                "socket": str(socket),
                "switchboard_certificate": order.switchboard_certificate.decode(),
                "charter": order.charter.to_json().decode(),
                "scratch": str(memory),
                "max_memory_mib": self._config.max_memory_mib,
                "sandbox": self._config.sandbox,
                "die_with_parent": True,
            }
        )

    @contextmanager
    def _memory(self, folder: Path) -> Generator[Path]:
        """Lend a folder in memory, for the enclave's own below it; removed when the enclave ended.

        The enclave can't remove it: its sandbox ends below. After a kill of this process too, the
        next run finds it by its name.
        """
        name = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:16]
        memory = self._config.scratch / f"saferoom-{name}"
        with contextlib.suppress(FileExistsError):
            memory.mkdir(mode=0o700)
        found = memory.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
            raise SafeRoomError(Reason.BAD_CONFIG, f"{memory} is not this room's")
        try:
            yield memory
        finally:
            shutil.rmtree(memory, ignore_errors=True)

    @contextmanager
    def _socket(self, owner: str) -> Generator[Path]:
        """Lend a path for a socket that was not used before, in a folder nobody else enters."""
        folder = self._sockets.resolve()
        folder.mkdir(mode=0o700, exist_ok=True)
        own = Path(tempfile.mkdtemp(prefix=f"{owner}-", dir=folder))
        if len(os.fsencode(own / "s")) > _SOCKET_PATH_BYTES:
            own.rmdir()
            own = Path(tempfile.mkdtemp(prefix="saferoom-"))
        try:
            yield own / "s"
        finally:
            shutil.rmtree(own, ignore_errors=True)


def _running(process: asyncio.subprocess.Process, socket: Path, hello: _Hello) -> Running:
    pem = hello.certificate.encode()
    try:
        certificate = x509.load_pem_x509_certificate(pem)
    except ValueError as error:
        raise SafeRoomError(Reason.UNAVAILABLE, "the enclave's certificate is none") from error
    door = Door(socket, certificate, pem)
    return Running(process, door, hello.sandbox_level, tuple(hello.sandbox_missing))


async def _end(process: asyncio.subprocess.Process) -> None:
    """Ask a process to end, and kill it if it does not."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
    await process.wait()
