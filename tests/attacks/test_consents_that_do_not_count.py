"""Consents replayed, borrowed, bent, bought or outlived: none of them lets a bank ask."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

from saferoom_proto.answer import Truth
from saferoom_proto.dsse import Envelope, sign
from saferoom_proto.encoding import b64, sha256_digest
from saferoom_proto.identity import fingerprint, organisation_uri, subject_uri
from saferoom_proto.keys import SigningKey
from saferoom_proto.reasons import Reason
from saferoom_proto.statements import Consent, Outcome, Purpose, load, seal_statement
from saferoom_proto.statements.consent import Paper
from simulator import EnclaveHarness, Sample
from simulator.issuer import SimIssuer
from simulator.sample import FEATURES, tax_csv
from tests.attacks.public import public

SUBJECT = 8
"""Nobody has heard of this firm, and it has consented to nothing yet."""
SCAN = sha256_digest(b"A scan of a paper consent.")
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


REFUSED = (Reason.NO_CONSENT, Outcome.REFUSED, (), None, b"")
"""For want of consent: free of charge, and without a word more."""
ANSWERED = (Truth.NOT_FOUND, [1, 1])
"""An honest consent was all that was missing, and nothing was spent so far."""


def outcome(room: Sample, enclave: EnclaveHarness, serial: int = SUBJECT) -> object:
    """Ask about a subject; tell what a bank and the log see of a refusal."""
    enclave.follow()
    verdict = enclave.ask(room.question(serial))
    release = verdict.release
    sealed = verdict.judged.sealed
    return verdict.reason, release.outcome, release.charges, release.consent, sealed


def with_consent(room: Sample, enclave: EnclaveHarness, serial: int = SUBJECT) -> object:
    """Ask once more after an honest consent; tell the answer, and how much was spent before."""
    room.consent(serial)
    enclave.follow()
    verdict = enclave.ask(room.question(serial))
    return verdict.truth, [charge.cells_before for charge in verdict.release.charges]


def signed(room: Sample, changes: Mapping[str, object], key: SigningKey | None = None) -> Envelope:
    """Make the subject's consent with some fields changed, signed by it or by somebody else."""
    subject = room.world.subject(SUBJECT)
    honest = load(subject.consent(room.bank, FEATURES), Consent)
    return seal_statement(
        Consent.model_validate(honest.model_dump() | dict(changes)), key or subject.key
    )


def test_another_banks_consent_does_not_travel(room: Sample, enclave: EnclaveHarness) -> None:
    room.consent(SUBJECT, room.other_bank)
    assert outcome(room, enclave) == REFUSED
    assert with_consent(room, enclave) == ANSWERED


def test_another_banks_consent_cannot_be_readdressed(room: Sample, enclave: EnclaveHarness) -> None:
    genuine = room.world.subject(SUBJECT).consent(room.other_bank, FEATURES)
    payload = genuine.payload.replace(b'"bank-b"', b'"bank-a"')
    assert payload != genuine.payload
    room.world.publish(Envelope(genuine.payload_type, payload, genuine.signatures))
    room.world.publish(sign(genuine.payload_type, payload, room.bank.key))
    assert outcome(room, enclave) == REFUSED
    assert with_consent(room, enclave) == ANSWERED


def test_another_subjects_consent_does_not_serve(room: Sample, enclave: EnclaveHarness) -> None:
    room.consent(SUBJECT + 1)
    assert outcome(room, enclave) == REFUSED
    assert with_consent(room, enclave) == ANSWERED


CHANGES: dict[str, Callable[[Sample], dict[str, object]]] = {
    "not yet valid": lambda room: {
        "valid_from": room.world.now() + timedelta(seconds=1),
        "valid_to": room.world.now() + timedelta(days=1),
    },
    "expired on its way": lambda room: {
        "valid_from": room.world.now() - timedelta(days=2),
        "valid_to": room.world.now(),
    },
    "for another purpose": lambda _: {"purposes": (Purpose.IN_LOAN, Purpose.PRODUCT_DESIGN)},
    "for one feature of two": lambda _: {"features": ("tax.vat_paid",)},
    "for features that only begin alike": lambda _: {
        "features": ("tax.vat_paid_12m", "tax.arrears")
    },
    "for another owner's features": lambda _: {"features": ("court.vat_paid", "court.arrears")},
    "for information types that no feature has": lambda _: {
        "features": (),
        "information_types": ("1.1", "1.2", "2.1"),
    },
    "of another room": lambda _: {"room": "another.example"},
    "on paper that nobody registered": lambda _: {"paper": Paper(registrar="registry", scan=SCAN)},
}


