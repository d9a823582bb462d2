"""What members hand in: accepted once, by the right hand and signature, and known afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

import grpc
import pytest

from saferoom.evidence import Caller, Recorded
from saferoom.ledger.entries import NewEntry, Position
from saferoom.ledger.ledger import Ledger
from saferoom.rules import Rule
from saferoom.statements import Statements
from saferoom_proto.dsse import Envelope
from saferoom_proto.keys import SigningKey
from saferoom_proto.reasons import Reason
from saferoom_proto.receipt import verify_recorded
from saferoom_proto.rpc_errors import from_rpc_error
from saferoom_proto.statements import Charter, FeatureKind, RoomKeys, seal_statement
from saferoom_proto.v1 import (
    consent_pb2,
    identity_pb2,
    owner_pb2,
    template_pb2,
)
from saferoom_proto.wire import envelope_from_proto, envelope_to_proto, recorded_from_proto
from simulator import FEATURES, SimOwner, World
from simulator.sample import COURT_TABLES, feature, schema
from tests.server.conftest import INSTITUTION, Ready
from tests.server.room.opened import SECONDS, Calls, OpenedRoom, until

OWNER = identity_pb2.ROLE_OWNER
AUDITOR = identity_pb2.ROLE_AUDITOR


async def reason_of(call: Awaitable[object]) -> Reason:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return from_rpc_error(caught.value).reason


def put_charter(room: OpenedRoom, member: str, charter: Envelope) -> Awaitable[object]:
    request = owner_pb2.PutCharterRequest(charter=envelope_to_proto(charter))
    return room.calls(member).owner.PutCharter(request, timeout=SECONDS)


def grant(calls: Calls, consent: Envelope) -> Awaitable[consent_pb2.GrantConsentResponse]:
    request = consent_pb2.GrantConsentRequest(consent=envelope_to_proto(consent))
    return calls.consent.GrantConsent(request, timeout=SECONDS)


# Organisations.


async def test_only_the_operator_enrols(empty_room: OpenedRoom) -> None:
    await empty_room.enrol("bank-a", INSTITUTION)
    organisation = identity_pb2.Organisation(
        name="bank-b", title_en="b", title_zh="b", roles=[INSTITUTION]
    )
    request = identity_pb2.EnrolOrganisationRequest(organisation=organisation)
    call = empty_room.calls("bank-a").identity.EnrolOrganisation(request, timeout=SECONDS)
    assert await reason_of(call) is Reason.NOT_ALLOWED


async def test_an_organisation_is_enrolled_once_and_no_other_way(empty_room: OpenedRoom) -> None:
    for _ in range(2):
        await empty_room.enrol("bank-a", INSTITUTION)
    assert await reason_of(empty_room.enrol("bank-a", INSTITUTION, AUDITOR)) is Reason.CONFLICT
    assert await reason_of(empty_room.enrol("operator", INSTITUTION)) is Reason.CONFLICT
    call = empty_room.calls("bank-a").identity.ListOrganisations
    told = await call(identity_pb2.ListOrganisationsRequest(), timeout=SECONDS)
    assert [each.name for each in told.organisations] == ["bank-a", "operator"]


async def test_a_handle_that_statements_could_not_carry_is_refused(
    empty_room: OpenedRoom,
) -> None:
    assert await reason_of(empty_room.enrol("tax-office", OWNER)) is Reason.MALFORMED
    subject = identity_pb2.ROLE_SUBJECT
    assert await reason_of(empty_room.enrol("firm", subject)) is Reason.MALFORMED


# Charters.


async def test_nobody_hands_in_another_owners_charter(empty_room: OpenedRoom) -> None:
    tax, court = empty_room.world.owner("tax"), empty_room.world.owner("court")
    for owner in (tax, court):
        await empty_room.enrol(owner.name, OWNER)
    assert await reason_of(put_charter(empty_room, "court", tax.charters[0])) is Reason.NOT_ALLOWED
    await empty_room.enrol("bank-a", INSTITUTION)
    assert await reason_of(put_charter(empty_room, "bank-a", tax.charters[0])) is Reason.NOT_ALLOWED


async def test_a_charter_that_trusts_other_keys_of_the_room_is_refused(
    empty_room: OpenedRoom,
) -> None:
    tax = empty_room.world.owner("tax")
    await empty_room.enrol("tax", OWNER)
    tax.charters.clear()
    ledger, heads = (SigningKey.generate().verify_key.public for _ in range(2))
    charter = tax.next_charter(room_keys=RoomKeys(ledger=ledger, heads=heads))
    assert await reason_of(put_charter(empty_room, "tax", charter)) is Reason.BAD_CHARTER


async def test_what_was_recorded_counts_though_its_giver_left_meanwhile(
    empty_room: OpenedRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the log would have a charter that the room goes by only when it is opened anew."""
    tax = empty_room.world.owner("tax")
    await empty_room.enrol("tax", OWNER)
    recorded, gone = asyncio.Event(), asyncio.Event()
    append_it, accept_it = Ledger.append, Statements.accept

    async def append(ledger: Ledger, entry: NewEntry) -> Position:
        position = await append_it(ledger, entry)
        recorded.set()
        await gone.wait()
        return position

    async def accept(
        statements: Statements, caller: Caller, envelope: Envelope, rule: Rule[Charter]
    ) -> Recorded[Charter]:
        try:
            return await accept_it(statements, caller, envelope, rule)
        finally:
            gone.set()

    monkeypatch.setattr(Ledger, "append", append)
    monkeypatch.setattr(Statements, "accept", accept)
    call = asyncio.ensure_future(put_charter(empty_room, "tax", tax.charters[0]))
    async with asyncio.timeout(SECONDS):
        await recorded.wait()
    call.cancel()
    await asyncio.wait([call])

    async def known() -> bool:
        return "tax" in empty_room.server.books.register.owners

    await until(known)
    again = await put_charter(empty_room, "tax", tax.charters[0])
    assert empty_room.server.books.register.charter("tax").charter.version == 1
    assert isinstance(again, owner_pb2.PutCharterResponse), "known, and given back as it stands"


