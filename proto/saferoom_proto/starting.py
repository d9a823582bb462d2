"""Starting an enclave as a child process: what the server does, and a supervisor at its owner.

Both start it by name and never import its package. It gets one JSON document on its standard
input, gives one JSON line on its standard output once it listens, and writes its log to standard
error.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import shutil
import stat
import sys
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import dump, parse_object, sha256_digest
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import PublicKey
from saferoom_proto.statements.base import Base64

COMMAND: Final = (sys.executable, "-I", "-B", "-m", "saferoom_enclaves")

STOP_SECONDS: Final = 10.0
"""How long an enclave may take to end when asked to, before it is killed."""

SOCKET_PATH_BYTES: Final = 107
"""unix(7): sun_path has 108 bytes with its terminator."""

_LINE_LIMIT: Final = 1 << 16
_KEPT_VARIABLES: Final = ("PATH", "LANG", "LC_ALL", "TZ")


class Greeting(BaseModel):
    """The line with which an enclave says that it listens."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    certificate: str
    """On its socket, PEM."""
    identity: PublicKey
    sealing: Base64
    sandbox_level: Annotated[int, Field(ge=0, le=3)]
    sandbox_missing: tuple[str, ...]

    def to_line(self) -> bytes:
        """Write the line."""
        return self.model_dump_json().encode() + b"\n"


@dataclass(frozen=True, slots=True)
class LaunchDocument:
    """What an enclave is told at its start.

    Attributes:
        owner: whose.
        folder: its own, for its sealed store and state.
        socket: where it is to listen; the folder is there.
        charter: the owner's, in force.
        switchboard: the room's statement of the one certificate that the enclave lets in.
        scratch: a folder in memory.
        max_memory_mib: of address space.
        sandbox: whether it confines itself.
        broker: where it is to listen for its broker; the folder is there.
    """

    owner: str
    folder: Path
    socket: Path
    charter: Envelope
    switchboard: Envelope
    scratch: Path
    max_memory_mib: int
    sandbox: bool
    broker: Path | None = None

    def to_bytes(self) -> bytes:
        """Write the document."""
        return dump(
            {
                "owner": self.owner,
                "folder": str(self.folder.resolve()),
                "socket": str(self.socket),
                "charter": self.charter.to_json().decode(),
                "switchboard": self.switchboard.to_json().decode(),
                "scratch": str(self.scratch),
                "max_memory_mib": self.max_memory_mib,
                "sandbox": self.sandbox,
                "broker": None if self.broker is None else str(self.broker),
                "die_with_parent": True,
            }
        )


@dataclass(frozen=True, slots=True)
class Started:
    """An enclave that listens, with what it said over the inherited pipe."""

    process: asyncio.subprocess.Process
    greeting: Greeting
    certificate: x509.Certificate

    @property
    def tls(self) -> str:
        """Digest of the certificate on its socket, as its claims name it."""
        return certificate_digest(self.certificate)


def certificate_digest(certificate: x509.Certificate) -> str:
    """Give the digest by which evidence and endorsements name a TLS certificate."""
    return sha256_digest(certificate.public_bytes(Encoding.DER))


@asynccontextmanager
async def started(
    document: LaunchDocument, *, seconds: float, command: Sequence[str] = COMMAND
) -> AsyncGenerator[Started]:
    """Start an enclave, and end it on leaving.

    Args:
        document: what it is told.
        seconds: the longest it may take until it listens.
        command: what is started.

    Raises:
        SafeRoomError: `UNAVAILABLE` if it does not come to listen.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ},
        cwd="/",
        limit=_LINE_LIMIT,
    )
    try:
        greeting = await _greet(process, document.to_bytes(), seconds)
        yield Started(process, greeting, _certificate(greeting))
    finally:
        await _end(process)


@contextmanager
def memory_lent(scratch: Path, folder: Path) -> Generator[Path]:
    """Lend a folder in memory, for the enclave's own below it; removed when the enclave ended.

    The enclave can't remove it: its sandbox ends below. After a kill of this process too, the
    next run finds it by its name.

    Args:
        scratch: a folder on tmpfs.
        folder: the enclave's own, after which it is named.
    """
    name = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:16]
    memory = scratch / f"saferoom-{name}"
    with contextlib.suppress(FileExistsError):
        memory.mkdir(mode=0o700)
    found = memory.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise SafeRoomError(Reason.BAD_CONFIG, f"{memory} is not this enclave's")
    try:
        yield memory
    finally:
        shutil.rmtree(memory, ignore_errors=True)


async def _greet(process: asyncio.subprocess.Process, document: bytes, seconds: float) -> Greeting:
    if process.stdin is None or process.stdout is None:
        raise SafeRoomError(Reason.INTERNAL, "the enclave was started without pipes")
    try:
        async with asyncio.timeout(seconds):
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
        return Greeting.model_validate_json(line)
    except ValidationError as error:
        raise SafeRoomError(Reason.UNAVAILABLE, "the enclave's greeting is none") from error


def _certificate(greeting: Greeting) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(greeting.certificate.encode())
    except ValueError as error:
        raise SafeRoomError(Reason.UNAVAILABLE, "the enclave's certificate is none") from error


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
