"""The enclave's side of its broker: the one program that may ask a provider for it.

The enclave dials nobody. It listens on a socket of its own, in a folder that the owner shares with
the broker's user alone; the broker connects, says which sources it can ask, and answers. What it is
told is a source's name and a subject's code, and nothing else of the question. What it gives is
bytes that others made: their length and form are bounded here, and a child reads them.

    {"sources": ["tax_arrears"]}                                        the broker, once
    {"id": 7, "source": "tax_arrears", "subject": "91..."}              the enclave
    {"id": 7, "outcome": "answered", "bytes": 1234}  and so many bytes  the broker

The newest broker takes the place of one before. What was under way with that one has failed.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final, cast

from saferoom_enclaves.fetched import MOST_BYTES
from saferoom_enclaves.logs import Log
from saferoom_proto.encoding import parse_object
from saferoom_proto.reasons import Reason, SafeRoomError

SECONDS: Final = 12.0
"""For one subject, the broker's retries included: a caller's own call lasts 15."""
MOST_AT_ONCE: Final = 16
"""Asked for at a time; more are refused at once."""
HELLO_SECONDS: Final = 5.0
"""In which whoever connects says which sources it can ask."""
MOST_LINES: Final = 4
"""Connections at a time, those included that have said nothing yet."""
_LINE_BYTES: Final = 4096
_MOST_SOURCES: Final = 64
_OTHERS_NOTHING: Final = 0o117
"""The owner and the folder's group connect; nobody else."""


class Outcome(StrEnum):
    """What became of a request, as the broker says."""

    ANSWERED = "answered"
    NOBODY = "nobody"
    """The provider knows no such subject."""
    UNUSABLE = "unusable"
    """It answered with what nobody reads: too much, or cut off."""
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True, repr=False)
class Told:
    """What became of a request, and the answer if there is one. It shows no text form."""

    outcome: Outcome
    data: bytes = b""


class Broker:
    """Asks through whichever broker is connected. Used in one event loop.

    Args:
        log: the operator's.
    """

    def __init__(self, log: Log) -> None:
        self._log: Final = log
        self._line: _Line | None = None
        self._server: asyncio.Server | None = None
        self._lines = 0

    @property
    def is_connected(self) -> bool:
        """Whether a broker is there."""
        return self._line is not None

    async def listen(self, path: Path) -> None:
        """Let brokers connect."""
        before = os.umask(_OTHERS_NOTHING)
        try:
            self._server = await asyncio.start_unix_server(
                self._attend, str(path), limit=_LINE_BYTES
            )
        finally:
            os.umask(before)

    async def close(self) -> None:
        """Let nobody connect any more; what is under way fails."""
        if self._server is not None:
            self._server.close()
        if self._line is not None:
            self._line.end()

    async def ask(self, source: str, subject: str) -> Told:
        """Ask for one subject's record; `Outcome.UNAVAILABLE` also if it takes too long.

        Raises:
            SafeRoomError: `SOURCE_UNAVAILABLE`: there was nobody to ask, or the broker went away.
        """
        line = self._line
        if line is None:
            raise SafeRoomError(Reason.SOURCE_UNAVAILABLE, "no broker is connected")
        try:
            async with asyncio.timeout(SECONDS):
                return await line.ask(source, subject)
        except TimeoutError:
            return Told(Outcome.UNAVAILABLE)

    async def _attend(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._lines >= MOST_LINES:
            self._log.warning("broker refused", lines=self._lines)
            writer.close()
            return
        self._lines += 1
        try:
            async with asyncio.timeout(HELLO_SECONDS):
                sources = await _sources(reader)
            line = _Line(sources, writer)
            if self._line is not None:
                self._line.end()
            self._line = line
            self._log.info("broker connected", sources=sorted(line.sources))
            await line.listen(reader)
        except (SafeRoomError, OSError, ValueError, asyncio.IncompleteReadError) as error:
            self._log.warning("broker disconnected", reason=type(error).__name__)
        finally:
            self._lines -= 1
            writer.close()
            if self._line is not None and self._line.is_of(writer):
                self._line.end()
                self._line = None


class _Line:
    """One broker's connection."""

    def __init__(self, sources: frozenset[str], writer: asyncio.StreamWriter) -> None:
        self.sources: Final = sources
        self._writer: Final = writer
        self._waiting: Final[dict[int, asyncio.Future[Told]]] = {}
        self._next = 0

    def is_of(self, writer: asyncio.StreamWriter) -> bool:
        """Tell whether it is that connection."""
        return self._writer is writer

    async def ask(self, source: str, subject: str) -> Told:
        """Ask, and wait for the answer."""
        if source not in self.sources:
            raise SafeRoomError(Reason.SOURCE_UNAVAILABLE, f"the broker knows no {source}")
        if len(self._waiting) >= MOST_AT_ONCE:
            raise SafeRoomError(Reason.SOURCE_UNAVAILABLE, "as many are asked for as may be")
        self._next += 1
        number = self._next
        told: asyncio.Future[Told] = asyncio.get_running_loop().create_future()
        self._waiting[number] = told
        order = {"id": number, "source": source, "subject": subject}
        try:
            self._writer.write(json.dumps(order).encode() + b"\n")
            await self._writer.drain()
            return await told
        except OSError as error:
            raise SafeRoomError(Reason.SOURCE_UNAVAILABLE, "the broker is gone") from error
        finally:
            self._waiting.pop(number, None)

    async def listen(self, reader: asyncio.StreamReader) -> None:
        """Take answers until the connection ends.

        Raises:
            SafeRoomError: `MALFORMED`, `TOO_LARGE`: it is no broker of ours.
        """
        while document := await reader.readline():
            said = parse_object(document, _LINE_BYTES)
            number, outcome = said.get("id"), _outcome(said)
            told = self._waiting.get(number) if isinstance(number, int) else None
            size = _size(said) if outcome is Outcome.ANSWERED else 0
            data = await reader.readexactly(size)
            if told is not None and not told.done():  # else whoever asked has given up
                told.set_result(Told(outcome, data))

    def end(self) -> None:
        """Close it, and let whoever waits know."""
        self._writer.close()
        for told in self._waiting.values():
            if not told.done():
                gone = SafeRoomError(Reason.SOURCE_UNAVAILABLE, "the broker is gone")
                told.set_exception(gone)


async def _sources(reader: asyncio.StreamReader) -> frozenset[str]:
    said = parse_object(await reader.readline(), _LINE_BYTES)
    named = said.get("sources")
    if said.keys() != {"sources"} or not isinstance(named, list):
        raise SafeRoomError(Reason.MALFORMED, "a broker begins with its sources")
    names = cast("list[object]", named)
    if len(names) > _MOST_SOURCES or not all(isinstance(name, str) for name in names):
        raise SafeRoomError(Reason.MALFORMED, "a broker names its sources")
    return frozenset(map(str, names))


def _outcome(said: Mapping[str, object]) -> Outcome:
    try:
        return Outcome(str(said.get("outcome")))
    except ValueError:
        raise SafeRoomError(Reason.MALFORMED, "an outcome that there is not") from None


def _size(said: Mapping[str, object]) -> int:
    size = said.get("bytes")
    if not isinstance(size, int) or not 0 < size <= MOST_BYTES:
        raise SafeRoomError(Reason.TOO_LARGE, f"an answer has 1 to {MOST_BYTES} bytes")
    return size
