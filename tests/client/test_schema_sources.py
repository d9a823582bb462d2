"""An owner's client signs no tables that change a source under its name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from saferoom_client.aio import AsyncRoom
from saferoom_client.issuer import Issuer
from saferoom_client.profile import Member
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Source
from saferoom_proto.v1 import owner_pb2
from saferoom_proto.wire import envelope_to_proto
from simulator.fetching import SOURCE, arrears_schema
from tests.client import fakeroom
from tests.client.fakeroom import Context, Said, serving
from tests.client.made import make_profile


async def get_schema(
    said: Said, request: owner_pb2.GetSchemaRequest, context: Context
) -> owner_pb2.GetSchemaResponse:
    del request, context
    newest = said.case.world.owner("tax").publish_schema(arrears_schema())
    return owner_pb2.GetSchemaResponse(schema=envelope_to_proto(newest))


async def test_tables_that_change_a_source_are_not_signed(
    said: Said, issuer: Issuer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(
        fakeroom.CALLS, "OwnerService/GetSchema", (get_schema, owner_pb2.GetSchemaRequest)
    )
    *others, asked = arrears_schema(version=2).tables
    longer = asked.model_copy(update={"source": Source(name=SOURCE.name, days=8)})
    changed = arrears_schema(version=2).model_copy(update={"tables": (*others, longer)})
    async with serving(said, issuer) as card:
        bank = make_profile(tmp_path / "tax", said.case, issuer, card)
        approver = replace(bank, member=Member(organisation="tax", name="chen"))
        async with AsyncRoom(approver, clock=said.case.world.now) as room:
            with pytest.raises(SafeRoomError, match="other tables or days") as refused:
                await room.put_schema(changed)
    assert refused.value.reason is Reason.CONFLICT
    assert "GetSchema" in said.calls
    assert "PutSchema" not in said.calls
