"""Methods that were added by their names are served like registered ones."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import cast

import grpc
import pytest

from saferoom_proto.rpc_methods import by_name
from saferoom_proto.v1 import use_pb2, use_pb2_grpc


class Uses(use_pb2_grpc.UseServiceServicer):
    """Lists nothing, and says where it goes on."""

    async def ListUses(  # noqa: N802 - the contract's name
        self, request: use_pb2.ListUsesRequest, context: object
    ) -> use_pb2.ListUsesResponse:
        del context
        return use_pb2.ListUsesResponse(next=request.before)


@pytest.fixture
async def channel() -> AsyncIterator[grpc.aio.Channel]:
    server = grpc.aio.server()
    use_pb2_grpc.add_UseServiceServicer_to_server(Uses(), by_name(server))
    port = server.add_insecure_port("localhost:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"localhost:{port}") as channel:
        yield channel
    await server.stop(0)


async def test_a_method_is_found_by_its_name(channel: grpc.aio.Channel) -> None:
    stub = use_pb2_grpc.UseServiceStub(channel)
    told = await stub.ListUses(use_pb2.ListUsesRequest(before=7))
    assert told.next == 7


async def test_a_method_that_is_not_there_is_refused(channel: grpc.aio.Channel) -> None:
    method = cast(
        "grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]",
        channel.unary_unary("/saferoom.v1.UseService/GetNothing"),
    )
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await method(b"")
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
