"""A load's order: after the snapshot in use, newer than the last one, and named by the next."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from saferoom_proto.load import LoadHeader, LoadSealer, LoadTable
from saferoom_proto.load_order import LoadOrder
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Snapshot, load
from simulator import EnclaveHarness, Sample, tax_csv

KEY = bytes(range(32))


class Ready:
    """A load that wants only its order."""

    def __init__(self, enclave: EnclaveHarness, room: Sample) -> None:
        data = tax_csv(room.world)
        self.enclave, self.room = enclave, room
        schema = enclave.newest_schema()
        self.header = LoadHeader("tax", schema, (LoadTable.of("firms", len(data)),))
        self.pieces = list(LoadSealer(self.header.digest, KEY).table(0, data))

    def take(self, **order: object) -> Snapshot:
        """Have it loaded; fields of its order can be changed by name."""
        sealed = self.enclave.order(self.header, KEY, **order)
        entry = self.enclave.load_pieces(self.header, sealed, self.pieces).snapshot
        assert entry is not None
        assert entry.order is not None
        snapshot = load(entry.statement, Snapshot)
        assert entry.order.digest == snapshot.order
        return snapshot

    def later(self) -> datetime:
        """Let a second pass."""
        self.room.world.clock.advance(1)
        return self.room.world.now()

    def refused(self, **order: object) -> Reason:
        with pytest.raises(SafeRoomError) as error:
            self.take(**order)
        return error.value.reason


@pytest.fixture
def ready(enclave: EnclaveHarness, room: Sample) -> Ready:
    return Ready(enclave, room)


def test_a_snapshot_names_the_one_before_and_who_ordered_it(ready: Ready) -> None:
    before = ready.enclave.enclave.store
    snapshot = ready.take()
    assert (snapshot.previous, snapshot.store) == (before, ready.enclave.enclave.store)
    entry = ready.enclave.enclave.outbox(0)[-1]
    assert entry.order is not None
    entry.order.verify([ready.room.tax.approvers["chen"].verify_key])
    order = load(entry.order, LoadOrder)
    assert before is not None
    assert (order.approver, order.follows) == ("chen", before.digest)


def test_a_killed_enclave_still_gives_back_the_order_of_a_snapshot_it_took(ready: Ready) -> None:
    snapshot = ready.take()
    ready.enclave.kill(follow=False)
    entry = ready.enclave.enclave.outbox(0)[-1]
    assert load(entry.statement, Snapshot) == snapshot
    assert entry.order is not None
    assert entry.order.digest == snapshot.order


def test_an_order_no_newer_than_the_last_is_refused_also_after_a_restart(ready: Ready) -> None:
    now = ready.later()
    ready.take(at=now)
    for at in (now, now - timedelta(milliseconds=1)):
        assert ready.refused(at=at) is Reason.CONFLICT
    ready.enclave.restart()
    assert ready.refused(at=now) is Reason.CONFLICT
    ready.take(at=now + timedelta(milliseconds=1))


def test_an_order_dated_ahead_locks_later_ones_out_for_five_minutes_at_most(ready: Ready) -> None:
    far = timedelta(minutes=5, milliseconds=100)
    assert ready.refused(at=ready.room.world.now() + far) is Reason.NOT_YET_VALID
    ahead = ready.room.world.now() + timedelta(minutes=5)
    ready.take(at=ahead)
    assert ready.refused() is Reason.CONFLICT
    ready.room.world.clock.advance(301)
    ready.enclave.follow()
    ready.take()


def test_two_orders_at_one_instant_after_one_snapshot_make_one_load(ready: Ready) -> None:
    now, in_use = ready.later(), ready.enclave.enclave.store
    assert in_use is not None
    first = ready.enclave.order(ready.header, KEY, at=now, follows=in_use.digest)
    second = ready.enclave.order(ready.header, KEY, at=now, follows=in_use.digest)
    outcomes: list[Reason | None] = []
    for order in (first, first, second, second):
        try:
            ready.enclave.load_pieces(ready.header, order, ready.pieces)
            outcomes.append(None)
        except SafeRoomError as error:
            outcomes.append(error.reason)
    assert outcomes == [None, *[Reason.CONFLICT] * 3]
