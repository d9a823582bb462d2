"""Requests for consent and disputes: who may make them, and who is shown them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from datetime import timedelta

import pytest

from saferoom import pages
from saferoom.consent_requests import MOST_TO_SUBJECT, REMEMBERED
from saferoom.disputes import MOST_WITH_OWNER
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import b64, sha256_digest
from saferoom_proto.identity import organisation_uri
from saferoom_proto.keys import SigningKey
from saferoom_proto.reasons import Reason
from saferoom_proto.statements import ConsentRequest, Purpose, seal_statement
from saferoom_proto.v1 import consent_pb2, identity_pb2, subject_pb2
from saferoom_proto.wire import envelope_to_proto, recorded_from_proto
from tests.server.conftest import Ready
from tests.server.disputing import dispute, disputed, disputes, reason_of, refusal_of
from tests.server.room.opened import SECONDS, Calls

NOTICE = "What a yes or no may tell."


def asked(ready: Ready, key: SigningKey | None = None, **changes: object) -> Envelope:
    """Have bank-a ask the first subject; fields can be changed, and another key may sign."""
    now, bank = ready.sample.world.now(), ready.sample.bank
    fields: dict[str, object] = {
        "room": ready.sample.world.room,
        "valid_from": now,
        "valid_to": now + timedelta(days=30),
        "institution": bank.name,
        "signer": b64(bank.certified),
        "subject": ready.sample.world.subject(1).uscc,
        "purposes": (Purpose.PRE_LOAN,),
        "features": ("tax.vat_paid",),
        "uses": None,
        "days": 30,
        "why": "a loan",
        "notice": sha256_digest(NOTICE.encode()),
        "notice_text": NOTICE,
        "nonce": b64(ready.sample.world.seeds.fresh(16)),
    }
    return seal_statement(ConsentRequest.model_validate(fields | changes), key or bank.key)


def ask(calls: Calls, request: Envelope) -> Awaitable[consent_pb2.RequestConsentResponse]:
    message = consent_pb2.RequestConsentRequest(request=envelope_to_proto(request))
    return calls.consent.RequestConsent(message, timeout=SECONDS)


async def requests(calls: Calls) -> list[str]:
    found: list[str] = []
    message = consent_pb2.ListConsentRequestsRequest()
    while True:
        told = await calls.consent.ListConsentRequests(message, timeout=SECONDS)
        assert len(told.requests) <= pages.PAGE
        found[:0] = [recorded_from_proto(each).statement.digest for each in told.requests]
        if not told.next:
            return found
        message = consent_pb2.ListConsentRequestsRequest(before=told.next)


async def test_a_request_is_shown_to_its_two_sides_and_lets_nobody_ask(ready: Ready) -> None:
    room, request = ready.room, asked(ready)
    before = room.server.books.ledger.tip().stream("tax")
    await ask(room.calls("bank-a"), request)
    subject, other = (ready.sample.world.subject(serial) for serial in (1, 2))
    assert await requests(room.subject_calls(subject)) == [request.digest]
    assert await requests(room.calls("bank-a")) == [request.digest]
    assert await requests(room.subject_calls(other)) == await requests(room.calls("bank-b")) == []
    assert room.server.books.ledger.tip().stream("tax") == before  # no enclave hears of it


async def test_a_request_is_by_a_member_of_the_institution_it_names(ready: Ready) -> None:
    said, calls = ready.sample, ready.room.calls
    assert await reason_of(ask(calls("bank-b"), asked(ready))) is Reason.NOT_ALLOWED
    forged = asked(ready, said.other_bank.key)
    assert await reason_of(ask(calls("bank-a"), forged)) is Reason.BAD_SIGNATURE
    others = {"signer": b64(said.other_bank.certified)}
    request = asked(ready, said.other_bank.key, **others)
    assert await reason_of(ask(calls("bank-a"), request)) is Reason.BAD_SIGNATURE
    now = said.world.now()
    over = asked(ready, None, valid_from=now - timedelta(days=2), valid_to=now - timedelta(days=1))
    assert await reason_of(ask(calls("bank-a"), over)) is Reason.EXPIRED
    nothing = asked(ready, features=("tax.nothing",))
    assert await reason_of(ask(calls("bank-a"), nothing)) is Reason.UNKNOWN_FEATURE


async def test_a_revoked_members_request_is_refused(ready: Ready) -> None:
    said, room = ready.sample, ready.room
    await room.enrol("issuer", identity_pb2.ROLE_ISSUER)
    request = asked(ready)
    await room.hand_in(said.world.issuer.revocation(said.bank.certified, said.world.now()))
    assert await reason_of(ask(room.calls("bank-a"), request)) is Reason.CERTIFICATE_REVOKED


async def test_no_institution_floods_a_subject_with_requests(ready: Ready) -> None:
    room, world = ready.room, ready.sample.world
    bank, own = room.calls("bank-a"), room.subject_calls(world.subject(1))
    flood = [asked(ready) for _ in range(MOST_TO_SUBJECT + 5)]
    told = await asyncio.gather(*(ask(bank, each) for each in flood), return_exceptions=True)
    taken = [
        each for each, said in zip(flood, told, strict=True) if not isinstance(said, Exception)
    ]
    assert len(taken) == MOST_TO_SUBJECT
    reason, rule = await refusal_of(ask(bank, asked(ready)))
    assert reason is Reason.TOO_MANY_REQUESTS
    assert "20 of your requests to this subject are open, or not yet 30 days old" in rule
    await ask(bank, taken[0])  # one that is there already is given back
    # Others ask it, and the bank asks others.
    other = asked(ready, ready.sample.other_bank.key, institution="bank-b",
                  signer=b64(ready.sample.other_bank.certified))  # fmt: skip
    await ask(room.calls("bank-b"), other)
    await ask(bank, asked(ready, subject=world.subject(2).uscc))
    assert set(await requests(own)) == {each.digest for each in (*taken, other)}


async def test_long_lists_come_whole_a_page_at_a_time(
    ready: Ready, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "PAGE", 3)
    room, world = ready.room, ready.sample.world
    own, bank = room.subject_calls(world.subject(1)), room.calls("bank-a")
    asked_for = [asked(ready) for _ in range(7)]
    said = [disputed(ready) for _ in range(6)]  # two full pages, and an empty one
    for request in asked_for:
        await ask(bank, request)
    for each in said:
        await dispute(own, each)
    digests = [each.digest for each in asked_for]
    assert await requests(own) == await requests(bank) == digests
    digests = [each.digest for each in said]
    assert await disputes(own) == await disputes(room.calls("tax")) == digests
    far = subject_pb2.ListDisputesRequest(before=(1 << 64) - 1)
    told = await own.subject.ListDisputes(far, timeout=SECONDS)
    assert len(told.disputes) == pages.PAGE


async def test_requests_that_run_out_at_once_count_for_a_month(ready: Ready) -> None:
    room, clock = ready.room, ready.sample.world.clock
    bank = room.calls("bank-a")
    # None is older than it is: it would not count for so long.
    old = asked(ready, valid_from=ready.sample.world.now() - timedelta(days=2))
    reason, rule = await refusal_of(ask(bank, old))
    assert (reason, rule) == (
        Reason.EXPIRED,
        "is more than a day ago: have the request signed anew",
    )
    for _ in range(MOST_TO_SUBJECT):
        now = ready.sample.world.now()
        await ask(bank, asked(ready, valid_from=now, valid_to=now + timedelta(seconds=1)))
        clock.advance(2)
    assert await reason_of(ask(bank, asked(ready))) is Reason.TOO_MANY_REQUESTS
    clock.advance(REMEMBERED.total_seconds())
    await ask(bank, asked(ready))


async def test_a_dispute_is_shown_to_its_subject_and_its_owner(ready: Ready) -> None:
    room, said = ready.room, disputed(ready)
    subject, other = (ready.sample.world.subject(serial) for serial in (1, 2))
    await dispute(room.subject_calls(subject), said)
    assert await disputes(room.subject_calls(subject)) == [said.digest]
    assert await disputes(room.calls("tax")) == [said.digest]
    assert await disputes(room.calls("court")) == []
    assert await disputes(room.subject_calls(other)) == []


async def test_nobody_disputes_in_a_subjects_name(ready: Ready) -> None:
    world, room = ready.sample.world, ready.room
    victim, other = world.subject(1), world.subject(2)
    own = room.subject_calls(victim)
    assert await reason_of(dispute(room.subject_calls(other), disputed(ready))) is (
        Reason.NOT_ALLOWED
    )
    forged = disputed(ready, 1, other.key)
    assert await reason_of(dispute(own, forged)) is Reason.BAD_SIGNATURE
    others = disputed(ready, 1, other.key, certificate=b64(other.certificate))
    assert await reason_of(dispute(own, others)) is Reason.NOT_ALLOWED
    clerk = SigningKey.generate()
    certificate = world.issuer.issue(organisation_uri("registry", "clerk"), clerk.verify_key)
    registrars = disputed(ready, 1, clerk, certificate=b64(certificate))
    assert await reason_of(dispute(own, registrars)) is Reason.NOT_ALLOWED
    assert await disputes(room.calls("tax")) == []


async def test_a_dispute_is_about_a_use_of_the_subject_at_that_owner(ready: Ready) -> None:
    room, world = ready.room, ready.sample.world
    answer = await room.ask("bank-a", ready.question())
    use = recorded_from_proto(answer.parts[0].release).statement.digest
    own = room.subject_calls(world.subject(1))
    await dispute(own, disputed(ready, field=None, use=use))
    for about in ({"use": use, "owner": "court"}, {"use": "sha256:" + "0" * 64}):
        said = disputed(ready, 1, None, field=None, **about)
        assert await reason_of(dispute(own, said)) is Reason.UNKNOWN_STATEMENT
    other = room.subject_calls(world.subject(2))
    said = disputed(ready, 2, None, field=None, use=use)
    assert await reason_of(dispute(other, said)) is Reason.UNKNOWN_STATEMENT
    consent = disputed(ready, 1, None, field=None, use=ready.sample.tax.charter.digest)
    assert await reason_of(dispute(own, consent)) is Reason.UNKNOWN_STATEMENT


async def test_a_dispute_is_about_a_column_that_its_owner_has(ready: Ready) -> None:
    own = ready.room.subject_calls(ready.sample.world.subject(1))
    told = {
        field: await refusal_of(dispute(own, disputed(ready, field=field)))
        for field in ("firms.vta", "firm.vat", "judgments.dishonest")
    }
    assert {reason for reason, _ in told.values()} == {Reason.UNKNOWN_STATEMENT}
    rules = {field: rule for field, (_, rule) in told.items()}
    assert rules["firms.vta"].startswith("tax holds no firms.vta; near it: firms.vat")
    assert "; near it: firms.vat" in rules["firm.vat"]
    assert rules["judgments.dishonest"] == "tax holds no judgments.dishonest"


async def test_no_subject_floods_an_owner_with_disputes(ready: Ready) -> None:
    room, world = ready.room, ready.sample.world
    own, flood = room.subject_calls(world.subject(1)), [disputed(ready) for _ in range(110)]
    for start in range(0, len(flood), 10):
        some = flood[start : start + 10]
        told = await asyncio.gather(*(dispute(own, each) for each in some), return_exceptions=True)
        assert any(isinstance(each, Exception) for each in told) == (start >= MOST_WITH_OWNER)
    reason, rule = await refusal_of(dispute(own, disputed(ready)))
    assert reason is Reason.TOO_MANY_REQUESTS
    assert rule == "100 with tax are open or just taken back: wait for its answers"
    await dispute(own, flood[0])  # one that is there already is given back
    elsewhere = disputed(ready, owner="court", field="judgments.dishonest")
    await dispute(own, elsewhere)
    others = disputed(ready, 2)
    await dispute(room.subject_calls(world.subject(2)), others)
    assert len(await disputes(own)) == MOST_WITH_OWNER + 1
    assert await disputes(room.calls("court")) == [elsewhere.digest]
    assert (await disputes(room.calls("tax")))[-1] == others.digest
