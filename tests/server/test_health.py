"""Health and reflection, as generic tools ask for them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import grpc
import pytest
from grpc_reflection.v1alpha import reflection_pb2

from saferoom.health import REFLECTION, SERVICES
from tests.server.room.opened import OpenedRoom
from tests.server.test_enclave_link import health


async def test_each_service_of_the_room_says_that_it_serves(empty_room: OpenedRoom) -> None:
    assert {service: await health(empty_room, service) for service in SERVICES} == dict.fromkeys(
        SERVICES, 1
    )
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await health(empty_room, "saferoom.v1.EnclaveService")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("service", [REFLECTION, "grpc.reflection.v1alpha.ServerReflection"])
async def test_tools_list_the_services_under_either_name_of_reflection(
    empty_room: OpenedRoom, service: str
) -> None:
    call: grpc.aio.StreamStreamMultiCallable[bytes, bytes] = empty_room.calls(
        "bank-a"
    ).channel.stream_stream(f"/{service}/ServerReflectionInfo")
    ask = reflection_pb2.ServerReflectionRequest(list_services="")

    async def asks() -> AsyncIterator[bytes]:
        yield ask.SerializeToString()

    answers = [each async for each in call(asks(), timeout=5)]
    told = reflection_pb2.ServerReflectionResponse.FromString(answers[0])
    listed = {each.name for each in told.list_services_response.service}
    assert listed == {*SERVICES, "grpc.health.v1.Health"}
