"""Serves a room until it is stopped, or its log turns out not to be what the room signed."""

from __future__ import annotations

import asyncio
import gc
import signal
from pathlib import Path

from saferoom.logs import make_log
from saferoom.open_files import have_files
from saferoom.room import Room
from saferoom.server import Server
from saferoom_proto.formula import parse_formula
from saferoom_proto.reasons import SafeRoomError


async def serve(folder: Path) -> None:
    """Open the room in a folder and serve it until SIGTERM or SIGINT."""
    room = Room.open(folder)
    have_files(room.config.limits.connections)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    log = make_log(room.config.log.level)
    parse_formula("owner.flag")  # imports the parser, for which no call shall wait
    server = await Server.open(room, log=log)
    # What was made so far stays: the collector need not look through it again and again.
    gc.collect()
    gc.freeze()
    try:
        await until_stopped(server.books.ledger.audit_under_way, stop)
    except SafeRoomError as error:
        log.error("the log is not what the room signed", detail=error.detail)  # noqa: TRY400
        raise
    finally:
        log.info("room closes")
        await server.close()
        log.info("room closed")


async def until_stopped(audit: asyncio.Task[None] | None, stop: asyncio.Event) -> None:
    """Wait for a signal; a log that turns out to be altered ends the serving at once.

    Args:
        audit: what of the log was not recomputed before it was opened, if there is any.
        stop: set by the signal.

    Raises:
        SafeRoomError: `BAD_PROOF` or `STORE_DAMAGED`, naming the place.
    """
    stopped = asyncio.create_task(stop.wait())
    if audit is not None:
        await asyncio.wait([stopped, audit], return_when=asyncio.FIRST_COMPLETED)
        if audit.done() and audit.exception() is not None:
            stopped.cancel()
            audit.result()
    await stopped


def run(folder: Path) -> None:
    """Serve the room in a folder: what `saferoom room serve` starts.

    Raises:
        SafeRoomError: `BAD_CONFIG`, `BAD_PROOF` or `STORE_DAMAGED`, naming what is wrong.
    """
    try:
        import uvloop  # noqa: PLC0415 - where it is installed, calls cost a tenth less
    except ImportError:
        asyncio.run(serve(folder))
    else:
        uvloop.run(serve(folder))
