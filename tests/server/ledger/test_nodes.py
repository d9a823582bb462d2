from __future__ import annotations

import asyncio
from functools import partial
from threading import Thread

import pytest

from saferoom.ledger.nodes import Nodes
from saferoom.state.database import Database
from saferoom_proto.checkpoint import open_checkpoint
from saferoom_proto.merkle import inclusion_path, leaf_hash, verify_inclusion
from saferoom_proto.reasons import Reason, SafeRoomError
from tests.server.ledger.made_up import KEY, ORIGIN, consent, leaf_of, open_ledger

SIZE = 45


@pytest.fixture
async def root(database: Database) -> bytes:
    """Fill the database's ledger; gives its root."""
    async with await open_ledger(database) as ledger:
        await asyncio.gather(*(ledger.append(consent(number)) for number in range(SIZE)))
        return open_checkpoint(ledger.checkpoint(), ORIGIN, KEY.verify_key).root


@pytest.mark.parametrize("capacity", [0, 1, 7, 1000])
async def test_proofs_do_not_depend_on_what_memory_holds(
    database: Database, root: bytes, capacity: int
) -> None:
    nodes = Nodes(database, capacity)
    for index in [*range(SIZE), *range(SIZE)]:
        path = nodes.path(partial(inclusion_path, index, SIZE))
        assert path == nodes.path(partial(inclusion_path, index, SIZE))
        assert path == nodes.compute(partial(inclusion_path, index, SIZE))
        assert path == Nodes(database).compute(partial(inclusion_path, index, SIZE))
        verify_inclusion(index, SIZE, leaf_hash(leaf_of(consent(index))), path, root)


async def test_many_threads_may_prove_at_once(database: Database, root: bytes) -> None:
    nodes = Nodes(database, capacity=16)
    verified: list[int] = []

    def prove(first: int) -> None:
        for index in range(first, SIZE, 5):
            path = nodes.path(partial(inclusion_path, index, SIZE))
            verify_inclusion(index, SIZE, leaf_hash(leaf_of(consent(index))), path, root)
            verified.append(index)

    threads = [Thread(target=prove, args=(first,)) for first in (0, 1, 2, 3, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        await asyncio.to_thread(thread.join, 30)
    assert sorted(verified) == list(range(SIZE))


async def test_a_subtree_that_the_disk_lacks_is_named(database: Database, root: bytes) -> None:
    with pytest.raises(SafeRoomError, match="the subtree 0/45 is missing") as refusal:
        Nodes(database).compute(lambda node: node(0, 44) + node(0, 45) + root)
    assert refusal.value.reason is Reason.BAD_PROOF
    with pytest.raises(SafeRoomError, match="the subtree 0/45 is missing") as refusal:
        Nodes(database).path(lambda node: (node(0, 44), node(0, 45)))
    assert refusal.value.reason is Reason.BAD_PROOF
