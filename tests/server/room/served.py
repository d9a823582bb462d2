"""A room as a process of its own, that can be killed: `python served.py FOLDER ENCLAVE` serves it.

It prints its port once it listens. Its enclaves are stand-ins, its clock stands still.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, cast

from saferoom.logs import Level, make_log
from saferoom.room import Room
from saferoom.server import Server
from simulator import START, World
from tests.server.room.forked import fake
from tests.server.room.opened import OpenedRoom

if TYPE_CHECKING:
    from asyncio.subprocess import Process

ROOT = Path(__file__).parent.parent.parent.parent


@dataclass(frozen=True)
class Served:
    """What a test knows of a room in another process."""

    port: int
    process: Process

    async def kill(self) -> None:
        """Kill it, as a power cut would."""
        self.process.kill()
        await self.process.wait()


@asynccontextmanager
async def served(folder: Path, world: World) -> AsyncGenerator[tuple[OpenedRoom, Served]]:
    """Serve a room's folder in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        __file__,
        str(folder),
        fake(),
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    server = Served(int(await process.stdout.readline()), process)
    room = OpenedRoom(folder, world, cast("Server", server), StringIO())
    try:
        yield room, server
    finally:
        await room.leave()
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def main(folder: Path, enclave: str) -> None:
    server = await Server.open(
        Room.open(folder), log=make_log(Level.INFO), command=(enclave,), clock=lambda: START
    )
    sys.stdout.write(f"{server.port}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
