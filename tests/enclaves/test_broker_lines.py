"""The enclave's socket for its broker: who says nothing, or comes too often, holds nobody up."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path

import pytest

from saferoom_enclaves.fetched import broker as lines
from saferoom_enclaves.fetched.broker import MOST_LINES, Broker, Outcome
from saferoom_enclaves.logs import Log
from simulator.fetching import BOUND_SECONDS

HELLO = b'{"sources": ["tax_arrears"]}\n'


async def test_whoever_says_nothing_is_hung_up_on_and_the_next_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "HELLO_SECONDS", 0.1)
    broker = Broker(Log("tax", io.StringIO()))
    await broker.listen(tmp_path / "s")
    async with asyncio.timeout(BOUND_SECONDS):
        # One more than there may be: it is hung up on at once, and the others in time.
        silent = [await asyncio.open_unix_connection(tmp_path / "s") for _ in range(MOST_LINES + 1)]
        assert [await reader.read() for reader, _ in silent] == [b""] * len(silent)
        assert not broker.is_connected
        reader, writer = await asyncio.open_unix_connection(tmp_path / "s")
        writer.write(HELLO)
        while not broker.is_connected:  # noqa: ASYNC110 - no event of its own
            await asyncio.sleep(0.01)
        asked = asyncio.ensure_future(broker.ask("tax_arrears", "91990000000001011G"))
        assert b'"tax_arrears"' in await reader.readline()
        writer.write(b'{"id": 1, "outcome": "nobody"}\n')
        assert (await asked).outcome is Outcome.NOBODY
    for each in (*(line for _, line in silent), writer):
        each.close()
    await broker.close()
