"""What approvers say about an older copy of their enclave, as the room takes it in."""

from __future__ import annotations

from datetime import timedelta

import grpc
import pytest

from saferoom_proto import chain
from saferoom_proto.reasons import Reason
from saferoom_proto.rpc_errors import from_rpc_error
from saferoom_proto.statements import ChainLink
from saferoom_proto.v1 import owner_pb2
from saferoom_proto.wire import envelope_to_proto
from tests.server.conftest import Ready
from tests.server.room.opened import SECONDS

FOUND = ChainLink(index=0, previous=chain.GENESIS)
FOLLOWS = ChainLink(index=9, previous="sha256:" + "a" * 64)


async def test_one_that_is_dated_ahead_stops_no_decision_of_the_others(ready: Ready) -> None:
    """An enclave goes by a decision from its last word's date on: a far one would stop it."""
    now, tax = ready.sample.world.now(), ready.sample.tax
    owner = ready.room.calls("tax", "li").owner
    for ahead, taken in ((timedelta(minutes=6), False), (timedelta(minutes=4), True)):
        said = tax.recovery(FOUND, FOLLOWS, approver="li", at=now + ahead)
        ask = owner_pb2.RecoverEnclaveRequest(recovery=envelope_to_proto(said))
        if taken:
            assert (await owner.RecoverEnclave(ask, timeout=SECONDS)).HasField("recorded")
            continue
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await owner.RecoverEnclave(ask, timeout=SECONDS)
        assert from_rpc_error(refused.value).reason is Reason.NOT_YET_VALID
