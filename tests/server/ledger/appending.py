"""Appends without end and tells of every acknowledged entry, until somebody kills it.

Run as `python -m tests.server.ledger.appending DATABASE FIRST`: statements are numbered from FIRST.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sys
from pathlib import Path

from saferoom.state.database import Database
from tests.server.ledger.made_up import consent, open_ledger, release


async def append_without_end(database: Database, first: int) -> None:
    numbers = itertools.count(first)
    async with await open_ledger(database) as ledger:

        async def work() -> None:
            for number in numbers:
                entry = consent(number, owners=("tax",)) if number % 2 else release(number)
                position = await ledger.append(entry)
                told = [number, position.index, position.size, position.note]
                os.write(1, json.dumps(told).encode() + b"\n")

        await asyncio.gather(*(work() for _ in range(16)))


if __name__ == "__main__":
    with Database.open(Path(sys.argv[1])) as opened:
        asyncio.run(append_without_end(opened, int(sys.argv[2])))