async def test_the_first_charter_pins_the_root_for_ever(empty_room: OpenedRoom) -> None:
    world = empty_room.world
    tax = world.owner("tax")
    await empty_room.join(tax, attend=False)
    usurper = SimOwner("tax", World("usurper", world.room))
    usurper.world.heads, usurper.world.ledger.key = world.heads, world.ledger.key  # pyright: ignore[reportAttributeAccessIssue]
    first = usurper.next_charter()
    assert await reason_of(put_charter(empty_room, "tax", first)) is Reason.BAD_CHARTER
    usurper.charters.append(tax.charters[0])
    following = usurper.next_charter()
    assert await reason_of(put_charter(empty_room, "tax", following)) is Reason.BAD_CHARTER


async def test_charters_follow_each_other_without_a_gap(empty_room: OpenedRoom) -> None:
    tax = empty_room.world.owner("tax")
    await empty_room.join(tax, attend=False)
    second = tax.adopt()
    third = tax.adopt()
    assert await reason_of(put_charter(empty_room, "tax", third)) is Reason.CONFLICT
    await put_charter(empty_room, "tax", second)
    await put_charter(empty_room, "tax", third)
    assert await reason_of(put_charter(empty_room, "tax", tax.next_charter(version=2))) is (
        Reason.CONFLICT
    )


# Whatever it is.


async def test_a_statement_is_recorded_once_and_given_back_the_same(ready: Ready) -> None:
    consent = ready.sample.consent(2)
    calls = ready.room.calls("bank-a")
    given = await asyncio.gather(*(grant(calls, consent) for _ in range(5)))
    assert len({each.SerializeToString(deterministic=True) for each in given}) == 1
    recorded = recorded_from_proto(given[0].recorded)
    trust = ready.sample.world.trust()
    verify_recorded(recorded.statement.digest, recorded.salt, recorded.proof, trust)
    again = await grant(calls, consent)
    assert again == given[0]