@pytest.mark.parametrize("how", CHANGES)
def test_a_consent_that_says_something_else_does_not_count(
    room: Sample, enclave: EnclaveHarness, how: str
) -> None:
    room.world.publish(signed(room, CHANGES[how](room)))
    assert outcome(room, enclave) == REFUSED
    assert with_consent(room, enclave) == ANSWERED


def test_a_purpose_cannot_be_switched_after_the_consent(
    room: Sample, enclave: EnclaveHarness
) -> None:
    wider = (Purpose.PRE_LOAN, Purpose.IN_LOAN)
    room.tax.agree(room.bank, wider, replaces=room.agreement)
    template, certificate = room.bank.propose("wide", "tax.vat_paid >= :min_vat", wider)
    room.tax.approve(template, certificate.digest)
    room.consent(SUBJECT)
    enclave.follow()
    subject = room.world.subject(SUBJECT)
    asked = {
        purpose: enclave.ask(
            room.bank.request(subject, template, certificate, {"min_vat": "50000"}, purpose=purpose)
        )
        for purpose in (Purpose.IN_LOAN, Purpose.PRE_LOAN)
    }
    assert asked[Purpose.IN_LOAN].reason is Reason.NO_CONSENT
    assert asked[Purpose.PRE_LOAN].truth is Truth.NOT_FOUND


def test_a_consent_taken_back_does_not_come_back_when_it_is_delivered_again(
    room: Sample, enclave: EnclaveHarness
) -> None:
    subject = room.world.subject(SUBJECT)
    given = subject.give(room.bank, FEATURES)
    enclave.follow()
    subject.revoke(given)
    assert outcome(room, enclave) == REFUSED
    room.world.streams["tax"].append(given)
    assert outcome(room, enclave) == REFUSED
    # Nor in other envelopes: the same words are the same consent.
    again = sign(given.payload_type, given.payload, subject.key, room.bank.key)
    assert again.digest == given.digest
    room.world.streams["tax"].append(again)
    assert outcome(room, enclave) == REFUSED
    enclave.restart()
    assert outcome(room, enclave) == REFUSED
    assert with_consent(room, enclave) == ANSWERED


def test_uses_are_counted_over_repeats_kills_and_other_templates(
    room: Sample, enclave: EnclaveHarness
) -> None:
    other = room.approved("other", "tax.vat_paid >= :min_vat")
    room.world.subject(SUBJECT).give(room.bank, FEATURES, uses=2)
    enclave.follow()
    question = room.question(SUBJECT)
    assert enclave.judge(question) == enclave.judge(question)  # a repeat is no second use
    enclave.kill()
    assert enclave.ask(room.question(SUBJECT, asked=other)).truth is Truth.NOT_FOUND
    last = enclave.ask(room.question(SUBJECT))
    assert (last.reason, last.release.charges) == (Reason.CONSENT_USED_UP, ())


def on_paper(room: Sample, registrar: str, **changes: object) -> Envelope:
    """Make a consent that a registrar's desk signed for paper it says it holds."""
    key = room.world.seeds.signing(f"desk of {registrar}")
    certified = room.world.issuer.issue(organisation_uri(registrar, "desk"), key.verify_key)
    fields = {"certificate": b64(certified), "paper": Paper(registrar=registrar, scan=SCAN)}
    return room.world.publish(signed(room, {**fields, **changes}, key))


@pytest.mark.parametrize("registrar", ["bank-a", "tax", "court", "registrya"])
def test_only_a_registrar_of_the_charter_speaks_for_paper(
    room: Sample, enclave: EnclaveHarness, registrar: str
) -> None:
    on_paper(room, registrar)
    assert outcome(room, enclave) == REFUSED


