"""UseService: what was asked, shown to those it concerns."""

# ruff: noqa: ARG002, N802 - the names and signatures are the contract's

from __future__ import annotations

from typing import Final

from saferoom import wire
from saferoom.archive import NEWEST, Archive
from saferoom.identity import current_caller
from saferoom.notary import Notary
from saferoom_proto.v1 import use_pb2, use_pb2_grpc

PAGE: Final = 200
"""Uses in one answer at most: about 8 KiB each."""


class UseService(use_pb2_grpc.UseServiceServicer):
    """Lists uses."""

    def __init__(self, archive: Archive, notary: Notary) -> None:
        self._archive: Final = archive
        self._notary: Final = notary

    async def ListUses(
        self, request: use_pb2.ListUsesRequest, context: object
    ) -> use_pb2.ListUsesResponse:
        """List the uses that concern the caller: a subject, or an owner."""
        before = min(request.before or NEWEST, NEWEST)
        most = min(request.limit, PAGE)
        found = await self._archive.uses(current_caller().organisation, before, most)
        more = len(found) == most
        return use_pb2.ListUsesResponse(
            uses=[wire.use(self._notary.prove(each.word, None), each.request) for each in found],
            next=found[-1].word.position.index if more else 0,
        )