async def test_a_statement_of_another_room_is_refused(ready: Ready) -> None:
    other = World("ready", "elsewhere.example")
    consent = other.subject(1).consent("bank-a", FEATURES)
    assert await reason_of(grant(ready.room.calls("bank-a"), consent)) is Reason.MALFORMED


async def test_a_statement_in_the_place_of_another_kind_is_refused(ready: Ready) -> None:
    consent = ready.sample.consent(2)
    request = template_pb2.ApproveRequest(approval=envelope_to_proto(consent))
    call = ready.room.calls("tax").template.Approve(request, timeout=SECONDS)
    assert await reason_of(call) is Reason.MALFORMED


@pytest.mark.parametrize("payload", [b"{}", b'{"a":1,"a":2}', b"{} {}", b"\xff\xfe", b"[]"])
async def test_a_payload_that_is_no_strict_document_is_refused(
    ready: Ready, payload: bytes
) -> None:
    consent = ready.sample.consent(2)
    broken = Envelope(consent.payload_type, payload, consent.signatures)
    assert await reason_of(grant(ready.room.calls("bank-a"), broken)) is Reason.MALFORMED


# Schemas and features.


async def test_a_feature_is_signed_by_an_approver_and_handed_in_by_its_owner(
    ready: Ready,
) -> None:
    room, court = ready.room, ready.sample.court
    sql = "SELECT uscc AS subject, dishonest AS value FROM judgments"
    new = feature("court", "again", sql, FeatureKind.FLAG, level=1)
    by_nobody = envelope_to_proto(seal_statement(new, SigningKey.generate()))
    by_chen = envelope_to_proto(seal_statement(new, court.approvers["chen"]))
    put = room.calls("court").owner.PutFeature
    forged = put(owner_pb2.PutFeatureRequest(feature=by_nobody), timeout=SECONDS)
    assert await reason_of(forged) is Reason.BAD_SIGNATURE
    foreign = room.calls("tax").owner.PutFeature
    handed = foreign(owner_pb2.PutFeatureRequest(feature=by_chen), timeout=SECONDS)
    assert await reason_of(handed) is Reason.NOT_ALLOWED
    await put(owner_pb2.PutFeatureRequest(feature=by_chen), timeout=SECONDS)


async def test_versions_only_grow(ready: Ready) -> None:
    room, court = ready.room, ready.sample.court
    key = court.approvers["li"]
    older = seal_statement(schema("court", *COURT_TABLES, version=1), key)
    changed = older.payload.replace(b'"zh":"judgments"', b'"zh":"other"')
    same_version = seal_statement(
        schema("court", *COURT_TABLES, version=1).model_validate_json(changed), key
    )
    newer = seal_statement(schema("court", *COURT_TABLES, version=2), key)
    put = room.calls("court").owner.PutSchema
    refused = put(
        owner_pb2.PutSchemaRequest(schema=envelope_to_proto(same_version)), timeout=SECONDS
    )
    assert await reason_of(refused) is Reason.CONFLICT
    await put(owner_pb2.PutSchemaRequest(schema=envelope_to_proto(newer)), timeout=SECONDS)


# Templates and approvals.


async def test_a_certificate_that_is_not_derived_from_the_template_is_refused(
    ready: Ready,
) -> None:
    said, room = ready.sample, ready.room
    template = said.bank.template("other", "tax.registered")
    call = room.propose("bank-a", template, said.steady.certificate)
    assert await reason_of(call) is Reason.CERTIFICATE_MISMATCH
    listed = await room.calls("bank-a").template.ListTemplates(
        template_pb2.ListTemplatesRequest(), timeout=SECONDS
    )
    assert template.digest not in {envelope_from_proto(each).digest for each in listed.templates}


async def test_a_templates_name_belongs_to_who_first_took_it(ready: Ready) -> None:
    said, room = ready.sample, ready.room
    template = said.other_bank.template("steady", "tax.registered")
    certificate = said.other_bank.certificate(template)
    call = room.propose("bank-b", template, certificate)
    assert await reason_of(call) is Reason.CONFLICT


