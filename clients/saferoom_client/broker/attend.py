"""The broker's line to its enclave: orders come in, answers go out, and no answer is remembered.

An order that is not of the form, names a source that is not configured, or a code that is none,
ends the line: an enclave that is whole sends no such order.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from saferoom_client.broker.asking import Source
from saferoom_client.broker.config import BrokerConfig
from saferoom_client.broker.provider import Outcome, Reply
from saferoom_client.events import Event, Happening, Tell, ignore_events
from saferoom_proto.encoding import parse_object
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.uscc import parse_uscc

MOST_AT_ONCE: Final = 16
"""Orders under way, as the enclave gives them."""
FIRST_PAUSE_SECONDS: Final = 0.1
LONGEST_PAUSE_SECONDS: Final = 5.0
_LINE_BYTES: Final = 4096


async def broker(config: BrokerConfig, *, on_event: Tell = ignore_events) -> None:
    """Attend to the enclave until cancelled, taking up a lost line again.

    Args:
        config: whom it may ask.
        on_event: is told what happens: of sources, and never of subjects.

    Raises:
        SafeRoomError: `BAD_CONFIG` naming a source's file that cannot be used.
    """
    with ThreadPoolExecutor(MOST_AT_ONCE) as pool:
        sources = {name: Source(config.folder, each, pool) for name, each in config.sources.items()}
        pause = FIRST_PAUSE_SECONDS
        while True:
            began = time.monotonic()
            try:
                await _Line(sources, on_event).run(config.socket)
                detail = "the enclave closed the line"
            except (OSError, SafeRoomError) as error:
                detail = _words(error)
            # One that is hung up on at once, as beside another broker, comes ever more rarely.
            if time.monotonic() - began > LONGEST_PAUSE_SECONDS:
                pause = FIRST_PAUSE_SECONDS
            on_event(Event(Happening.DISCONNECTED, f"{detail}; again in {pause:.1f} s"))
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)


class _Line:
    """One connection to the enclave."""

    def __init__(self, sources: dict[str, Source], on_event: Tell) -> None:
        self._sources: Final = sources
        self._on_event: Final = on_event
        self._under_way: Final[set[asyncio.Task[None]]] = set()
        self._telling: Final[set[asyncio.Task[None]]] = set()
        """Those whose provider has answered."""

    async def run(self, socket: Path) -> None:
        """Attend until the enclave ends the line.

        Raises:
            OSError: there is no enclave, or the line broke.
            SafeRoomError: `MALFORMED`: it is no enclave that is whole.
        """
        reader, writer = await asyncio.open_unix_connection(socket, limit=_LINE_BYTES)
        try:
            hello = {"sources": sorted(self._sources)}
            writer.write(json.dumps(hello).encode() + b"\n")
            self._on_event(Event(Happening.ATTENDING, str(socket)))
            while document := await _line(reader):
                await self._attend(writer, *self._order(document))
        finally:
            for task in (*self._under_way, *self._telling):
                task.cancel()
            writer.close()

    def _order(self, document: bytes) -> tuple[int, str, str]:
        said = parse_object(document, _LINE_BYTES)
        number, source, subject = said.get("id"), said.get("source"), said.get("subject")
        if set(said) != {"id", "source", "subject"} or not isinstance(number, int):
            raise SafeRoomError(Reason.MALFORMED, "an order is a source and a subject")
        if not isinstance(source, str) or source not in self._sources:
            raise SafeRoomError(Reason.MALFORMED, "an order names a source that it may ask")
        if not isinstance(subject, str) or parse_uscc(subject) != subject:
            raise SafeRoomError(Reason.MALFORMED, "an order names a subject by its code")
        return number, source, subject

    async def _attend(
        self, writer: asyncio.StreamWriter, number: int, source: str, subject: str
    ) -> None:
        await writer.drain()  # one that takes no answers gives no more orders
        if len(self._under_way) >= MOST_AT_ONCE:
            # An enclave that gave one up in time gives another, while the first is under way here.
            reply = Reply(Outcome.UNAVAILABLE, "as many are asked for as may be")
            self._told(writer, number, source, reply)
            return
        task = asyncio.create_task(self._answer(writer, number, source, subject))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _answer(
        self, writer: asyncio.StreamWriter, number: int, source: str, subject: str
    ) -> None:
        reply = await self._sources[source].ask(subject)
        # Before it is told: the next order may come before this task is over.
        if (this := asyncio.current_task()) is not None:
            self._under_way.discard(this)
            self._telling.add(this)
            this.add_done_callback(self._telling.discard)
        self._told(writer, number, source, reply)
        await writer.drain()

    def _told(self, writer: asyncio.StreamWriter, number: int, source: str, reply: Reply) -> None:
        if reply.outcome is Outcome.UNAVAILABLE:
            self._on_event(Event(Happening.UNAVAILABLE, f"{source}: {reply.why}"))
        writer.write(_told(number, reply))


def _told(number: int, reply: Reply) -> bytes:
    said: dict[str, object] = {"id": number, "outcome": reply.outcome}
    if reply.outcome is Outcome.ANSWERED:
        said["bytes"] = len(reply.data)
    return json.dumps(said).encode() + b"\n" + reply.data


async def _line(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readline()
    except ValueError as error:
        raise SafeRoomError(Reason.MALFORMED, "an order of more than a line") from error


def _words(error: Exception) -> str:
    if isinstance(error, SafeRoomError):
        return f"{error.reason}: {error.detail}"
    return f"the enclave's socket: {getattr(error, 'strerror', None) or type(error).__name__}"
