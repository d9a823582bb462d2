"""Drills: a thief has a member's key, and really uses it after it was taken back.

Each says from when the thief is refused, what stays valid of before, and how the key is changed
without an hour in which nothing is answered. The room's own keys:
`tests/attacks/test_a_stolen_key_of_the_room_counts_for_nothing_new.py`.
"""

from __future__ import annotations

from datetime import timedelta

import pytest

from saferoom_proto.answer import Truth
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import b64, unb64
from saferoom_proto.identity import organisation_uri, subject_uri
from saferoom_proto.keys import SigningKey
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Agreement, Approver, CheckRequest, load, seal_statement
from saferoom_proto.statements.template import InstitutionKey
from saferoom_proto.verification import open_charter, verify_agreement, verify_request
from simulator import EnclaveHarness, Sample, SimIssuer, SimSubject
from simulator.sample import FEATURES

SUBJECT = 8
"""Has consented to nothing yet."""


def refused(enclave: EnclaveHarness, question: Envelope, reason: Reason) -> None:
    """Have a question refused, with a verdict or without one."""
    try:
        verdict = enclave.ask(question)
    except SafeRoomError as error:
        assert error.reason is reason, error
    else:
        assert verdict.reason is reason


def renewed(enclave: EnclaveHarness) -> None:
    """Have the enclave unlocked under the charter now in force."""
    enclave.follow()
    enclave.unlock()
    enclave.follow()


def agreed(room: Sample, replaces: Envelope, *named: tuple[str, bytes], by: SigningKey) -> Envelope:
    """Publish an agreement of the tax office and the bank with these keys of the bank's."""
    old = load(replaces, Agreement)
    keys = tuple(InstitutionKey(name=name, certificate=b64(der)) for name, der in named)
    says = old.model_copy(update={"keys": keys, "replaces": replaces.digest})
    approvers = list(room.tax.approvers.values())[:2]
    return room.world.publish(seal_statement(says, *approvers, by), "tax")


# An institution.


def test_a_banks_key_is_changed_with_both_keys_in_one_agreement(
    room: Sample, enclave: EnclaveHarness
) -> None:
    world, bank = room.world, room.bank
    following = SigningKey.generate()
    uri = organisation_uri(bank.name, "checks")
    certificate = world.issuer.issue(uri, following.verify_key)
    both = agreed(
        room,
        room.agreement,
        ("checks", bank.certified),
        ("checks-next", certificate),
        by=bank.key,
    )
    enclave.follow()
    assert enclave.ask(room.question()).truth is Truth.YES
    assert enclave.ask(room.question(key=following)).truth is Truth.YES
    agreed(room, both, ("checks-next", certificate), by=following)
    enclave.follow()
    assert enclave.ask(room.question(key=following)).truth is Truth.YES
    refused(enclave, room.question(), Reason.BAD_SIGNATURE)


def test_a_banks_stolen_key_asks_nothing_from_its_revocation_on(
    room: Sample, enclave: EnclaveHarness
) -> None:
    world, bank = room.world, room.bank
    before = room.question()
    asked_at = world.now()
    assert enclave.ask(before).truth is Truth.YES
    world.clock.advance(1)
    world.publish(world.issuer.revocation(bank.certified, world.now()))
    enclave.follow()
    world.clock.advance(1)
    # The thief asks, also in a window that began before.
    refused(enclave, room.question(), Reason.NO_AGREEMENT)
    backdated = room.question(not_before=asked_at, not_after=world.now() + timedelta(minutes=5))
    refused(enclave, backdated, Reason.NO_AGREEMENT)
    # What was answered before stays answered, and its receipt verifies: the key was good then.
    charter = room.tax.charter
    pinned = verify_agreement(room.agreement, charter)
    verify_request(before, CheckRequest, pinned, asked_at)


# An approver.


def test_an_approvers_key_is_changed_with_both_keys_in_one_charter(
    room: Sample, enclave: EnclaveHarness
) -> None:
    tax, following = room.tax, SigningKey.generate()
    chen, *others = tax.charter.charter.approvers
    successor = Approver(name="chen-next", key=following.verify_key.public)
    tax.adopt(approvers=(chen, successor, *others))
    renewed(enclave)
    # Features and agreements that the former key signed hold; approvals are each charter's own.
    certificate = room.steady.certificate.digest
    tax.approvers["chen-next"] = following
    tax.approve(room.steady.template, certificate, ("chen-next", "li"))
    enclave.follow()
    assert enclave.ask(room.question()).truth is Truth.YES


def test_an_approvers_stolen_key_does_nothing_from_the_charter_on_that_drops_it(
    room: Sample, enclave: EnclaveHarness
) -> None:
    tax = room.tax
    stolen = tax.approvers["wang"]
    # Until then the thief alone approves nothing, and stops what it likes.
    tax.adopt(approvers=tax.charter.charter.approvers[:2])
    renewed(enclave)
    certificate = room.steady.certificate.digest
    tax.approve(room.steady.template, certificate, ("chen",))
    tax.approve(room.steady.template, certificate, ("wang",))
    enclave.follow()
    refused(enclave, room.question(), Reason.NOT_APPROVED)
    tax.approve(room.steady.template, certificate, ("li",))
    tax.pause(approver="wang")
    enclave.follow()
    assert stolen is tax.approvers["wang"]
    assert enclave.ask(room.question()).truth is Truth.YES


