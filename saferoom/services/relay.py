"""RelayService: owners' relays, which connect the enclaves that their owners run."""

# ruff: noqa: ARG002, N802 - the names and signatures are the contract's

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from saferoom import relay_wire as wire
from saferoom.identity import current_caller
from saferoom.relays import REPLACED, Attendance, Orders, Relays
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.v1 import relay_pb2, relay_pb2_grpc

FIRST_SECONDS: Final = 10.0
"""The longest until a relay says what listens at it."""

Messages = AsyncIterator[relay_pb2.AttendRequest]


class RelayService(relay_pb2_grpc.RelayServiceServicer):
    """Lets relays attend, and carries what passes between room and enclave."""

    def __init__(self, orders: Orders, relays: Relays) -> None:
        self._orders: Final = orders
        self._relays: Final = relays

    async def Attend(
        self, request_iterator: Messages, context: object
    ) -> AsyncIterator[relay_pb2.AttendResponse]:
        """Carry one connection to the caller's own enclave."""
        # Step 1: whose. Nothing that the relay says can make it another owner's.
        caller = current_caller()
        order = self._orders.order(caller.organisation)
        # Step 2: what listens there, and what it is to be started with.
        messages = aiter(request_iterator)
        async with asyncio.timeout(FIRST_SECONDS):
            door = wire.said_door(await anext(messages, None))
        yield wire.enclave_order(order)
        # Step 3: one that was started otherwise is started anew first.
        if door is None or not order.fits(door):
            return
        # Step 4: the connection.
        with self._relays.attend(caller, door) as attendance:
            hearing = asyncio.create_task(_hear(messages, attendance))
            try:
                async for data in attendance.from_room():
                    yield relay_pb2.AttendResponse(carried=data)
            finally:
                hearing.cancel()
                await asyncio.gather(hearing, return_exceptions=True)
        if attendance.why == REPLACED:
            raise SafeRoomError(Reason.CONFLICT, REPLACED)


async def _hear(messages: Messages, attendance: Attendance) -> None:
    """Pass on what a relay sends until it ends or breaks off; then it leaves."""
    try:
        async for message in messages:
            await attendance.to_room(wire.carried(message))
    finally:
        attendance.leave("the relay ended its call")
