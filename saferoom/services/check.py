"""CheckService: signed questions."""

# ruff: noqa: ARG002, N802 - the names and signatures are the contract's
from __future__ import annotations

from typing import Final

from saferoom import wire
from saferoom.checks import Checks
from saferoom.consents import Consents
from saferoom.costs import Costs
from saferoom.identity import current_caller
from saferoom.made import Made
from saferoom_proto.statements import Release
from saferoom_proto.v1 import check_pb2, check_pb2_grpc


class CheckService(check_pb2_grpc.CheckServiceServicer):
    """Answers signed questions."""

    def __init__(
        self, checks: Checks, costs: Costs, consents: Consents, lists: Made[Release]
    ) -> None:
        self._checks: Final = checks
        self._costs: Final = costs
        self._consents: Final = consents
        self._lists: Final = lists

    async def Check(
        self, request: check_pb2.CheckRequest, context: object
    ) -> check_pb2.CheckResponse:
        """Ask."""
        asked = wire.envelope(request.request)
        words = await self._checks.check(current_caller(), asked)
        return wire.check_response(asked.digest, words, self._consents.of(words))

    async def GetCheck(
        self, request: check_pb2.GetCheckRequest, context: object
    ) -> check_pb2.GetCheckResponse:
        """Give an earlier request's recorded parts."""
        words = await self._checks.earlier(current_caller(), request.request_id)
        return check_pb2.GetCheckResponse(parts=wire.parts(words))

    async def Cost(self, request: check_pb2.CostRequest, context: object) -> check_pb2.CostResponse:
        """Tell what a check would cost."""
        asked = wire.envelope(request.request)
        words = await self._costs.cost(current_caller(), asked)
        return wire.cost_response(asked.digest, words)

    async def AskList(
        self, request: check_pb2.AskListRequest, context: object
    ) -> check_pb2.AskListResponse:
        """Give a page of a list."""
        asked = wire.envelope(request.request)
        told = await self._lists.make(current_caller(), asked)
        return check_pb2.AskListResponse(release=wire.recorded(told.of_one), sealed=told.sealed)
