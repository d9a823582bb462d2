"""The connection: what is tried again, how long is waited, and who is talked to."""

from __future__ import annotations

import asyncio
import importlib
import pkgutil
from collections.abc import Iterator
from dataclasses import replace

import pytest
from google.protobuf.descriptor import MethodDescriptor

from saferoom_client.aio import AsyncRoom
from saferoom_client.channel import REPEATABLE
from saferoom_client.refused import Refused
from saferoom_proto import v1
from saferoom_proto.answer import Truth
from saferoom_proto.reasons import Reason, SafeRoomError
from tests.client.fakeroom import Said, made_server_identity
from tests.client.test_check import asked


async def test_a_passing_fault_is_tried_again_and_a_verdict_is_not(
    room: AsyncRoom, said: Said
) -> None:
    said.refusal, said.refusals = SafeRoomError(Reason.STALE_HEAD), 2
    answer = await asked(room, said)
    assert answer.truth is Truth.YES
    assert said.calls.count("Check") == 3
    said.refusal, said.refusals = SafeRoomError(Reason.OVER_BUDGET), 1
    with pytest.raises(Refused):
        await asked(room, said)
    assert said.calls.count("Check") == 4


def served() -> Iterator[MethodDescriptor]:
    """Give every method that a room serves; the enclaves' own service is none of them."""
    for module in pkgutil.iter_modules(v1.__path__):
        if module.name.endswith("_pb2") and module.name != "enclave_pb2":
            file = importlib.import_module(f"{v1.__name__}.{module.name}").DESCRIPTOR
            for service in file.services_by_name.values():
                yield from service.methods


def test_every_call_is_sent_again_or_known_to_be_sent_once() -> None:
    sent_once = {
        "saferoom.v1.OwnerService.HandOverRoot",
        "saferoom.v1.OwnerService.Rollback",
        "saferoom.v1.OwnerService.TryDraft",
        "saferoom.v1.JobService.TrainInRoom",  # as the next
        "saferoom.v1.TableService.MakeTables",  # minutes of work; who waits for it asks again
    }
    again, once = set[str](), set[str]()
    for method in served():
        names = (
            {"service": method.containing_service.full_name},
            {"service": method.containing_service.full_name, "method": method.name},
        )
        repeated = any(name in REPEATABLE for name in names)
        (again if repeated else once).add(method.full_name)
    streams = {
        each.full_name for each in served() if each.client_streaming or each.server_streaming
    }
    assert "saferoom.v1.CheckService.Check" in again
    assert once - streams == sent_once
    assert not again & streams


async def test_a_room_that_does_not_answer_in_time_is_left(room: AsyncRoom, said: Said) -> None:
    question = await room.prepare(
        "steady",
        subject=said.case.world.subject(1).uscc,
        purpose="pre-loan",
        params={"least": "5000"},
    )
    said.takes = asyncio.Event()
    impatient = AsyncRoom(room.profile, clock=room.clock, deadline_seconds=0.2)
    async with impatient:
        with pytest.raises(Refused) as refused:
            await impatient.ask(question)
    assert refused.value.reason is Reason.DEADLINE


async def test_a_closed_room_says_so(room: AsyncRoom) -> None:
    await room.close()
    with pytest.raises(SafeRoomError) as refused:
        await room.whoami()
    assert refused.value.reason is Reason.UNAVAILABLE


async def test_a_server_of_another_authority_is_not_talked_to(room: AsyncRoom, said: Said) -> None:
    other = room.profile.card.model_copy(update={"tls_root": made_server_identity()[0].decode()})
    async with AsyncRoom(replace(room.profile, card=other), clock=room.clock) as fooled:
        with pytest.raises(Refused) as refused:
            await fooled.whoami()
    assert refused.value.reason is Reason.UNAVAILABLE
    assert said.calls == []


async def test_a_member_is_known_by_its_certificate(room: AsyncRoom) -> None:
    caller = await room.whoami()
    assert (caller.organisation, caller.name) == ("bank-a", "system")
