"""Health and reflection, as gRPC's own tools ask for them.

The empty service is the room, and so is each of its services by its full name, as
`saferoom.v1.CheckService`; `enclave/OWNER` is an owner's enclave, which serves once it has its key
and follows its stream. Reflection is served under its name of today and the one of before.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Callable
from typing import Final, Protocol, cast

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2

from saferoom.place import LinkState
from saferoom_proto.v1 import (
    batch_pb2,
    check_pb2,
    consent_pb2,
    federation_pb2,
    identity_pb2,
    job_pb2,
    ledger_pb2,
    owner_pb2,
    relay_pb2,
    subject_pb2,
    table_pb2,
    template_pb2,
    use_pb2,
)

SERVICES: Final = tuple(
    service.full_name
    for file in (
        identity_pb2.DESCRIPTOR,
        owner_pb2.DESCRIPTOR,
        template_pb2.DESCRIPTOR,
        consent_pb2.DESCRIPTOR,
        subject_pb2.DESCRIPTOR,
        check_pb2.DESCRIPTOR,
        batch_pb2.DESCRIPTOR,
        job_pb2.DESCRIPTOR,
        table_pb2.DESCRIPTOR,
        federation_pb2.DESCRIPTOR,
        use_pb2.DESCRIPTOR,
        ledger_pb2.DESCRIPTOR,
        relay_pb2.DESCRIPTOR,
    )
    for service in file.services_by_name.values()
)
"""The services of the contract that members call."""
REFLECTION: Final = "grpc.reflection.v1.ServerReflection"


class _Servicer(Protocol):
    """What gRPC's health servicer can do; its package has no types."""

    async def set(self, service: str, status: health_pb2.HealthCheckResponse.ServingStatus) -> None:
        """Set a service's status."""
        ...

    async def enter_graceful_shutdown(self) -> None:
        """Set every status to not serving, for good."""
        ...


_Reflecting = Callable[
    [AsyncIterable[reflection_pb2.ServerReflectionRequest], object],
    AsyncIterable[reflection_pb2.ServerReflectionResponse],
]
"""What the reflection servicer's one method takes and gives."""


class Health:
    """Tells how the room and its enclaves do."""

    def __init__(self) -> None:
        made = health.aio.HealthServicer()  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType, reportAttributeAccessIssue]
        self._servicer: Final = cast("_Servicer", made)
        self._setting: Final[set[asyncio.Task[None]]] = set()

    def serve(self, server: grpc.aio.Server) -> None:
        """Add the health service to a server."""
        health_pb2_grpc.add_HealthServicer_to_server(self._servicer, server)  # pyright: ignore[reportUnknownMemberType]
        for service in SERVICES:
            self._set(service, serves=True)

    def enclave_changed(self, owner: str, state: LinkState) -> None:
        """Tell an enclave's new state."""
        self._set(f"enclave/{owner}", serves=state is LinkState.SERVING)

    async def close(self) -> None:
        """Tell everyone that the room closes."""
        await self._servicer.enter_graceful_shutdown()

    def _set(self, service: str, *, serves: bool) -> None:
        told = health_pb2.HealthCheckResponse
        status = told.SERVING if serves else told.NOT_SERVING
        setting = asyncio.create_task(self._servicer.set(service, status))
        self._setting.add(setting)
        setting.add_done_callback(self._setting.discard)


def serve_reflection(server: grpc.aio.Server) -> None:
    """Let generic tools list the services that members call."""
    names = (*SERVICES, health.SERVICE_NAME)
    # The package serves v1alpha only. v1 has the same messages under another name (gRPC's own
    # proto says so), and it is what tools ask for first.
    servicer = reflection.aio.ReflectionServicer(names)
    info = grpc.stream_stream_rpc_method_handler(
        cast("_Reflecting", servicer.ServerReflectionInfo),
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    handlers = {"ServerReflectionInfo": info}
    server.add_generic_rpc_handlers(
        [
            grpc.method_handlers_generic_handler(name, handlers)
            for name in (REFLECTION, reflection.SERVICE_NAME)
        ]
    )
