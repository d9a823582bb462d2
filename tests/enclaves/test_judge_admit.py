"""What an enclave answers, and every rule by which it refuses, whatever the server says."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from saferoom_proto.answer import Truth
from saferoom_proto.dsse import Envelope
from saferoom_proto.identity import subject_uri
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Outcome, Purpose, Template, load, seal_statement
from simulator import ROOM, Approved, EnclaveHarness, Sample, Seeds, SimIssuer
from simulator.sample import FEATURES


def refused(enclave: EnclaveHarness, question: Envelope) -> Reason | None:
    """Tell the verdict on a question that must not be answered."""
    verdict = enclave.ask(question)
    assert verdict.release.outcome is Outcome.REFUSED
    assert verdict.judged.sealed == b""
    return verdict.reason


def plainly(enclave: EnclaveHarness, question: Envelope) -> Reason:
    """Tell the plain refusal of a question, of which nothing was recorded."""
    before = enclave.enclave.whereabouts().chain_length
    with pytest.raises(SafeRoomError) as error:
        enclave.judge(question)
    assert enclave.enclave.whereabouts().chain_length == before
    return error.value.reason


@pytest.mark.parametrize(
    ("serial", "truth"),
    [(1, Truth.YES), (2, Truth.NO), (3, Truth.NO), (4, Truth.NOT_FOUND), (9, Truth.NOT_FOUND)],
)
def test_the_answer_is_what_sql_would_say(
    room: Sample, enclave: EnclaveHarness, serial: int, truth: Truth
) -> None:
    assert enclave.ask(room.question(serial, "10000")).truth is truth


def test_level_one_is_answered_without_consent_and_without_charge(
    room: Sample, enclave: EnclaveHarness
) -> None:
    verdict = enclave.ask(room.question(7, asked=room.public))
    assert verdict.truth is Truth.NO
    assert verdict.release.charges == ()
    assert verdict.release.consent is None


def test_a_purpose_that_was_not_agreed_is_refused_plainly(
    room: Sample, enclave: EnclaveHarness
) -> None:
    question = room.question(purpose=Purpose.PRODUCT_DESIGN)
    assert plainly(enclave, question) is Reason.NO_AGREEMENT


def test_a_purpose_that_the_template_does_not_serve_is_refused(
    room: Sample, enclave: EnclaveHarness
) -> None:
    wider = (Purpose.PRE_LOAN, Purpose.IN_LOAN)
    room.tax.agree(room.bank, wider, replaces=room.agreement)
    enclave.follow()
    assert refused(enclave, room.question(purpose=Purpose.IN_LOAN)) is Reason.WRONG_PURPOSE


def test_a_template_altered_after_its_approval_is_refused(
    room: Sample, enclave: EnclaveHarness
) -> None:
    template = load(room.steady.template, Template)
    looser = template.model_copy(update={"check": "tax.vat_paid >= :min_vat"})
    altered = room.world.publish(seal_statement(looser, room.bank.key))
    certificate = room.world.publish(room.bank.certificate(altered))
    enclave.follow()
    own = Approved(altered, certificate)
    assert refused(enclave, room.question(asked=own)) is Reason.NOT_APPROVED
    swapped = Approved(altered, room.steady.certificate)
    assert refused(enclave, room.question(asked=swapped)) is Reason.CERTIFICATE_MISMATCH


def test_a_certificate_that_tells_less_than_the_template_is_refused(
    room: Sample, enclave: EnclaveHarness
) -> None:
    other, certificate = room.bank.propose("other", "tax.vat_paid >= :min_vat")
    room.tax.approve(room.steady.template, certificate.digest)
    room.tax.approve(other, room.steady.certificate.digest)
    enclave.follow()
    for crossed in (
        Approved(room.steady.template, certificate),
        Approved(other, room.steady.certificate),
    ):
        assert refused(enclave, room.question(asked=crossed)) is Reason.CERTIFICATE_MISMATCH


def test_a_certificate_derived_from_another_version_of_a_feature_is_refused(
    room: Sample, enclave: EnclaveHarness
) -> None:
    assert enclave.ask(room.question()).truth is Truth.YES
    definition = next(
        pinned.definition
        for ref, pinned in room.world.features.items()
        if str(ref) == "tax.arrears"
    )
    room.tax.define(definition.model_copy(update={"version": 2}))
    enclave.follow()
    assert refused(enclave, room.question()) is Reason.CERTIFICATE_MISMATCH


def test_a_template_and_a_certificate_that_nobody_handed_in_are_refused(
    room: Sample, enclave: EnclaveHarness
) -> None:
    template = room.bank.template("unknown", "tax.vat_paid >= :min_vat")
    unknown = Approved(template, room.bank.certificate(template))
    assert refused(enclave, room.question(asked=unknown)) is Reason.NOT_APPROVED
    half = Approved(room.steady.template, unknown.certificate)
    assert refused(enclave, room.question(asked=half)) is Reason.CERTIFICATE_MISMATCH


def test_one_approval_of_two_is_not_enough(room: Sample, enclave: EnclaveHarness) -> None:
    template, certificate = room.bank.propose("half", "tax.vat_paid >= :min_vat")
    room.tax.approve(template, certificate.digest, ("chen",))
    enclave.follow()
    half = Approved(template, certificate)
    assert refused(enclave, room.question(asked=half)) is Reason.NOT_APPROVED
    room.world.clock.advance(1)
    room.tax.approve(template, certificate.digest, ("chen",))  # a second of the same approver
    enclave.follow()
    assert refused(enclave, room.question(asked=half)) is Reason.NOT_APPROVED
    room.tax.approve(template, certificate.digest, ("wang",))
    enclave.follow()
    assert enclave.ask(room.question(asked=half)).truth is Truth.YES


def test_a_withdrawn_approval_does_not_count_until_a_fresh_one_is_given(
    room: Sample, enclave: EnclaveHarness
) -> None:
    stream = room.world.streams["tax"]
    given = [each for each in stream.statements if ".approval." in each.payload_type]
    room.tax.withdraw(room.steady.template, "wang")
    enclave.follow()
    assert refused(enclave, room.question()) is Reason.NOT_APPROVED
    for old in given:  # a server that delivers the old ones again
        stream.append(old)
    enclave.follow()
    assert refused(enclave, room.question()) is Reason.NOT_APPROVED
    room.world.clock.advance(1)
    room.tax.approve(room.steady.template, room.steady.certificate.digest)
    enclave.follow()
    assert enclave.ask(room.question()).truth is Truth.YES


def test_without_consent_there_is_no_answer(room: Sample, enclave: EnclaveHarness) -> None:
    assert refused(enclave, room.question(8)) is Reason.NO_CONSENT


def test_the_consent_of_another_subject_does_not_count(
    room: Sample, enclave: EnclaveHarness
) -> None:
    other = room.world.subject(6)
    signed_by_other = other.consent(room.bank, FEATURES, subject=room.world.subject(8).uscc)
    room.world.publish(signed_by_other)
    enclave.follow()
    assert refused(enclave, room.question(8)) is Reason.NO_CONSENT
    assert "NO_CONSENT" in enclave.log.getvalue()


def test_a_consent_for_another_bank_does_not_count(room: Sample, enclave: EnclaveHarness) -> None:
    assert refused(enclave, room.question(bank=room.other_bank)) is Reason.NO_CONSENT


def test_a_consent_for_another_purpose_or_feature_does_not_count(
    room: Sample, enclave: EnclaveHarness
) -> None:
    subject = room.world.subject(8)
    subject.give(room.bank, FEATURES, (Purpose.IN_LOAN,))
    subject.give(room.bank, ("tax.vat_paid",))
    subject.give(room.bank, (), information_types=("1.1",))
    enclave.follow()
    assert refused(enclave, room.question(8)) is Reason.NO_CONSENT


def test_an_expired_consent_does_not_count(room: Sample, enclave: EnclaveHarness) -> None:
    room.world.subject(8).give(room.bank, FEATURES, valid_for=timedelta(seconds=30))
    enclave.follow()
    assert enclave.ask(room.question(8)).truth is Truth.NOT_FOUND
    room.world.clock.advance(30)
    assert refused(enclave, room.question(8)) is Reason.NO_CONSENT


def test_a_consent_from_no_issuer_of_the_charter_does_not_count(
    room: Sample, enclave: EnclaveHarness
) -> None:
    subject, stranger = room.world.subject(8), SimIssuer("issuer", ROOM, Seeds("another"))
    subject.certificate = stranger.issue(subject_uri(subject.uscc), subject.key.verify_key)
    subject.give(room.bank, FEATURES)
    enclave.follow()
    assert refused(enclave, room.question(8)) is Reason.NO_CONSENT


def test_a_consent_serves_as_many_requests_as_it_says(
    room: Sample, enclave: EnclaveHarness
) -> None:
    room.world.subject(8).give(room.bank, FEATURES, uses=2)
    enclave.follow()
    for _ in range(2):
        assert enclave.ask(room.question(8)).truth is Truth.NOT_FOUND
    enclave.restart()
    assert refused(enclave, room.question(8)) is Reason.CONSENT_USED_UP


@pytest.mark.parametrize("value", ["50001", "NaN", "Infinity", "5e4", "-1", "\u0665\u0660"])
def test_a_value_off_the_grid_is_refused(room: Sample, enclave: EnclaveHarness, value: str) -> None:
    assert refused(enclave, room.question(min_vat=value)) is Reason.OFF_GRID


@pytest.mark.parametrize("params", [{}, {"min_vat": "50000", "max_vat": "1"}, {"min_vat": True}])
def test_parameters_that_the_template_does_not_take_are_refused(
    room: Sample, enclave: EnclaveHarness, params: dict[str, str | bool]
) -> None:
    check = room.steady
    subject = room.world.subject(1)
    question = room.bank.request(subject, check.template, check.certificate, params)
    assert refused(enclave, question) is Reason.OFF_DOMAIN


def test_a_nonce_used_for_another_question_is_refused(
    room: Sample, enclave: EnclaveHarness
) -> None:
    nonce = "AAAAAAAAAAAAAAAAAAAAAA=="
    enclave.ask(room.question(1, nonce=nonce))
    assert refused(enclave, room.question(2, nonce=nonce)) is Reason.NONCE_REUSED
    enclave.restart()
    assert refused(enclave, room.question(3, nonce=nonce)) is Reason.NONCE_REUSED
    assert enclave.ask(room.question(2)).truth is Truth.NO


def test_a_question_before_or_after_its_window_is_refused(
    room: Sample, enclave: EnclaveHarness
) -> None:
    now = room.world.now()
    short = timedelta(seconds=5)
    ahead = room.question(not_before=now + short, not_after=now + 2 * short)
    assert refused(enclave, ahead) is Reason.NOT_YET_VALID
    past = room.question(not_before=now - short, not_after=now)
    assert refused(enclave, past) is Reason.EXPIRED


def test_a_paused_store_or_template_is_refused_and_goes_on_later(
    room: Sample, enclave: EnclaveHarness
) -> None:
    for target in (None, room.steady.template):
        room.world.clock.advance(1)
        room.tax.pause(target)
        enclave.follow()
        assert refused(enclave, room.question()) is Reason.PAUSED
        assert (enclave.ask(room.question(asked=room.public)).reason is None) == (
            target is not None
        )
        room.world.clock.advance(1)
        for approver in ("li", "wang"):
            assert refused(enclave, room.question()) is Reason.PAUSED
            room.tax.pause(target, paused=False, approver=approver)
            enclave.follow()
        assert enclave.ask(room.question()).truth is Truth.YES


def test_a_question_the_server_makes_up_is_refused_plainly(
    room: Sample, enclave: EnclaveHarness
) -> None:
    forged = room.question(key=room.world.seeds.signing("the server"))
    assert plainly(enclave, forged) is Reason.BAD_SIGNATURE


def test_a_question_signed_by_another_bank_is_refused_plainly(
    room: Sample, enclave: EnclaveHarness
) -> None:
    assert plainly(enclave, room.question(key=room.other_bank.key)) is Reason.BAD_SIGNATURE


def test_a_bank_without_an_agreement_is_refused_plainly(
    room: Sample, enclave: EnclaveHarness
) -> None:
    stranger = room.world.bank("bank-c")
    assert plainly(enclave, room.question(bank=stranger)) is Reason.NO_AGREEMENT


def test_an_agreement_counts_until_it_ends(room: Sample, enclave: EnclaveHarness) -> None:
    room.tax.end(room.agreement)
    enclave.follow()
    assert plainly(enclave, room.question()) is Reason.NO_AGREEMENT
    room.world.streams["tax"].append(room.agreement)  # delivered again
    enclave.follow()
    assert plainly(enclave, room.question()) is Reason.NO_AGREEMENT


def test_what_is_no_question_is_refused_plainly(room: Sample, enclave: EnclaveHarness) -> None:
    question = room.question()
    for wrong in (
        room.steady.template,
        Envelope(question.payload_type, b'{"room":"room.example"}', question.signatures),
        Envelope(question.payload_type, question.payload + b"{}", question.signatures),
    ):
        assert plainly(enclave, wrong) is Reason.MALFORMED


def test_an_enclave_without_data_says_so_plainly(room: Sample, tmp_path: Path) -> None:
    harness = EnclaveHarness(room.tax, tmp_path)
    room.consent(1)
    harness.follow()
    try:
        assert plainly(harness, room.question()) is Reason.NO_DATA
    finally:
        harness.close()
