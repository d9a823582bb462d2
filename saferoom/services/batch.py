"""BatchService: signed questions about many subjects."""

# ruff: noqa: ARG002, N802 - the names and signatures are the contract's
from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Final, cast

from saferoom.batches import wire as batch_wire
from saferoom.batches.desk import Batches
from saferoom.batches.pieces import BatchPiece
from saferoom.identity import current_caller
from saferoom_proto.v1 import batch_pb2, batch_pb2_grpc


class BatchService(batch_pb2_grpc.BatchServiceServicer):
    """Answers batches."""

    def __init__(self, batches: Batches) -> None:
        self._batches: Final = batches

    async def CheckMany(
        self, request_iterator: object, context: object
    ) -> AsyncIterator[batch_pb2.CheckManyResponse]:
        """Ask."""
        # An asyncio server gives an asyncio iterator.
        pieces = cast("AsyncIterator[BatchPiece]", request_iterator)
        async with aclosing(self._batches.check_many(current_caller(), pieces)) as told:
            async for owner, piece in told:
                yield batch_wire.told(owner, piece)
