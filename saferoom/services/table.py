"""TableService: tables of everybody together."""

# ruff: noqa: ARG002, N802 - the names and signatures are the contract's
from __future__ import annotations

from typing import Final

from saferoom import wire
from saferoom.identity import current_caller
from saferoom.made import Made
from saferoom_proto.statements import TableRelease
from saferoom_proto.v1 import table_pb2, table_pb2_grpc


class TableService(table_pb2_grpc.TableServiceServicer):
    """Answers requests for tables."""

    def __init__(self, tables: Made[TableRelease]) -> None:
        self._tables: Final = tables

    async def MakeTables(
        self, request: table_pb2.MakeTablesRequest, context: object
    ) -> table_pb2.MakeTablesResponse:
        """Ask."""
        asked = wire.envelope(request.request)
        told = await self._tables.make(current_caller(), asked, request.owner)
        release = wire.recorded(told.of_one)
        return table_pb2.MakeTablesResponse(release=release, sealed=told.sealed)
