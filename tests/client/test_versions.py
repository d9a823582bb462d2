"""Versions of a store as the room lists them: none left out, each by an approver's order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from saferoom_client.aio import AsyncRoom
from saferoom_proto.dsse import Envelope
from saferoom_proto.keys import SigningKey
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.rollback import RollbackOrder
from saferoom_proto.statements import Snapshot, StoreState, seal_statement
from saferoom_proto.v1 import owner_pb2
from saferoom_proto.wire import envelope_to_proto, recorded_to_proto
from tests.client import fakeroom
from tests.client.fakeroom import Said
from tests.client.test_loading import Loads, loads, room

__all__ = ["loads", "room"]


@dataclass(slots=True)
class History:
    """Snapshots that follow each other, as an enclave made them by an approver's orders."""

    loads: Loads
    listed: list[owner_pb2.StoreVersion] = field(default_factory=list[owner_pb2.StoreVersion])

    def add(self, epoch: int, key: SigningKey | None = None, **changes: object) -> Snapshot:
        """Make the next one; fields of its order can be changed by name."""
        enclave = self.loads.enclave
        now = enclave.world.now()
        before = None if epoch == 1 else store(epoch - 1)
        fields: dict[str, object] = {
            "room": enclave.world.room,
            "owner": "tax",
            "approver": "chen",
            "to": store(1).digest,
            "follows": "sha256:" + "0" * 64 if before is None else before.digest,
            "why": "a wrong load",
            "at": now,
        }
        order = seal_statement(
            RollbackOrder.model_validate(fields | changes),
            key or enclave.owner.approvers["chen"],
        )
        snapshot = self.loads.sign(store=store(epoch), previous=before, order=order.digest)
        statement = seal_statement(snapshot, enclave.identity)
        self.loads.snapshot = statement
        self.list(statement, order)
        return snapshot

    def list(self, statement: Envelope, order: Envelope) -> None:
        ledger = self.loads.enclave.world.ledger
        ledger.record(statement)
        self.listed.append(
            owner_pb2.StoreVersion(
                snapshot=recorded_to_proto(ledger.recorded(statement)),
                order=envelope_to_proto(order),
            )
        )


def store(epoch: int) -> StoreState:
    return StoreState(epoch=epoch, digest="sha256:" + str(epoch) * 64)


@pytest.fixture
def history(loads: Loads, monkeypatch: pytest.MonkeyPatch) -> History:
    """Give a room that lists four versions of the store."""
    made = History(loads)

    async def list_snapshots(
        said: Said, request: owner_pb2.ListSnapshotsRequest, context: object
    ) -> owner_pb2.ListSnapshotsResponse:
        return owner_pb2.ListSnapshotsResponse(versions=made.listed)

    call = (list_snapshots, owner_pb2.ListSnapshotsRequest)
    monkeypatch.setitem(fakeroom.CALLS, "OwnerService/ListSnapshots", call)
    for epoch in (2, 3, 4, 5, 6):
        made.add(epoch)
    return made


async def refused(room: AsyncRoom) -> Reason:
    with pytest.raises(SafeRoomError) as error:
        await room.list_versions()
    return error.value.reason


def without(listed: Sequence[owner_pb2.StoreVersion], place: int) -> list[owner_pb2.StoreVersion]:
    return [each for at, each in enumerate(listed) if at != place]


async def test_versions_are_told_with_who_ordered_them_and_which_are_kept(
    history: History, room: AsyncRoom
) -> None:
    versions = await room.list_versions()
    assert [each.snapshot.store.epoch for each in versions] == [2, 3, 4, 5, 6]
    assert [each.kept for each in versions] == [False, True, True, True, True]
    assert [each.in_use for each in versions] == [False] * 4 + [True]
    assert {each.approver for each in versions} == {"chen"}


async def test_a_version_that_is_left_out_is_noticed(history: History, room: AsyncRoom) -> None:
    whole = list(history.listed)
    for place in (1, 2, 3, 4):
        history.listed[:] = without(whole, place)
        assert await refused(room) is Reason.BAD_PROOF
    history.listed[:] = [*whole, whole[-1]]
    assert await refused(room) is Reason.BAD_PROOF


async def test_a_version_by_no_approver_s_order_is_noticed(
    history: History, room: AsyncRoom
) -> None:
    history.add(7, key=SigningKey.from_seed(bytes(32)))
    assert await refused(room) is Reason.BAD_SIGNATURE


async def test_an_order_for_another_place_is_noticed(history: History, room: AsyncRoom) -> None:
    history.add(7, follows=store(5).digest)
    assert await refused(room) is Reason.BAD_PROOF


async def test_an_order_that_the_snapshot_does_not_name_is_noticed(
    history: History, room: AsyncRoom
) -> None:
    history.listed[-1].order.CopyFrom(history.listed[0].order)
    assert await refused(room) is Reason.BAD_PROOF
