"""A bare grpc.aio echo over mutual TLS: the floor beside which a check is measured.

Run by `benchmarks.checks`; as a program it serves until its standard input closes.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import cast

import grpc
import uvloop
from grpc import aio

METHOD = "/saferoom.benchmark/Echo"


class _Echo(grpc.GenericRpcHandler):
    """Answers any call with as many bytes as its first four say."""

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[bytes, bytes]:
        del handler_call_details
        return grpc.unary_unary_rpc_method_handler(_answer)


async def _answer(request: bytes, context: object) -> bytes:
    del context
    return bytes(int.from_bytes(request[:4], "big"))


async def serve(folder: Path) -> None:
    """Serve on a free port, print it, and stop when standard input closes."""
    server = aio.server()
    server.add_generic_rpc_handlers((_Echo(),))
    key, certificate, roots = (
        (folder / name).read_bytes() for name in ("server.key", "server.pem", "client-roots.pem")
    )
    credentials = grpc.ssl_server_credentials([(key, certificate)], roots, require_client_auth=True)
    port = server.add_secure_port("localhost:0", credentials)
    await server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    await server.stop(0)


def caller(channel: aio.Channel, sent: int, received: int) -> Callable[[], Awaitable[bytes]]:
    """Give a call of the echo with messages of these sizes, in bytes."""
    method = cast("aio.UnaryUnaryMultiCallable[bytes, bytes]", channel.unary_unary(METHOD))
    message = received.to_bytes(4, "big") + bytes(max(0, sent - 4))

    async def call() -> bytes:
        return await method(message)

    return call


if __name__ == "__main__":
    uvloop.run(serve(Path(sys.argv[1])))
