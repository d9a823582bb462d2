"""A room in this process, and banks of it that train together: real clients, real statements."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

import numpy as np

from saferoom.logs import Level, make_log
from saferoom.room import Room as RoomFolder
from saferoom.server import Server
from saferoom_client.aio import AsyncRoom
from saferoom_client.values import Organisation, Role
from saferoom_proto.statements import seal_statement
from saferoom_proto.uscc import make_uscc
from tests.flow.live import LiveRoom
from tests.flow.offers import APPROVERS, title

BANKS = ("bank-a", "bank-b", "bank-east", "bank-west")


def draft(banks: Sequence[str], *, name: str) -> str:
    """Write the draft of a federated training."""
    return f"""name: {name}
title: {{en: Default within a year, zh: 一年内违约}}
event: default within 12 months
banks: [{", ".join(banks)}]
columns:
- {{name: income, low: -6, high: 6}}
- {{name: debt, low: -6, high: 6}}
"""


def write_rows(path: Path, seed: int, rows: int = 400) -> Path:
    """Write one bank's table."""
    drawn = np.random.default_rng(seed)
    values = drawn.normal(size=(rows, 2)).round(6)
    labels = drawn.random(rows) < 1 / (1 + np.exp(1 - values @ [0.9, -0.6]))
    lines = ["uscc,default,income,debt"]
    lines += [
        f"{make_uscc(1000 * seed + at)},{int(label)},{row[0]},{row[1]}"
        for at, (row, label) in enumerate(zip(values, labels, strict=True))
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


@dataclass
class Banks:
    """A room, its server in this process, and a client for each bank."""

    live: LiveRoom
    server: Server
    rooms: dict[str, AsyncRoom] = field(default_factory=dict[str, AsyncRoom])

    def rows(self, bank: str) -> Path:
        """Give a bank's table."""
        path = self.live.folder / f"{bank}.csv"
        return path if path.exists() else write_rows(path, 1 + BANKS.index(bank))

    async def propose(self, banks: Sequence[str], name: str = "default-12m") -> str:
        """Have the first bank propose; gives the id."""
        path = self.live.folder / "draft.yaml"
        path.write_text(draft(banks, name=name))
        return (await self.rooms[banks[0]].propose_federation(path)).federation

    async def reopen(self) -> None:
        """Stop the room, and open it again where it was."""
        await self.server.close()
        self.server = await _open(self.live.room)


async def _open(folder: Path) -> Server:
    log = make_log(Level.INFO, StringIO())
    return await Server.open(RoomFolder.open(folder), log=log)


@asynccontextmanager
async def banks_in_a_room(folder: Path) -> AsyncGenerator[Banks]:
    """Open a room with one owner, whose charter names who names the banks."""
    live = LiveRoom(folder, owners=("tax",))
    live.make()
    config = live.room / "room.toml"
    heading = "[enclaves.run_by]\n"
    assert heading in config.read_text()
    config.write_text(config.read_text().replace(heading, heading + 'tax = "owner"\n'))
    async with AsyncExitStack() as stack:
        banks = Banks(live, await _open(live.room))

        async def close() -> None:
            await banks.server.close()

        stack.push_async_callback(close)
        for bank in BANKS:
            path = live.member(bank, "desk")
            if not path.exists():
                live.enrol(bank, "desk")
        operator = await stack.enter_async_context(AsyncRoom.open(live.member("operator", "desk")))
        for name, role in (("tax", Role.OWNER), ("auditor", Role.AUDITOR)):
            await operator.enrol_organisation(Organisation(name, title(name), frozenset({role})))
        for bank in BANKS:
            role = frozenset({Role.INSTITUTION})
            await operator.enrol_organisation(Organisation(bank, title(bank), role))
        owner = await stack.enter_async_context(AsyncRoom.open(live.member("tax", APPROVERS[0])))
        await owner.put_charter(seal_statement(live.charter("tax"), live.roots["tax"]))
        for bank in BANKS:
            opened = AsyncRoom.open(live.member(bank, "desk"))
            banks.rooms[bank] = await stack.enter_async_context(opened)
        yield banks
