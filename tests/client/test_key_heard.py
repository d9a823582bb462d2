"""A room that lies about a change of a store's key: no owner throws its only key away for that."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from saferoom_client.agent.folder import KeyAgent, Policy
from saferoom_client.agent.heard import newest_key_change
from saferoom_client.agent.rotation import retire_store_key
from saferoom_client.aio import AsyncRoom
from saferoom_proto.dsse import Envelope
from saferoom_proto.keys import SigningKey
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import KeyChange, seal_statement
from saferoom_proto.store_key import name_of
from saferoom_proto.v1 import owner_pb2
from saferoom_proto.wire import recorded_to_proto
from tests.client import fakeroom
from tests.client.fakeroom import Said
from tests.client.made import NOTHING
from tests.client.test_loading import LINK, Loads, loads, room

__all__ = ["loads", "room"]

FORMER: Final = bytes(range(32))
NEW: Final = bytes(range(32, 64))


class Told:
    """What the room tells as the enclave's newest word on a change of its key."""

    def __init__(self, loads: Loads) -> None:
        self.loads: Final = loads
        self.word: owner_pb2.GetEndorsementResponse | None = None

    def say(
        self, key: SigningKey | None = None, *, recorded: bool = True, **changes: object
    ) -> None:
        """Have an enclave's key, or another, sign a word; its fields can be changed by name."""
        enclave = self.loads.enclave
        fields: dict[str, object] = {
            "room": enclave.world.room,
            "owner": "tax",
            "endorsement": enclave.endorsement.digest,
            "store_key": name_of(NEW),
            "previous": name_of(FORMER),
            "from_epoch": 3,
            "chain": LINK,
            "time": enclave.world.now(),
        }
        payload = KeyChange.model_validate(fields | changes)
        statement = seal_statement(payload, key or enclave.identity)
        ledger = enclave.world.ledger
        ledger.record(statement)
        told = ledger.recorded(statement)
        message = recorded_to_proto(told)
        if not recorded:
            message.salt = bytes(32)
        self.word = owner_pb2.GetEndorsementResponse(key_change=message)

    def endorse(self, key: SigningKey) -> Envelope:
        """Have somebody else than the key agent endorse the enclave."""
        endorsement = self.loads.enclave.endorse(key, sandbox_level=3)
        self.loads.said.case.known[endorsement.digest] = endorsement
        return endorsement


@pytest.fixture
def told(loads: Loads, monkeypatch: pytest.MonkeyPatch) -> Told:
    made = Told(loads)

    async def get_endorsement(
        said: Said, request: owner_pb2.GetEndorsementRequest, context: object
    ) -> owner_pb2.GetEndorsementResponse:
        return made.word or owner_pb2.GetEndorsementResponse()

    call = (get_endorsement, owner_pb2.GetEndorsementRequest)
    monkeypatch.setitem(fakeroom.CALLS, "OwnerService/GetEndorsement", call)
    return made


@pytest.fixture
def agent(loads: Loads, tmp_path: Path) -> KeyAgent:
    """Give the tax office's key agent, which has another store key and keeps the former."""
    owner = loads.enclave.owner
    policy = Policy(
        room=owner.world.room,
        owner="tax",
        charter_root=owner.root.verify_key.public,
        code=(NOTHING,),
        dependencies=(NOTHING,),
        evidence_kinds=("software",),
    )
    return KeyAgent(tmp_path, policy, owner.key_agent, NEW, bytes(32), FORMER)


async def refused(room: AsyncRoom, agent: KeyAgent) -> Reason:
    with pytest.raises(SafeRoomError) as error:
        retire_store_key(agent, await newest_key_change(room, agent))
    return error.value.reason


async def test_the_enclaves_own_word_counts(told: Told, room: AsyncRoom, agent: KeyAgent) -> None:
    told.say()
    said = await newest_key_change(room, agent)
    assert said is not None
    assert said.store_key == name_of(NEW)
    retire_store_key(agent, said)


async def test_without_a_word_the_former_key_is_kept(
    told: Told, room: AsyncRoom, agent: KeyAgent
) -> None:
    assert await newest_key_change(room, agent) is None
    assert await refused(room, agent) is Reason.CONFLICT


async def test_a_word_on_another_key_is_no_word_on_this_one(
    told: Told, room: AsyncRoom, agent: KeyAgent
) -> None:
    told.say(store_key=name_of(FORMER), previous=name_of(bytes(32)))
    assert await refused(room, agent) is Reason.CONFLICT


async def test_a_word_that_the_room_made_up_is_refused(
    told: Told, room: AsyncRoom, agent: KeyAgent
) -> None:
    told.say(SigningKey.generate())
    assert await refused(room, agent) is Reason.BAD_SIGNATURE


async def test_an_enclave_that_this_agent_never_endorsed_does_not_speak(
    told: Told, room: AsyncRoom, agent: KeyAgent
) -> None:
    endorsement = told.endorse(SigningKey.generate())
    told.say(endorsement=endorsement.digest)
    assert await refused(room, agent) is Reason.BAD_SIGNATURE


async def test_another_owners_enclave_does_not_speak(
    told: Told, room: AsyncRoom, agent: KeyAgent
) -> None:
    told.say(owner="court")
    assert await refused(room, agent) is Reason.BAD_ENDORSEMENT


async def test_a_word_that_is_in_no_log_does_not_count(
    told: Told, room: AsyncRoom, agent: KeyAgent
) -> None:
    told.say(recorded=False)
    assert await refused(room, agent) is Reason.BAD_PROOF
