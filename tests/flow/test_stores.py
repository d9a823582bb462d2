"""How far the plan is carried out, as the operator is told: each enclave's last word, verified."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import cast

import pytest

from saferoom_client import AsyncRoom, Refused
from saferoom_client.stores import StoresHeld
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.v1 import owner_pb2
from tests.flow.live import LiveRoom
from tests.flow.test_reports import typed

OPERATOR = ("operator", "desk")


def test_the_operator_is_told_what_the_whole_log_tells_an_auditor(live: LiveRoom) -> None:
    with live.open("auditor", "desk") as room:
        audited = {each.snapshot.owner: each for each in room.audit_log().stores}
        told = room.list_stores()
    assert {each.snapshot.owner: each for each in told.stores} == audited
    assert {"court", "tax"} <= audited.keys()
    told = json.loads(typed(live, OPERATOR, "audit", "plan", "--json"))
    assert (len(told["types"]), told["whole_log"], told["violations"]) == (48, False, None)


def test_who_is_neither_operator_nor_auditor_is_told_nothing(live: LiveRoom) -> None:
    for member in (("bank-a", "desk"), ("court", "li")):
        with live.open(*member) as room, pytest.raises(Refused) as refused:
            room.list_stores()
        assert refused.value.reason is Reason.NOT_ALLOWED


Lie = Callable[[owner_pb2.ListStoresResponse], None]


def told_by(live: LiveRoom, lie: Lie, monkeypatch: pytest.MonkeyPatch) -> StoresHeld:
    """Give what an auditor makes of a room that lies."""

    async def asked() -> StoresHeld:
        async with AsyncRoom.open(live.member("auditor", "desk")) as room:
            told = await room.call(room.owners.ListStores, owner_pb2.ListStoresRequest())
            lie(told)
            honest = room.call

            async def call(method: object, *rest: object) -> object:
                if isinstance(rest[0], owner_pb2.ListStoresRequest):
                    return told
                return cast("object", await honest(method, *rest))  # pyright: ignore[reportArgumentType] - as it came

            with monkeypatch.context() as patched:
                patched.setattr(room, "call", call)
                return await room.list_stores()

    return asyncio.run(asked())


def twice(told: owner_pb2.ListStoresResponse) -> None:
    told.stores.append(told.stores[0])


def anothers_schema(told: owner_pb2.ListStoresResponse) -> None:
    told.stores[0].schema.CopyFrom(told.stores[1].schema)


def more_rows(told: owner_pb2.ListStoresResponse) -> None:
    statement = told.stores[0].snapshot.statement
    statement.payload = statement.payload.replace(b'"cases":', b'"cases":9')


@pytest.mark.parametrize("lie", [twice, anothers_schema, more_rows])
def test_a_room_that_lies_about_stores_is_not_believed(
    live: LiveRoom, lie: Lie, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SafeRoomError) as caught:
        told_by(live, lie, monkeypatch)
    assert caught.value.reason in {Reason.BAD_PROOF, Reason.BAD_SIGNATURE}