async def test_nobody_proposes_in_anothers_name(ready: Ready) -> None:
    said, room = ready.sample, ready.room
    template = said.bank.template("mine", "tax.registered")
    call = room.propose("bank-b", template, said.bank.certificate(template))
    assert await reason_of(call) is Reason.NOT_ALLOWED


async def test_a_template_shows_everything_that_bears_on_it(ready: Ready) -> None:
    said, room = ready.sample, ready.room
    get = room.calls("tax").template.GetTemplate
    for name in ("steady", said.steady.template.digest):
        told = await get(template_pb2.GetTemplateRequest(template=name), timeout=SECONDS)
        assert envelope_from_proto(told.template).digest == said.steady.template.digest
        assert [envelope_from_proto(each).digest for each in told.charters] == [
            said.tax.charter.digest
        ]
        assert len(told.features) == 2
        assert len(told.approvals) == 2
        assert [envelope_from_proto(each).digest for each in told.certificates] == [
            said.steady.certificate.digest
        ]


async def test_a_withdrawal_takes_the_approvals_back_and_fresh_ones_may_follow(
    ready: Ready,
) -> None:
    said, room = ready.sample, ready.room
    calls = room.calls("tax")
    withdrawal = said.tax.withdraw(said.steady.template)
    await calls.template.Withdraw(
        template_pb2.WithdrawRequest(withdrawal=envelope_to_proto(withdrawal)), timeout=SECONDS
    )
    get = calls.template.GetTemplate
    told = await get(template_pb2.GetTemplateRequest(template="steady"), timeout=SECONDS)
    assert not told.approvals
    said.world.clock.advance(1)
    room.told.add(withdrawal.digest)
    said.tax.approve(said.steady.template, said.steady.certificate.digest)
    await room.tell_all()
    told = await get(template_pb2.GetTemplateRequest(template="steady"), timeout=SECONDS)
    assert len(told.approvals) == 2


async def test_an_approval_of_an_unheard_of_certificate_is_refused_unless_it_brings_it(
    ready: Ready,
) -> None:
    said, room = ready.sample, ready.room
    changed = feature(
        "tax",
        "registered",
        "SELECT uscc AS subject, vat IS NOT NULL AS value FROM firms WHERE TRUE",
        FeatureKind.FLAG,
        level=1,
        version=2,
    )
    said.tax.define(changed)
    await room.tell_all()
    certificate = said.bank.certificate(said.public.template)
    assert certificate.digest != said.public.certificate.digest
    approve = room.calls("tax").template.Approve
    stale = said.tax.approval(said.public.template, said.public.certificate.digest, "wang")
    request = template_pb2.ApproveRequest(approval=envelope_to_proto(stale))
    assert await reason_of(approve(request, timeout=SECONDS)) is Reason.CERTIFICATE_MISMATCH
    fresh = envelope_to_proto(said.tax.approval(said.public.template, certificate.digest, "wang"))
    request = template_pb2.ApproveRequest(approval=fresh)
    assert await reason_of(approve(request, timeout=SECONDS)) is Reason.UNKNOWN_STATEMENT
    request.certificate.CopyFrom(envelope_to_proto(certificate))
    await approve(request, timeout=SECONDS)


async def test_an_approver_does_not_sign_for_another(ready: Ready) -> None:
    said, room = ready.sample, ready.room
    said.world.clock.advance(1)
    honest = said.tax.approval(said.steady.template, said.steady.certificate.digest, "wang")
    forged = Envelope(
        honest.payload_type,
        honest.payload.replace(b'"wang"', b'"chen"'),
        honest.signatures,
    )
    request = template_pb2.ApproveRequest(approval=envelope_to_proto(forged))
    call = room.calls("tax").template.Approve(request, timeout=SECONDS)
    assert await reason_of(call) is Reason.BAD_SIGNATURE


# Consents.