def test_a_registrar_speaks_for_its_own_paper_only(room: Sample, enclave: EnclaveHarness) -> None:
    on_paper(room, "registry", paper=None)
    on_paper(room, "registry", paper=Paper(registrar="bank-a", scan=SCAN))
    assert outcome(room, enclave) == REFUSED
    on_paper(room, "registry")
    enclave.follow()
    assert enclave.ask(room.question(SUBJECT)).truth is Truth.NOT_FOUND


def twin(der: bytes) -> bytes:
    """Give the other DER form of a certificate: of an ECDSA signature (r, s) it has (r, n - s)."""
    certificate = x509.load_der_x509_certificate(der)
    r, s = decode_dss_signature(certificate.signature)
    signature = encode_dss_signature(r, P256_ORDER - s)
    assert certificate.signature_algorithm_oid.dotted_string == "1.2.840.10045.4.3.2"
    algorithm = bytes.fromhex("300a06082a8648ce3d040302")
    bits = b"\x03" + bytes([len(signature) + 1, 0]) + signature
    body = certificate.tbs_certificate_bytes + algorithm + bits
    return b"\x30\x82" + len(body).to_bytes(2, "big") + body


def test_a_revoked_certificate_is_not_brought_back_by_its_twin(
    room: Sample, enclave: EnclaveHarness
) -> None:
    world, subject = room.world, room.world.subject(SUBJECT)
    other = twin(subject.certificate)
    assert other != subject.certificate
    assert fingerprint(other) == fingerprint(subject.certificate)
    world.publish(world.issuer.revocation(subject.certificate, world.now()))
    world.clock.advance(1)
    room.consent(SUBJECT)
    assert outcome(room, enclave) == REFUSED
    subject.certificate = other
    room.consent(SUBJECT)
    assert outcome(room, enclave) == REFUSED
    assert "certificate was revoked" in enclave.log.getvalue()


def test_before_its_revocation_the_twin_serves_as_the_certificate_itself(
    room: Sample, enclave: EnclaveHarness
) -> None:
    # The control: what was refused above is the revocation, not the form.
    subject = room.world.subject(SUBJECT)
    subject.certificate = twin(subject.certificate)
    assert with_consent(room, enclave) == ANSWERED


def test_a_bank_does_not_learn_why_there_is_no_consent(
    room: Sample, enclave: EnclaveHarness
) -> None:
    never, revoked, expired, elsewhere = range(20, 24)
    subjects = {each: room.world.subject(each) for each in (never, revoked, expired, elsewhere)}
    subjects[revoked].revoke(subjects[revoked].give(room.bank, FEATURES))
    subjects[expired].give(room.bank, FEATURES, valid_for=timedelta(seconds=1))
    room.consent(elsewhere, room.other_bank)
    enclave.follow()
    room.world.clock.advance(5)
    verdicts = [enclave.ask(room.question(each)) for each in subjects]
    assert {verdict.reason for verdict in verdicts} == {Reason.NO_CONSENT}
    first, *others = (public(verdict, placed=False) for verdict in verdicts)
    assert all(told == first for told in others)


def test_what_was_taken_back_by_a_certificate_of_a_former_issuer_stays_so_in_a_fresh_folder(
    room: Sample, tmp_path: Path
) -> None:
    """The stream holds it, and the charter that a new enclave starts with no longer its issuer."""
    world, subject = room.world, room.world.subject(SUBJECT)
    former = SimIssuer("former-issuer", world.room, world.seeds)
    own = subject.certificate
    room.tax.adopt(issuers=(world.issuer.pinned(), former.pinned()))
    given = room.consent(SUBJECT)
    subject.certificate = former.issue(subject_uri(subject.uscc), subject.key.verify_key)
    world.publish(subject.revocation(given))
    subject.certificate = own
    room.tax.adopt()
    room.tax.approve(room.steady.template, room.steady.certificate.digest)
    enclave = EnclaveHarness(room.tax, tmp_path)
    try:
        enclave.load({"firms": tax_csv(world)})
        assert outcome(room, enclave) == REFUSED
        room.consent(SUBJECT)
        enclave.follow()
        assert enclave.ask(room.question(SUBJECT)).truth is Truth.NOT_FOUND
    finally:
        enclave.close()
