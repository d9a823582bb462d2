"""FederationService: federated training."""

# ruff: noqa: ARG002, N802 - the names and signatures are the contract's
from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Final, cast

from saferoom import wire
from saferoom.federations.desk import Federations, Piece
from saferoom.identity import current_caller
from saferoom_proto.statements import FederationEnd, FederationJoin, FederationResult
from saferoom_proto.v1 import federation_pb2, federation_pb2_grpc


class FederationService(federation_pb2_grpc.FederationServiceServicer):
    """Records what banks say of federations, tells of them, and carries messages."""

    def __init__(self, federations: Federations) -> None:
        self._federations: Final = federations

    async def ProposeFederation(
        self, request: federation_pb2.ProposeFederationRequest, context: object
    ) -> federation_pb2.ProposeFederationResponse:
        """Record a proposal."""
        proposal = wire.envelope(request.proposal)
        recorded = await self._federations.propose(current_caller(), proposal)
        return federation_pb2.ProposeFederationResponse(recorded=wire.recorded(recorded))

    async def JoinFederation(
        self, request: federation_pb2.JoinFederationRequest, context: object
    ) -> federation_pb2.JoinFederationResponse:
        """Record that a bank takes part."""
        join = wire.envelope(request.join)
        recorded = await self._federations.say(current_caller(), join, FederationJoin)
        return federation_pb2.JoinFederationResponse(recorded=wire.recorded(recorded))

    async def EndFederation(
        self, request: federation_pb2.EndFederationRequest, context: object
    ) -> federation_pb2.EndFederationResponse:
        """Record that a bank takes part no longer."""
        end = wire.envelope(request.end)
        recorded = await self._federations.say(current_caller(), end, FederationEnd)
        return federation_pb2.EndFederationResponse(recorded=wire.recorded(recorded))

    async def ReportFederation(
        self, request: federation_pb2.ReportFederationRequest, context: object
    ) -> federation_pb2.ReportFederationResponse:
        """Record what a bank trained."""
        result = wire.envelope(request.result)
        recorded = await self._federations.say(current_caller(), result, FederationResult)
        return federation_pb2.ReportFederationResponse(recorded=wire.recorded(recorded))

    async def GetFederation(
        self, request: federation_pb2.GetFederationRequest, context: object
    ) -> federation_pb2.GetFederationResponse:
        """Tell of one federation."""
        found = await self._federations.get(current_caller(), request.federation)
        told = federation_pb2.GetFederationResponse(
            proposal=wire.recorded(found.proposal),
            words=[wire.recorded(word) for word in found.words],
        )
        if found.progress is not None:
            told.progress.CopyFrom(
                federation_pb2.FederationProgress(
                    began=True,
                    rounds=found.progress.rounds,
                    missing=found.progress.missing,
                    over=found.progress.over,
                    ended=found.progress.ended,
                )
            )
        return told

    async def ListFederations(
        self, request: federation_pb2.ListFederationsRequest, context: object
    ) -> federation_pb2.ListFederationsResponse:
        """List federations that name the caller's institution."""
        page = await self._federations.listed(current_caller(), request.before)
        return federation_pb2.ListFederationsResponse(
            proposals=[wire.recorded(each) for each in page.listed], next=page.next
        )

    async def TrainFederation(
        self, request_iterator: object, context: object
    ) -> AsyncIterator[federation_pb2.TrainFederationResponse]:
        """Carry messages."""
        # An asyncio server gives an asyncio iterator.
        pieces = cast("AsyncIterator[Piece]", request_iterator)
        async with aclosing(self._federations.train(current_caller(), pieces)) as told:
            async for each in told:
                yield each
