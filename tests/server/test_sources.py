"""The room takes no template that would ask a source about many subjects at once."""

from __future__ import annotations

from saferoom_proto.reasons import Reason
from saferoom_proto.statements import FeatureKind, Source
from saferoom_proto.v1 import template_pb2
from saferoom_proto.wire import envelope_to_proto
from simulator.sample import feature
from simulator.tabled import plan
from tests.server.conftest import Ready
from tests.server.room.opened import SECONDS
from tests.server.test_statements import reason_of


async def test_tables_over_a_source_are_neither_proposed_nor_approved(ready: Ready) -> None:
    """Not even those from before, when the owner held the records itself."""
    said, room = ready.sample, ready.room
    proposed, another = (said.bank.tables(name, plan("arrears")) for name in ("late", "later"))
    room.told.add(another[0].digest)
    await room.tell_all()
    owes, source = "SELECT uscc AS subject, owes AS value FROM gateway", Source(name="x", days=7)
    said.tax.define(feature("tax", "arrears", owes, FeatureKind.FLAG, version=2, source=source))
    await room.tell_all()
    assert await reason_of(room.propose("bank-a", *another)) is Reason.NOT_ALLOWED
    approval = said.tax.approval(proposed[0], proposed[1].digest, "wang")
    request = template_pb2.ApproveRequest(approval=envelope_to_proto(approval))
    call = room.calls("tax").template.Approve(request, timeout=SECONDS)
    assert await reason_of(call) is Reason.NOT_ALLOWED
