"""LedgerService: checkpoints, proofs, and openings for those who may see them."""

# ruff: noqa: ARG002, N802 - the names and signatures are the contract's

from __future__ import annotations

import asyncio
from typing import Final

from saferoom import wire
from saferoom.concern import Concerns
from saferoom.evidence import Role
from saferoom.identity import current_caller
from saferoom.ledger.ledger import Ledger
from saferoom_proto.v1 import ledger_pb2, ledger_pb2_grpc


class LedgerService(ledger_pb2_grpc.LedgerServiceServicer):
    """Shows the log to everyone, and what its entries are to those they concern."""

    def __init__(self, ledger: Ledger, concerns: Concerns) -> None:
        self._ledger: Final = ledger
        self._concerns: Final = concerns

    async def GetCheckpoint(
        self, request: ledger_pb2.GetCheckpointRequest, context: object
    ) -> ledger_pb2.GetCheckpointResponse:
        """Give the newest checkpoint."""
        return ledger_pb2.GetCheckpointResponse(checkpoint=self._ledger.checkpoint())

    async def GetConsistency(
        self, request: ledger_pb2.GetConsistencyRequest, context: object
    ) -> ledger_pb2.GetConsistencyResponse:
        """Prove that the log only grew."""
        hashes = await asyncio.to_thread(self._ledger.consistency, request.size1, request.size2)
        return ledger_pb2.GetConsistencyResponse(hashes=hashes)

    async def GetStatement(
        self, request: ledger_pb2.GetStatementRequest, context: object
    ) -> ledger_pb2.GetStatementResponse:
        """Give a statement to those it concerns."""
        recorded = await self._concerns.statement(current_caller(), request.digest)
        return ledger_pb2.GetStatementResponse(recorded=wire.recorded(recorded))

    async def ListEntries(
        self, request: ledger_pb2.ListEntriesRequest, context: object
    ) -> ledger_pb2.ListEntriesResponse:
        """Give entries in order: leaves to everyone, what opens them to auditors."""
        opened = Role.AUDITOR in current_caller().roles
        entries = await asyncio.to_thread(self._ledger.entries, request.start, request.limit)
        return ledger_pb2.ListEntriesResponse(
            entries=[wire.entry(each, opened=opened) for each in entries]
        )
