"""Opens a room over the simulated world for a test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from saferoom_proto.dsse import Envelope
from saferoom_proto.v1 import identity_pb2
from simulator import Sample, SimBank, World, sample
from tests.server.room.opened import OpenedRoom, opened

INSTITUTION = identity_pb2.ROLE_INSTITUTION


@dataclass(frozen=True)
class Ready:
    """A room in which everything is said that a question needs."""

    room: OpenedRoom
    sample: Sample

    def question(self, bank: SimBank | None = None, minimum: str = "100000") -> Envelope:
        """Sign a question about a steady payer that the tax office answers."""
        asker = bank or self.sample.bank
        return asker.request(
            self.sample.world.subject(1),
            self.sample.steady.template,
            self.sample.steady.certificate,
            {"min_vat": minimum},
        )


@pytest.fixture
async def empty_room(tmp_path: Path) -> AsyncIterator[OpenedRoom]:
    """Give a room that nobody has joined but its operator."""
    async with opened(tmp_path / "room", World("empty")) as room:
        yield room


@pytest.fixture
async def ready(tmp_path: Path) -> AsyncIterator[Ready]:
    """Give a room ready for questions to the tax office."""
    said = sample("ready")
    async with opened(tmp_path / "room", said.world) as room:
        yield await make_ready(room, said)


async def make_ready(room: OpenedRoom, said: Sample) -> Ready:
    """Say everything in a room that a question needs."""
    await asyncio.gather(room.join(said.tax), room.join(said.court))
    for bank in (said.bank, said.other_bank):
        await room.enrol(bank.name, INSTITUTION)
    await room.tell_all()
    await room.hand_in(said.consent(1))
    return Ready(room, said)