# A subject.


def reissued(room: Sample, subject: SimSubject) -> SimSubject:
    """Give the subject a new key and certificate, as its issuer does after a theft."""
    subject.key = SigningKey.generate()
    uri = subject_uri(subject.uscc)
    subject.certificate = room.world.issuer.issue(uri, subject.key.verify_key)
    return subject


def test_a_subjects_stolen_key_consents_to_nothing_from_its_revocation_on(
    room: Sample, enclave: EnclaveHarness
) -> None:
    world, subject = room.world, room.world.subject(SUBJECT)
    room.tax.agree(room.other_bank)
    given = room.consent(SUBJECT)
    enclave.follow()
    assert enclave.ask(room.question(SUBJECT)).truth is Truth.NOT_FOUND
    stolen, certificate = subject.key, subject.certificate
    world.clock.advance(1)
    world.publish(world.issuer.revocation(certificate, world.now()))
    world.clock.advance(1)
    # The thief consents for another bank, dated before the theft was known.
    earlier = world.now() - timedelta(seconds=30)
    room.world.subject(SUBJECT).give(room.other_bank, FEATURES, valid_from=earlier)
    enclave.follow()
    refused(enclave, room.question(SUBJECT, bank=room.other_bank), Reason.NO_CONSENT)
    # Nor does it see the subject's records.
    claim = subject.claim("tax")
    with pytest.raises(SafeRoomError) as caught:
        enclave.disclose(claim)
    assert caught.value.reason is Reason.CERTIFICATE_REVOKED
    # What the subject gave before stays given, until it takes it back with its new key.
    assert enclave.ask(room.question(SUBJECT)).truth is Truth.NOT_FOUND
    reissued(room, subject)
    assert subject.key is not stolen
    subject.revoke(given)
    enclave.follow()
    refused(enclave, room.question(SUBJECT), Reason.NO_CONSENT)
    # And it consents anew.
    room.consent(SUBJECT)
    enclave.follow()
    assert enclave.ask(room.question(SUBJECT)).truth is Truth.NOT_FOUND


# The identity issuer.


def test_an_issuer_is_changed_with_both_in_one_charter_and_the_stolen_one_names_nobody(
    room: Sample, enclave: EnclaveHarness
) -> None:
    world, tax, bank = room.world, room.tax, room.bank
    following = SimIssuer("issuer-next", world.room, world.seeds, world.now())
    tax.adopt(issuers=(world.issuer.pinned(), following.pinned()))
    renewed(enclave)
    certificate = room.steady.certificate.digest
    tax.approve(room.steady.template, certificate)
    # Both name people: the members are named anew one by one, and their agreements with them.
    uri = organisation_uri(bank.name, "checks")
    named = following.issue(uri, bank.key.verify_key)
    agreed(room, room.agreement, ("checks", named), by=bank.key)
    subject = world.subject(SUBJECT)
    subject.certificate = following.issue(subject_uri(subject.uscc), subject.key.verify_key)
    room.consent(SUBJECT)
    enclave.follow()
    assert enclave.ask(room.question(SUBJECT)).truth is Truth.NOT_FOUND
    assert enclave.ask(room.question()).truth is Truth.YES
    # The former one is ended; what it named counts no more, whoever signs.
    tax.adopt(issuers=(following.pinned(),))
    renewed(enclave)
    tax.approve(room.steady.template, certificate)
    enclave.follow()
    assert enclave.ask(room.question(SUBJECT)).truth is Truth.NOT_FOUND
    thiefs = SigningKey.generate()
    victim = world.subject(SUBJECT + 1)
    victim.key = thiefs
    victim.certificate = world.issuer.issue(subject_uri(victim.uscc), thiefs.verify_key)
    room.consent(SUBJECT + 1)
    enclave.follow()
    refused(enclave, room.question(SUBJECT + 1), Reason.NO_CONSENT)
    # Also the consents that the former one's certificates carried: those are given anew.
    refused(enclave, room.question(), Reason.NO_CONSENT)


# The charter root: handed over in `test_a_charter_root_is_handed_over_by_both_roots_only.py`.


def test_a_charter_by_the_stolen_root_is_refused_by_whoever_pinned_the_new_one(
    room: Sample,
) -> None:
    new_root = SigningKey.generate().verify_key.public
    with pytest.raises(SafeRoomError) as caught:
        open_charter(room.tax.next_charter(), new_root)
    assert caught.value.reason is Reason.BAD_CHARTER
    # Receipts of before name the charter of their time, under the root of their time.
    opened = open_charter(room.tax.charters[0], room.tax.root.verify_key.public)
    assert unb64(opened.charter.root) == room.tax.root.verify_key.raw
