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
from saferoom.rounds import Cosignature, Rounds
from saferoom_proto.cosignature import CosignerKey
from saferoom_proto.v1 import ledger_pb2, ledger_pb2_grpc


class LedgerService(ledger_pb2_grpc.LedgerServiceServicer):
    """Shows the log to everyone, and what its entries are to those they concern."""

    def __init__(self, ledger: Ledger, concerns: Concerns, rounds: Rounds) -> None:
        self._ledger: Final = ledger
        self._concerns: Final = concerns
        self._rounds: Final = rounds

    async def GetCheckpoint(
        self, request: ledger_pb2.GetCheckpointRequest, context: object
    ) -> ledger_pb2.GetCheckpointResponse:
        """Give the newest checkpoint, and what witnesses have cosigned and should."""
        return ledger_pb2.GetCheckpointResponse(
            checkpoint=self._ledger.checkpoint(),
            to_cosign=self._rounds.to_cosign(),
            cosigned=self._rounds.notes(),
        )

    async def GetConsistency(
        self, request: ledger_pb2.GetConsistencyRequest, context: object
    ) -> ledger_pb2.GetConsistencyResponse:
        """Prove that the log only grew."""
        hashes = await asyncio.to_thread(self._ledger.consistency, request.size1, request.size2)
        return ledger_pb2.GetConsistencyResponse(hashes=hashes)

    async def GetInclusion(
        self, request: ledger_pb2.GetInclusionRequest, context: object
    ) -> ledger_pb2.GetInclusionResponse:
        """Prove that the log holds an entry."""
        hashes = await asyncio.to_thread(self._ledger.proof, request.index, request.size)
        return ledger_pb2.GetInclusionResponse(hashes=hashes)

    async def AddCosignature(
        self, request: ledger_pb2.AddCosignatureRequest, context: object
    ) -> ledger_pb2.AddCosignatureResponse:
        """Take a witness's cosignature."""
        word = Cosignature(CosignerKey.parse(request.key), request.line)
        await self._rounds.add(current_caller().organisation, request.size, word)
        return ledger_pb2.AddCosignatureResponse()

    async def GetStatement(
        self, request: ledger_pb2.GetStatementRequest, context: object
    ) -> ledger_pb2.GetStatementResponse:
        """Give a statement to those it concerns."""
        recorded = await self._concerns.statement(current_caller(), request.digest)
        return ledger_pb2.GetStatementResponse(recorded=wire.recorded(recorded))

    async def GetProof(
        self, request: ledger_pb2.GetProofRequest, context: object
    ) -> ledger_pb2.GetProofResponse:
        """Prove an entry to whoever can open it."""
        proof = await self._concerns.proof(request.digest, request.salt)
        return ledger_pb2.GetProofResponse(proof=proof)

    async def ListEntries(
        self, request: ledger_pb2.ListEntriesRequest, context: object
    ) -> ledger_pb2.ListEntriesResponse:
        """Give entries in order: leaves to everyone, what opens them to auditors."""
        opened = Role.AUDITOR in current_caller().roles
        entries = await asyncio.to_thread(self._ledger.entries, request.start, request.limit)
        return ledger_pb2.ListEntriesResponse(
            entries=[wire.entry(each, opened=opened) for each in entries]
        )
