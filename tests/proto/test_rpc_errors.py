from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
from google.rpc import (  # pyright: ignore[reportMissingTypeStubs]
    code_pb2,
    error_details_pb2,
    status_pb2,
)

from saferoom_proto.reasons import CATALOGUE, FieldFault, Reason, SafeRoomError
from saferoom_proto.rpc_errors import (
    DETAILS_KEY,
    abort,
    code_of,
    from_rpc_error,
    metadata_of,
    status_of,
)

SECRET = "the operator's own words"
Handler = Callable[[bytes, grpc.aio.ServicerContext[bytes, bytes]], Awaitable[bytes]]


@asynccontextmanager
async def serving(handler: Handler, folder: Path) -> AsyncGenerator[str]:
    """Serve one method of a real server on a unix socket."""
    server = grpc.aio.server()
    method: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(handler)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("t.T", {"Ask": method}),))
    target = f"unix:{folder / 's'}"
    server.add_insecure_port(target)
    await server.start()
    try:
        yield target
    finally:
        await server.stop(None)


async def failure(target: str) -> grpc.aio.AioRpcError:
    async with grpc.aio.insecure_channel(target) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary("/t.T/Ask")(b"", timeout=5)
    return caught.value


def blocking_failure(target: str) -> grpc.RpcError:
    with grpc.insecure_channel(target) as channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary("/t.T/Ask")(b"", timeout=5)
    return caught.value


def refusing(error: SafeRoomError, metadata: dict[str, str]) -> Handler:
    async def handler(_: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        await abort(context, error, metadata)

    return handler


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_status_that_grpc_knows(reason: Reason) -> None:
    status = status_of(SafeRoomError(reason, SECRET))
    assert code_pb2.Code.Name(status.code) == CATALOGUE[reason].status == code_of(reason).name
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert (info.reason, info.domain) == (str(reason), "saferoom")


def test_the_operators_detail_never_goes_on_the_wire() -> None:
    error = SafeRoomError(Reason.INTERNAL, SECRET)
    error.__cause__ = ValueError(SECRET)
    assert SECRET.encode() not in status_of(error, {"request_id": "r"}).SerializeToString()


async def test_a_refusal_arrives_with_reason_fields_and_metadata(tmp_path: Path) -> None:
    fault = FieldFault("params.min", "not on the grid")
    error = SafeRoomError(Reason.OFF_GRID, SECRET, [fault])
    async with serving(refusing(error, {"request_id": "sha256:12"}), tmp_path) as target:
        for raised in (await failure(target), await asyncio.to_thread(blocking_failure, target)):
            told = from_rpc_error(raised)
            assert (told.reason, told.fields) == (Reason.OFF_GRID, (fault,))
            assert SECRET not in told.detail
            assert metadata_of(raised) == {"request_id": "sha256:12"}


async def test_a_thousand_faults_fit_the_metadata_everyone_takes(tmp_path: Path) -> None:
    faults = [FieldFault("f" * 1000, "é" * 1000) for _ in range(1000)]
    error = SafeRoomError(Reason.MALFORMED, "", faults)
    async with serving(refusing(error, {}), tmp_path) as target:
        told = from_rpc_error(await failure(target))
    assert told.reason is Reason.MALFORMED
    assert 0 < len(told.fields) < len(faults)


async def test_an_unknown_reason_counts_as_a_failure_of_the_room(tmp_path: Path) -> None:
    status = status_pb2.Status(code=3, message="x")
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason="NEWER", domain="saferoom"))

    async def handler(_: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        details = ((DETAILS_KEY, status.SerializeToString()),)
        await context.abort(grpc.StatusCode.ABORTED, "x", details)

    async with serving(handler, tmp_path) as target:
        told = from_rpc_error(await failure(target))
    assert told.reason is Reason.INTERNAL
    assert "NEWER" in told.detail


@pytest.mark.parametrize("details", [b"\xff\xff", status_pb2.Status(code=3).SerializeToString()])
async def test_details_that_are_not_ours_leave_the_status_to_speak(
    tmp_path: Path, details: bytes
) -> None:
    async def handler(_: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        await context.abort(grpc.StatusCode.UNAVAILABLE, "gone", ((DETAILS_KEY, details),))

    async with serving(handler, tmp_path) as target:
        raised = await failure(target)
    assert from_rpc_error(raised).reason is Reason.UNAVAILABLE
    assert metadata_of(raised) == {}


def test_a_server_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    raised = blocking_failure(f"unix:{tmp_path / 'nobody'}")
    assert from_rpc_error(raised).reason is Reason.UNAVAILABLE


@pytest.mark.parametrize(
    ("status", "text"),
    [
        # What gRPC says of a killed server: "(Unwrap failed (TSI_DATA_CORRUPTED))".
        (grpc.StatusCode.UNKNOWN, "Stream removed"),
        # And of a stream that was ended while this side wrote into it.
        (grpc.StatusCode.INTERNAL, "Internal error from Core"),
    ],
)
async def test_a_connection_that_breaks_in_the_middle_is_unavailable(
    tmp_path: Path, status: grpc.StatusCode, text: str
) -> None:
    async def handler(_: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        await context.abort(status, text)

    async with serving(handler, tmp_path) as target:
        raised = await failure(target)
    assert from_rpc_error(raised).reason is Reason.UNAVAILABLE


def test_an_error_without_a_status_is_a_failure() -> None:
    assert from_rpc_error(grpc.RpcError()).reason is Reason.INTERNAL
    assert metadata_of(grpc.RpcError()) == {}
