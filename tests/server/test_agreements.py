"""Agreements: who makes one, what it ends, and which it may replace."""

from __future__ import annotations

from datetime import timedelta

from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import Reason
from saferoom_proto.statements import Agreement
from saferoom_proto.v1 import template_pb2
from saferoom_proto.wire import envelope_from_proto, envelope_to_proto
from simulator import SimBank
from tests.server.conftest import Ready
from tests.server.disputing import reason_of
from tests.server.room.opened import SECONDS


async def test_an_agreement_ends_and_questions_with_it(ready: Ready) -> None:
    said, room = ready.sample, ready.room
    listed = await room.calls("bank-a").template.ListAgreements(
        template_pb2.ListAgreementsRequest(), timeout=SECONDS
    )
    agreements = [envelope_from_proto(each) for each in listed.agreements]
    assert len(agreements) == 2
    own = next(each for each in agreements if b'"owner":"tax"' in each.payload)
    end = said.tax.end(own)
    await room.calls("tax").template.EndAgreement(
        template_pb2.EndAgreementRequest(end=envelope_to_proto(end)), timeout=SECONDS
    )
    assert await reason_of(room.ask("bank-a", ready.question())) is Reason.NO_AGREEMENT
    await room.ask("bank-b", ready.question(said.other_bank))


async def test_an_agreement_replaces_one_of_the_same_two_sides_and_no_other(ready: Ready) -> None:
    """Else an owner could have every enclave accused that answers under what it "replaced"."""
    room, said = ready.room, ready.sample
    template = room.calls("tax").template

    async def put(replaces: Envelope, bank: SimBank) -> None:
        made = said.tax.agreement(bank, replaces=replaces)
        request = template_pb2.PutAgreementRequest(agreement=envelope_to_proto(made))
        await template.PutAgreement(request, timeout=SECONDS)

    courts = next(
        each
        for each in said.world.streams["court"].statements
        if each.payload_type == Agreement.payload_type()
    )
    for replaces, bank in (
        (courts, said.bank),
        (said.agreement, said.other_bank),
        (said.tax.charters[0], said.bank),
    ):
        assert await reason_of(put(replaces, bank)) is Reason.UNKNOWN_STATEMENT
    await put(said.agreement, said.bank)


async def test_an_agreement_needs_both_sides_and_an_enrolled_institution(ready: Ready) -> None:
    said, room = ready.sample, ready.room
    put = room.calls("tax").template.PutAgreement
    signed = said.tax.agreement(said.bank, valid_for=timedelta(days=30))
    half = Envelope(signed.payload_type, signed.payload, signed.signatures[:1])
    stranger = said.tax.agreement(said.world.bank("bank-z"))
    for agreement, reason in ((half, Reason.BAD_SIGNATURE), (stranger, Reason.MALFORMED)):
        request = template_pb2.PutAgreementRequest(agreement=envelope_to_proto(agreement))
        assert await reason_of(put(request, timeout=SECONDS)) is reason
