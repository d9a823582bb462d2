"""A server that starts something else than its owners' enclaves: `FOLDER WHAT [SOURCES]`.

altered    other code, which measures itself as it is
disguised  other code, which claims to be what the key agent accepts
charter    the accepted code, under a charter of the server's own
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from saferoom import place, server, supervisor
from saferoom.logs import Level, make_log
from saferoom.room import Room
from saferoom_proto.dsse import Envelope
from saferoom_proto.keys import SigningKey
from saferoom_proto.measure import measure_code
from saferoom_proto.starting import COMMAND
from saferoom_proto.statements import Charter, load, seal_statement

_ALTERED = """
import runpy, sys
sys.path[:0] = [{sources!r}]
import saferoom_proto.measure
if {claimed!r}:
    saferoom_proto.measure.measure_code = lambda: {claimed!r}
runpy.run_module("saferoom_enclaves", run_name="__main__")
"""


def altered(sources: str, claimed: str) -> tuple[str, ...]:
    """Give a command that starts other code in the enclave's place."""
    text = _ALTERED.format(sources=sources, claimed=claimed)
    return (*COMMAND[:3], "-c", text)


def own_charter(theirs: Envelope) -> Envelope:
    """Make a charter whose root, approvers and all are the server's."""
    root = SigningKey.generate()
    charter = load(theirs, Charter).model_copy(update={"root": root.verify_key.public})
    return seal_statement(charter, root)


class OwnCharter(supervisor.Supervisor):
    """Starts the enclave under a charter of the server's own."""

    @asynccontextmanager
    async def launched(self, order: place.LaunchOrder) -> AsyncGenerator[supervisor.Child]:
        """Start it with another charter than it was told."""
        lied = replace(order, charter=own_charter(order.charter))
        async with super().launched(lied) as child:
            yield child


async def lie(folder: Path, command: Sequence[str]) -> None:
    """Serve until killed."""
    log = make_log(Level.INFO)
    opened = await server.Server.open(Room.open(folder), log=log, command=command)
    try:
        await asyncio.Event().wait()
    finally:
        await opened.close()


def main() -> None:
    folder, what, *sources = sys.argv[1:]
    command = COMMAND
    if what == "charter":
        server.Supervisor = OwnCharter
    else:
        command = altered(sources[0], measure_code() if what == "disguised" else "")
    asyncio.run(lie(Path(folder), command))


if __name__ == "__main__":
    main()
