"""Consents, revocations, and who sees what of the log, at the room's real services."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from datetime import timedelta

import grpc
import pytest

from saferoom.books import read_register
from saferoom.concern import CONCERNED, EVERY_MEMBER
from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import Reason
from saferoom_proto.receipt import verify_recorded
from saferoom_proto.rpc_errors import from_rpc_error
from saferoom_proto.statements import (
    Acknowledgement,
    AgreementEnd,
    FederationEnd,
    FederationJoin,
    FederationResult,
    load,
)
from saferoom_proto.v1 import (
    check_pb2,
    consent_pb2,
    identity_pb2,
    ledger_pb2,
    use_pb2,
)
from saferoom_proto.wire import envelope_from_proto, envelope_to_proto, recorded_from_proto
from simulator import FEATURES, SimOwner, World
from tests.proto.kinds import recorded_kinds
from tests.server.conftest import Ready
from tests.server.room.opened import SECONDS, Calls, OpenedRoom

OWNER = identity_pb2.ROLE_OWNER
AUDITOR = identity_pb2.ROLE_AUDITOR


async def reason_of(call: Awaitable[object]) -> Reason:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return from_rpc_error(caught.value).reason


def grant(calls: Calls, consent: Envelope) -> Awaitable[consent_pb2.GrantConsentResponse]:
    request = consent_pb2.GrantConsentRequest(consent=envelope_to_proto(consent))
    return calls.consent.GrantConsent(request, timeout=SECONDS)


def revoke(calls: Calls, revocation: Envelope) -> Awaitable[consent_pb2.RevokeConsentResponse]:
    request = consent_pb2.RevokeConsentRequest(revocation=envelope_to_proto(revocation))
    return calls.consent.RevokeConsent(request, timeout=SECONDS)


async def shown(calls: Calls, digest: str) -> Reason | None:
    """Tell whether a statement is shown; else why not."""
    request = ledger_pb2.GetStatementRequest(digest=digest)
    try:
        told = await calls.ledger.GetStatement(request, timeout=SECONDS)
    except grpc.aio.AioRpcError as error:
        return from_rpc_error(error).reason
    assert envelope_from_proto(told.recorded.statement).digest == digest
    return None


# Organisations.


async def test_a_subject_grants_sees_and_revokes_its_own_consent(ready: Ready) -> None:
    said, room = ready.sample, ready.room
    subject = said.world.subject(3)
    calls = room.subject_calls(subject)
    consent = subject.consent(said.bank, FEATURES)
    await grant(calls, consent)
    told = await calls.consent.ListConsents(consent_pb2.ListConsentsRequest(), timeout=SECONDS)
    assert [envelope_from_proto(each).digest for each in told.consents] == [consent.digest]
    assert not told.revoked
    revoked = await revoke(calls, subject.revocation(consent))
    said_so = [
        load(recorded_from_proto(each).statement, Acknowledgement)
        for each in revoked.acknowledgements
    ]
    assert sorted(each.owner for each in said_so) == ["court", "tax"]
    assert {each.consent for each in said_so} == {consent.digest}
    assert not revoked.waiting
    told = await calls.consent.ListConsents(consent_pb2.ListConsentsRequest(), timeout=SECONDS)
    assert list(told.revoked) == [consent.digest]


async def test_who_is_not_concerned_sees_no_consent(ready: Ready) -> None:
    said, room = ready.sample, ready.room
    consent = said.consent(2)
    await grant(room.calls("bank-a"), consent)
    call = room.calls("bank-b").consent.ListConsents
    told = await call(consent_pb2.ListConsentsRequest(), timeout=SECONDS)
    assert not told.consents
    call = room.calls("bank-a").consent.ListConsents
    told = await call(consent_pb2.ListConsentsRequest(), timeout=SECONDS)
    assert len(told.consents) == 2


async def test_a_revocation_names_the_enclaves_that_have_not_heard_of_it(ready: Ready) -> None:
    said, room = ready.sample, ready.room
    subject = said.world.subject(1)
    consent = subject.consent(said.bank, FEATURES)
    calls = room.subject_calls(subject)
    await grant(calls, consent)
    room.agents[0].cancel()
    room.agents[1].cancel()
    process = room.process("court")
    process.kill()
    await process.wait()
    await asyncio.sleep(0.2)
    revocation = subject.revocation(consent)
    revoked = await revoke(calls, revocation)
    assert list(revoked.waiting) == ["court"]
    assert len(revoked.acknowledgements) == 1
    room.attend(said.court)
    await room.until_state("court", "serving")
    again = await revoke(calls, revocation)
    assert not again.waiting
    assert again.recorded == revoked.recorded


async def test_nobody_revokes_anothers_consent(ready: Ready) -> None:
    said, room = ready.sample, ready.room
    victim, other = said.world.subject(1), said.world.subject(2)
    consent = victim.consent(said.bank, FEATURES)
    await grant(room.calls("bank-a"), consent)
    forged = other.revocation(consent)
    assert await reason_of(revoke(room.subject_calls(other), forged)) is Reason.UNKNOWN_STATEMENT
    unheard = victim.revocation(victim.consent(said.bank, FEATURES))
    assert await reason_of(revoke(room.subject_calls(victim), unheard)) is Reason.UNKNOWN_STATEMENT


async def test_a_consent_is_handed_in_by_those_it_names_only(ready: Ready) -> None:
    consent = ready.sample.world.subject(2).consent(ready.sample.bank, FEATURES)
    stranger = ready.room.subject_calls(ready.sample.world.subject(3))
    assert await reason_of(grant(stranger, consent)) is Reason.NOT_ALLOWED
    assert await reason_of(grant(ready.room.calls("bank-b"), consent)) is Reason.NOT_ALLOWED


async def test_a_consent_under_a_foreign_issuers_certificate_is_refused(ready: Ready) -> None:
    foreign = World("foreign").subject(2)
    consent = foreign.consent(ready.sample.bank, FEATURES)
    assert await reason_of(grant(ready.room.calls("bank-a"), consent)) is Reason.UNAUTHENTICATED


async def test_a_consent_that_is_over_is_refused(ready: Ready) -> None:
    subject = ready.sample.world.subject(2)
    consent = subject.consent(ready.sample.bank, FEATURES, valid_for=timedelta(seconds=1))
    ready.sample.world.clock.advance(2)
    assert await reason_of(grant(ready.room.calls("bank-a"), consent)) is Reason.EXPIRED


async def test_a_revoked_subjects_certificate_signs_no_consent(ready: Ready) -> None:
    said, room = ready.sample, ready.room
    await room.enrol("issuer", identity_pb2.ROLE_ISSUER)
    subject = said.world.subject(2)
    await room.hand_in(said.world.issuer.revocation(subject.certificate, said.world.now()))
    consent = subject.consent(said.bank, FEATURES)
    assert await reason_of(grant(room.calls("bank-a"), consent)) is Reason.CERTIFICATE_REVOKED


async def test_only_the_issuer_itself_revokes(ready: Ready) -> None:
    said, room = ready.sample, ready.room
    await room.enrol("issuer", identity_pb2.ROLE_ISSUER)
    await room.enrol("other", identity_pb2.ROLE_ISSUER)
    genuine = said.world.issuer.revocation(said.world.subject(2).certificate, said.world.now())
    forged = Envelope(
        genuine.payload_type, genuine.payload.replace(b"key lost", b"spite...."), genuine.signatures
    )
    request = identity_pb2.RevokeCertificateRequest(revocation=envelope_to_proto(forged))
    call = room.calls("issuer").identity.RevokeCertificate(request, timeout=SECONDS)
    assert await reason_of(call) is Reason.BAD_SIGNATURE
    request = identity_pb2.RevokeCertificateRequest(revocation=envelope_to_proto(genuine))
    call = room.calls("other").identity.RevokeCertificate(request, timeout=SECONDS)
    assert await reason_of(call) is Reason.NOT_ALLOWED


async def test_a_new_owners_enclave_hears_of_what_was_said_before_its_time(
    empty_room: OpenedRoom,
) -> None:
    world, room = empty_room.world, empty_room
    await room.join(world.owner("tax"))
    await room.enrol("issuer", identity_pb2.ROLE_ISSUER)
    revocation = world.issuer.revocation(world.subject(2).certificate, world.now())
    await room.hand_in(revocation)
    court = SimOwner("court", world)
    court.charters.append(court.next_charter())
    await room.join(court)
    items = await room.server.books.archive.stream("court", 0, 99, 99)
    assert [item.envelope.digest for item in items] == [
        court.charters[0].digest,
        revocation.digest,
    ]
    assert room.server.links.serving("court")._standing().standing.sequence == 2


# Who is shown what.


async def test_statements_are_shown_to_those_they_concern_and_to_auditors(ready: Ready) -> None:
    said, room = ready.sample, ready.room
    await room.enrol("auditor", identity_pb2.ROLE_AUDITOR)
    subject = said.world.subject(1)
    consent = next(
        each
        for each in said.world.streams["tax"].statements
        if b"consent" in each.payload_type.encode()
    )
    question = ready.question()
    answer = await room.ask("bank-a", question)
    release = envelope_from_proto(answer.parts[0].release.statement)
    inquiry = check_pb2.CostRequest(
        request=envelope_to_proto(said.bank.cost_request(ready.question()))
    )
    priced = await room.calls("bank-a").check.Cost(inquiry, timeout=SECONDS)
    estimate = envelope_from_proto(priced.estimates[0].statement)
    agreement = next(
        each
        for each in said.world.streams["tax"].statements
        if ".agreement." in each.payload_type and b'"bank-a"' in each.payload
    )
    schema_statement = next(
        each for each in said.world.streams["tax"].statements if ".schema." in each.payload_type
    )
    everyone = {"tax", "court", "bank-a", "bank-b", "auditor", "operator", "subject"}
    concerned = {
        said.tax.charter.digest: everyone,
        said.steady.template.digest: everyone,
        said.steady.certificate.digest: everyone,
        agreement.digest: {"tax", "bank-a", "auditor"},
        schema_statement.digest: {"tax", "auditor"},
        consent.digest: {"tax", "court", "bank-a", "auditor", "subject"},
        release.digest: {"tax", "bank-a", "auditor", "subject"},
        estimate.digest: {"tax", "bank-a", "auditor", "subject"},
        "sha256:" + "9" * 64: set[str](),
    }
    calls = {name: room.calls(name) for name in everyone - {"subject"}}
    calls["subject"] = room.subject_calls(subject)
    for digest, those in concerned.items():
        for name in everyone:
            told = await shown(calls[name], digest)
            assert (told is None) is (name in those), (digest, name)
            assert told in (None, Reason.UNKNOWN_STATEMENT)


def test_every_kind_that_is_recorded_names_those_it_concerns() -> None:
    ended = {AgreementEnd.KIND}  # looked up by the agreement that it ends
    joined = {kind.KIND for kind in (FederationJoin, FederationEnd, FederationResult)}  # likewise
    assert EVERY_MEMBER | CONCERNED.keys() | ended | joined == {
        kind.KIND for kind in recorded_kinds()
    }


async def test_entries_are_opened_for_auditors_only(ready: Ready) -> None:
    room = ready.room
    await room.enrol("auditor", identity_pb2.ROLE_AUDITOR)
    request = ledger_pb2.ListEntriesRequest(start=0, limit=1000)
    size = room.server.books.ledger.tip().size
    for name in ("auditor", "bank-a", "operator"):
        told = await room.calls(name).ledger.ListEntries(request, timeout=SECONDS)
        assert len(told.entries) == size
        opened = [entry for entry in told.entries if entry.salt or entry.HasField("statement")]
        assert len(opened) == (size if name == "auditor" else 0)


async def test_anybody_checks_that_the_log_only_grew(ready: Ready) -> None:
    ledger = ready.room.calls("bank-b").ledger
    size = ready.room.server.books.ledger.tip().size
    told = await ledger.GetConsistency(
        ledger_pb2.GetConsistencyRequest(size1=1, size2=size), timeout=SECONDS
    )
    assert told.hashes
    wrong = ledger.GetConsistency(
        ledger_pb2.GetConsistencyRequest(size1=1, size2=size + 100), timeout=SECONDS
    )
    assert await reason_of(wrong) is Reason.MALFORMED


async def test_what_the_room_knows_is_the_same_after_a_restart(ready: Ready) -> None:
    room = ready.room
    before = room.server.books.register
    after = await read_register(room.server.books.archive)
    assert after.__dict__ == before.__dict__


async def test_the_place_of_an_entry_is_proven_to_whoever_can_open_it(ready: Ready) -> None:
    room, question = ready.room, ready.question()
    await room.ask("bank-a", question)
    use = await room.calls("tax").uses.ListUses(use_pb2.ListUsesRequest(limit=1), timeout=SECONDS)
    word = recorded_from_proto(use.uses[0].word)
    stranger = room.subject_calls(ready.sample.world.subject(2))

    def proof(digest: str, salt: bytes) -> Awaitable[ledger_pb2.GetProofResponse]:
        request = ledger_pb2.GetProofRequest(digest=digest, salt=salt)
        return stranger.ledger.GetProof(request, timeout=SECONDS)

    told = await proof(word.statement.digest, word.salt)
    verify_recorded(word.statement.digest, word.salt, told.proof, ready.sample.world.trust())
    assert await shown(stranger, word.statement.digest) is Reason.UNKNOWN_STATEMENT
    # Who guesses the statement and lacks its salt hears what is said of none.
    for digest, salt in ((word.statement.digest, bytes(32)), ("sha256:" + "0" * 64, word.salt)):
        assert await reason_of(proof(digest, salt)) is Reason.UNKNOWN_STATEMENT
    assert await reason_of(proof(word.statement.digest, b"")) is Reason.MALFORMED
