"""A load that the enclave took is recorded, whoever stops waiting for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import cast

import pytest

from saferoom.enclave_wire import LoadPiece
from saferoom.evidence import Caller, Recorded
from saferoom.exchange import Loaded, OutboxEntry
from saferoom.links import Links
from saferoom.loads import Loads
from saferoom.register import Register
from saferoom_proto.dsse import sign
from saferoom_proto.keys import SigningKey
from saferoom_proto.v1 import owner_pb2

STATEMENT = sign("text/plain", b"a snapshot", SigningKey.from_seed(bytes(32)))
CALLER = cast("Caller", SimpleNamespace(organisation="tax"))


class Enclave:
    """Stands in for a session: it works on a load until it is told to go on.

    Attributes:
        snapshot: the newest, as the room remembers it.
        outbox: this too; it records whatever it is given.
        taken: what was recorded.
    """

    def __init__(self) -> None:
        self.snapshot: object = None
        self.outbox = self
        self.taken: list[OutboxEntry] = []
        self.read, self.go_on = asyncio.Event(), asyncio.Event()

    async def load(self, pieces: AsyncIterator[LoadPiece], seconds: float) -> Loaded:
        assert seconds == 60
        assert len([piece async for piece in pieces]) == 2
        self.read.set()
        await self.go_on.wait()
        return Loaded(OutboxEntry(STATEMENT, bytes(32), 0, STATEMENT), b"")

    async def take(self, entry: OutboxEntry) -> Recorded[object]:
        self.taken.append(entry)
        return cast("Recorded[object]", SimpleNamespace(statement=entry.statement))


async def pieces() -> AsyncIterator[LoadPiece]:
    header = owner_pb2.LoadHeader(owner="tax", schema="sha256:" + "1" * 64)
    yield LoadPiece(header=header)
    yield LoadPiece(sealed=b"a piece")


def loads(enclave: Enclave) -> Loads:
    def schema(digest: str) -> object:
        return SimpleNamespace(says=SimpleNamespace(owner="tax"))

    def serving(owner: str) -> object:
        return enclave

    register = cast("Register", SimpleNamespace(schema=schema))
    return Loads(register, cast("Links", SimpleNamespace(serving=serving)), 60)


async def test_a_load_whose_caller_leaves_is_recorded_all_the_same() -> None:
    enclave = Enclave()
    call = asyncio.create_task(loads(enclave).load(CALLER, pieces()))
    await enclave.read.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    enclave.go_on.set()
    async with asyncio.timeout(5):
        while enclave.snapshot is None:  # noqa: ASYNC110 - nobody is told: its caller has left
            await asyncio.sleep(0)
    assert [entry.statement for entry in enclave.taken] == [STATEMENT]
    assert enclave.snapshot == STATEMENT


async def test_a_caller_who_waits_gets_the_recorded_snapshot() -> None:
    enclave = Enclave()
    enclave.go_on.set()
    loaded, recorded = await loads(enclave).load(CALLER, pieces())
    assert recorded is not None
    assert (loaded.sealed_faults, recorded.statement) == (b"", STATEMENT)
