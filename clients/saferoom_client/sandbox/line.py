"""A slow line to the sandbox: what a bank's program meets on a bad day, and seldom in a test.

Bytes pass through as they came, each way late; the connection's TLS is between the ends.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

CHUNK_BYTES: Final = 64 * 1024
LATE_SECONDS: Final = 0.5
"""Each way: a call takes a second at least, a new connection three."""


class SlowLine:
    """Carries connections from one address of this machine to another, in a thread of its own.

    Args:
        listen: `HOST:PORT` to take connections at.
        target: `HOST:PORT` to carry them to.
        late_seconds: how late each way is.
    """

    def __init__(self, listen: str, target: str, late_seconds: float = LATE_SECONDS) -> None:
        self._listen: Final = _split(listen)
        self._target: Final = _split(target)
        self._late_seconds: Final = late_seconds
        self._loop: Final = asyncio.new_event_loop()
        self._thread: Final = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        opening = asyncio.start_server(self._carry, *self._listen)
        asyncio.run_coroutine_threadsafe(opening, self._loop).result()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        asyncio.run_coroutine_threadsafe(_end_all(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.close()  # the room is not up: the line is dead too
            return
        await asyncio.gather(self._pass(reader, far_writer), self._pass(far_reader, writer))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(CHUNK_BYTES):
                await asyncio.sleep(self._late_seconds)
                writer.write(data)
                await writer.drain()
        writer.close()


async def _end_all() -> None:
    """End every connection that the line carries."""
    carrying = asyncio.all_tasks() - {asyncio.current_task()}
    for task in carrying:
        task.cancel()
    await asyncio.gather(*carrying, return_exceptions=True)


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host, int(port)
