from __future__ import annotations

import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from saferoom.archive import Archive
from saferoom.courier import MAX_PROOFS, MAX_STATEMENT_BYTES, MAX_STATEMENTS, Courier, HeadSigner
from saferoom.exchange import Standing
from saferoom.ledger.ledger import Ledger
from saferoom.notary import Notary
from saferoom.outbox import Outbox
from saferoom.signing import Signer
from saferoom.state.database import Database
from saferoom_proto import chain
from saferoom_proto.checkpoint import open_checkpoint
from saferoom_proto.dsse import Envelope, sign
from saferoom_proto.encoding import b64
from saferoom_proto.merkle import root, verify_consistency
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Schema
from saferoom_proto.verification import verify_head
from simulator import World

WORLD = World("courier")
TAX = WORLD.owner("tax")
AT_START = Standing(
    unlocked=True,
    sequence=0,
    running=chain.GENESIS,
    head_nonce=b"n" * 32,
    ledger_size=0,
    sandbox_level=0,
    sandbox_missing=(),
    store_fault="",
    has_data=True,
    chain_length=0,
)


class Room:
    """A ledger, and what brings it to an enclave."""

    def __init__(self, ledger: Ledger, archive: Archive) -> None:
        self.ledger = ledger
        self.cosigned = ""
        self.notary = Notary(ledger, archive)
        self.outbox = Outbox(self.notary, archive)
        self.courier = Courier(
            "tax",
            ledger=ledger,
            archive=archive,
            signer=HeadSigner(WORLD.room, Signer(WORLD.heads), WORLD.clock.utc),
            outbox=self.outbox,
            standing=AT_START,
            cosigned=lambda _: self.cosigned,
        )

    async def say(self, count: int, size: int = 10) -> list[Envelope]:
        """Record statements for the tax office's stream."""
        said = [
            sign(
                "application/vnd.saferoom.schema.v1+json",
                os.urandom(size // 2).hex().encode(),
                TAX.root,
            )
            for _ in range(count)
        ]
        for each in said:
            await self.notary.record(Schema, None, each, owners=("tax",))
        return said

    async def deliver(self) -> int:
        """Take the next delivery as an enclave would; gives how many statements it brought."""
        standing = self.courier.standing
        delivery = await self.courier.next()
        head = verify_head(delivery.head, TAX.charter, b64(standing.head_nonce))
        running = chain.head_of((each.whole for each in delivery.statements), standing.running)
        assert (head.sequence, head.running) == (
            standing.sequence + len(delivery.statements),
            running,
        )
        checkpoint = open_checkpoint(head.checkpoint, WORLD.room, WORLD.ledger.key.verify_key)
        if standing.ledger_size:
            earlier = await self.root(standing.ledger_size)
            verify_consistency(
                standing.ledger_size,
                checkpoint.size,
                delivery.consistency,
                earlier,
                checkpoint.root,
            )
        self.courier.delivered(
            delivery,
            replace(
                standing,
                sequence=head.sequence,
                running=running,
                ledger_size=checkpoint.size,
                head_nonce=os.urandom(32),
            ),
        )
        return len(delivery.statements)

    async def root(self, size: int) -> bytes:
        return self.ledger._nodes.compute(lambda node: root(size, node))


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    with Database.open(tmp_path / "room.db") as database:
        async with await Ledger.open(
            database, origin=WORLD.room, key=WORLD.ledger.key, clock=WORLD.clock.utc
        ) as ledger:
            yield Room(ledger, Archive(database))


async def test_an_enclave_is_brought_its_stream_and_then_fresh_heads(room: Room) -> None:
    await room.say(3)
    assert room.courier.behind
    assert await room.deliver() == 3
    assert not room.courier.behind
    assert await room.deliver() == 0
    await room.say(2)
    assert await room.deliver() == 2


async def test_a_long_stream_comes_in_pieces_each_with_its_own_head(room: Room) -> None:
    await room.say(MAX_STATEMENTS + 3)
    assert await room.deliver() == MAX_STATEMENTS
    assert room.courier.behind
    assert await room.deliver() == 3


async def test_large_statements_come_a_few_at_a_time(room: Room) -> None:
    size = MAX_STATEMENT_BYTES // 3
    await room.say(5, size)
    counts = [await room.deliver() for _ in range(2)]
    assert counts == [3, 2]


async def test_proofs_come_a_few_at_a_time_and_once(room: Room) -> None:
    await room.say(1)
    for index in range(MAX_PROOFS + 2):
        room.outbox.recorded(index, 0)
    assert room.courier.behind
    delivery = await room.courier.next()
    assert [proof.chain_index for proof in delivery.proofs] == list(range(MAX_PROOFS))
    room.courier.delivered(delivery, room.courier.standing)
    delivery = await room.courier.next()
    assert [proof.chain_index for proof in delivery.proofs] == [MAX_PROOFS, MAX_PROOFS + 1]
    room.courier.delivered(delivery, room.courier.standing)
    assert (await room.courier.next()).proofs == ()


@pytest.mark.parametrize(
    "ahead",
    [
        {"sequence": 2, "running": "sha256:" + "1" * 64},
        {"sequence": 1, "running": "sha256:" + "1" * 64},
        {"ledger_size": 9},
    ],
)
async def test_an_enclave_that_knows_more_than_the_room_gets_nothing(
    room: Room, ahead: dict[str, object]
) -> None:
    """The room is an older copy, or another branch, of what the enclave followed."""
    await room.say(1)
    room.courier.standing = replace(AT_START, **ahead)
    with pytest.raises(SafeRoomError) as refusal:
        await room.courier.next()
    assert refusal.value.reason is Reason.BROKEN_STREAM


def test_what_stands_in_the_log_is_remembered_without_gaps() -> None:
    outbox = Outbox(None, None)  # pyright: ignore[reportArgumentType]
    outbox.replayed(3)
    assert all(outbox.is_recorded(index) for index in range(3))
    assert not outbox.is_recorded(3)
    for index in (5, 4):
        outbox.recorded(index, index)
    assert not outbox.is_recorded(3)
    assert outbox.is_recorded(5)
    outbox.recorded(3, 3)
    assert all(outbox.is_recorded(index) for index in range(6))
    assert not outbox.is_recorded(6)
    assert not outbox._recorded
