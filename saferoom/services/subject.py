"""SubjectService: what subjects may ask of owners."""

# ruff: noqa: ARG002, N802 - the names and signatures are the contract's

from __future__ import annotations

from typing import Final

from saferoom import wire
from saferoom.disputes import Disputes
from saferoom.holdings import Holdings
from saferoom.identity import current_caller
from saferoom_proto.v1 import subject_pb2, subject_pb2_grpc


class SubjectService(subject_pb2_grpc.SubjectServiceServicer):
    """Shows subjects what is held about them, and takes their disputes and the answers to them."""

    def __init__(self, holdings: Holdings, disputes: Disputes) -> None:
        self._holdings: Final = holdings
        self._disputes: Final = disputes

    async def GetHoldings(
        self, request: subject_pb2.GetHoldingsRequest, context: object
    ) -> subject_pb2.GetHoldingsResponse:
        """Have one owner's enclave show the caller what it holds about it."""
        asked = wire.envelope(request.request)
        disclosure, sealed = await self._holdings.show(current_caller(), asked)
        return subject_pb2.GetHoldingsResponse(disclosure=wire.recorded(disclosure), sealed=sealed)

    async def OpenDispute(
        self, request: subject_pb2.OpenDisputeRequest, context: object
    ) -> subject_pb2.OpenDisputeResponse:
        """Record a dispute."""
        recorded = await self._disputes.open(current_caller(), wire.envelope(request.dispute))
        return subject_pb2.OpenDisputeResponse(recorded=wire.recorded(recorded))

    async def AnswerDispute(
        self, request: subject_pb2.AnswerDisputeRequest, context: object
    ) -> subject_pb2.AnswerDisputeResponse:
        """Record an owner's answer to a dispute."""
        recorded = await self._disputes.answer(current_caller(), wire.envelope(request.answer))
        return subject_pb2.AnswerDisputeResponse(recorded=wire.recorded(recorded))

    async def WithdrawDispute(
        self, request: subject_pb2.WithdrawDisputeRequest, context: object
    ) -> subject_pb2.WithdrawDisputeResponse:
        """Record that a subject takes a dispute back."""
        withdrawal = wire.envelope(request.withdrawal)
        recorded = await self._disputes.withdraw(current_caller(), withdrawal)
        return subject_pb2.WithdrawDisputeResponse(recorded=wire.recorded(recorded))

    async def ListDisputes(
        self, request: subject_pb2.ListDisputesRequest, context: object
    ) -> subject_pb2.ListDisputesResponse:
        """List what was said of a subject's own disputes, or of those made to an owner."""
        page = await self._disputes.listed(current_caller(), request.before)
        return subject_pb2.ListDisputesResponse(
            disputes=[wire.recorded(each) for each in page.listed], next=page.next
        )
