"""Health and reflection, as gRPC's own tools ask for them.

The empty service is the room; `enclave/OWNER` is an owner's enclave, which serves once it has its
key and follows its stream.
"""

from __future__ import annotations

import asyncio
from typing import Final, Protocol, cast

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from saferoom.place import LinkState
from saferoom_proto.v1 import (
    check_pb2,
    consent_pb2,
    identity_pb2,
    ledger_pb2,
    owner_pb2,
    relay_pb2,
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
        check_pb2.DESCRIPTOR,
        use_pb2.DESCRIPTOR,
        ledger_pb2.DESCRIPTOR,
        relay_pb2.DESCRIPTOR,
    )
    for service in file.services_by_name.values()
)
"""The services of the contract that members call."""


class _Servicer(Protocol):
    """What gRPC's health servicer can do; its package has no types."""

    async def set(self, service: str, status: health_pb2.HealthCheckResponse.ServingStatus) -> None:
        """Set a service's status."""
        ...

    async def enter_graceful_shutdown(self) -> None:
        """Set every status to not serving, for good."""
        ...


class Health:
    """Tells how the room and its enclaves do."""

    def __init__(self) -> None:
        made = health.aio.HealthServicer()  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType, reportAttributeAccessIssue]
        self._servicer: Final = cast("_Servicer", made)
        self._setting: Final[set[asyncio.Task[None]]] = set()

    def serve(self, server: grpc.aio.Server) -> None:
        """Add the health service to a server."""
        health_pb2_grpc.add_HealthServicer_to_server(self._servicer, server)  # pyright: ignore[reportUnknownMemberType]

    def enclave_changed(self, owner: str, state: LinkState) -> None:
        """Tell an enclave's new state."""
        serves = state is LinkState.SERVING
        status = (
            health_pb2.HealthCheckResponse.SERVING
            if serves
            else health_pb2.HealthCheckResponse.NOT_SERVING
        )
        setting = asyncio.create_task(self._servicer.set(f"enclave/{owner}", status))
        self._setting.add(setting)
        setting.add_done_callback(self._setting.discard)

    async def close(self) -> None:
        """Tell everyone that the room closes."""
        await self._servicer.enter_graceful_shutdown()


def serve_reflection(server: grpc.aio.Server) -> None:
    """Let generic tools list the services that members call."""
    names = (*SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME)
    reflection.enable_server_reflection(names, server)
