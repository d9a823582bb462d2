"""What a commit wrote is read from its instant on, and proven once the log's head covers it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from threading import Event

import pytest

from saferoom.archive import Archive
from saferoom.ledger.nodes import Nodes
from saferoom.state.database import Database
from saferoom_proto.checkpoint import parse_proof
from saferoom_proto.groupcommit import GroupCommit
from tests.server.ledger.made_up import KEY, ORIGIN, consent, leaf_of, open_ledger


async def test_what_is_read_before_the_tip_covers_it_is_proven_once_it_does(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Readers of the database see a commit an instant before the log's head follows."""
    entry, committed, go_on = consent(0), Event(), Event()
    keep = Nodes.keep

    def late(nodes: Nodes, hashes: Mapping[tuple[int, int], bytes]) -> None:
        committed.set()
        assert go_on.wait(10)
        keep(nodes, hashes)

    def beside(*_: object) -> bool:
        return False

    async with await open_ledger(database) as ledger:
        monkeypatch.setattr(Nodes, "keep", late)
        # As on a slow disk: in the writer's thread, beside the loop.
        monkeypatch.setattr(GroupCommit, "_here", beside)
        appended = asyncio.create_task(ledger.append(entry))
        assert await asyncio.to_thread(committed.wait, 10)
        found = await Archive(database).find(entry.statement_digest)
        assert found is not None
        assert ledger.tip().size == 0
        proving = asyncio.create_task(asyncio.to_thread(ledger.tlog_proof, found.position))
        await asyncio.sleep(0.1)
        go_on.set()
        proof = parse_proof(await proving)
        # Whoever is given the proof is shown no older head.
        assert ledger.tip().size == found.position.size == 1
        proof.verify(leaf_of(entry), ORIGIN, KEY.verify_key)
        assert await appended == found.position
