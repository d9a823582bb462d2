"""Receipts: an answer without all that must have allowed it is refused with its reason."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Final

import pytest

from saferoom_proto.answer import Truth
from saferoom_proto.dsse import Envelope, Signature
from saferoom_proto.encoding import b64
from saferoom_proto.keys import SigningKey
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.receipt import Receipt, ReceiptPart, verify_receipt
from saferoom_proto.statements import Charter, Feature, load, seal_statement
from tests.client.made import MadeEnclave, make_case
from tests.client.tampering import (
    BROKEN,
    Told,
    altered,
    reason_of,
    text_of,
    told,
)

MISSING: Final = {
    "consent": (None, Reason.NO_CONSENT),
    "approvals": ((), Reason.NOT_APPROVED),
    "features": ((), Reason.UNKNOWN_FEATURE),
}


@pytest.mark.parametrize("name", MISSING)
def test_a_receipt_without_its_grounds_is_refused(whole: Told, name: str) -> None:
    value, reason = MISSING[name]
    assert reason_of(altered(whole.receipt, **{name: value}), whole.trust) is reason


def test_one_approval_of_two_is_refused(whole: Told) -> None:
    one = whole.receipt.parts[1].approvals[:1]
    assert reason_of(altered(whole.receipt, approvals=one * 2), whole.trust) is Reason.NOT_APPROVED


def test_an_endorsement_by_another_agent_is_refused(whole: Told) -> None:
    enclave = whole.case.enclaves["tax"]
    other = enclave.endorse(SigningKey.generate())
    receipt = altered(whole.receipt, endorsement=text_of(other))
    assert reason_of(receipt, whole.trust) is Reason.BAD_ENDORSEMENT


def test_a_release_by_a_made_up_enclave_is_refused(whole: Told) -> None:
    case, question = whole.case, whole.question
    part = case.answer(question, "tax", Truth.YES, SigningKey.generate())
    receipt = case.receipt(question, {"court": whole.parts["court"], "tax": part})
    assert reason_of(receipt, whole.trust) is Reason.BAD_SIGNATURE


def test_a_made_up_enclave_with_its_own_endorsement_is_refused() -> None:
    case = make_case()
    owner = case.world.owner("tax")
    case.enclaves["tax"] = MadeEnclave(owner, "made-up")
    case.enclaves["tax"].endorsement = case.enclaves["tax"].endorse(SigningKey.generate())
    made = told(case)
    assert reason_of(made.receipt, made.trust) is Reason.BAD_ENDORSEMENT


ABOUT: Final = ("request", "template", "certificate", "charter")


@pytest.mark.parametrize("name", ABOUT)
def test_a_release_about_something_else_is_refused(whole: Told, name: str) -> None:
    case, question = whole.case, whole.question
    part = case.answer(question, "tax", **{name: "sha256:" + "1" * 64})
    receipt = case.receipt(question, {"court": whole.parts["court"], "tax": part})
    assert reason_of(receipt, whole.trust) is Reason.BAD_PROOF


@pytest.mark.parametrize("name", ["agreement", "consent"])
def test_a_release_that_names_other_grounds_is_refused(whole: Told, name: str) -> None:
    case, question = whole.case, whole.question
    part = case.answer(question, "tax", **{name: "sha256:" + "1" * 64})
    receipt = case.receipt(question, {"court": whole.parts["court"], "tax": part})
    assert reason_of(receipt, whole.trust) is Reason.BAD_PROOF


def test_a_consent_for_another_bank_is_refused(whole: Told) -> None:
    case, question = whole.case, whole.question
    other = case.world.subject(1).consent("bank-b", ["tax.vat_paid"])
    part = case.answer(question, "tax", consent=other.digest)
    receipt = case.receipt(question, {"court": whole.parts["court"], "tax": part})
    assert reason_of(altered(receipt, consent=text_of(other)), whole.trust) is Reason.NO_CONSENT


def test_a_consent_of_another_subject_is_refused(whole: Told) -> None:
    case, question = whole.case, whole.question
    other = case.world.subject(2).consent("bank-a", ["tax.vat_paid"])
    part = case.answer(question, "tax", consent=other.digest)
    receipt = case.receipt(question, {"court": whole.parts["court"], "tax": part})
    assert reason_of(altered(receipt, consent=text_of(other)), whole.trust) is Reason.NO_CONSENT


def test_a_consent_signed_by_another_subject_is_refused(whole: Told) -> None:
    case, question = whole.case, whole.question
    subject, other = case.world.subject(1), case.world.subject(2)
    given = subject.consent("bank-a", ["tax.vat_paid"], certificate=b64(other.certificate))
    forged = Envelope(
        given.payload_type,
        given.payload,
        (Signature(other.key.verify_key.keyid, other.key.sign(given.pae)),),
    )
    part = case.answer(question, "tax", consent=forged.digest)
    receipt = case.receipt(question, {"court": whole.parts["court"], "tax": part})
    assert reason_of(altered(receipt, consent=text_of(forged)), whole.trust) is Reason.NO_CONSENT


@pytest.mark.parametrize(
    ("days", "reason"), [(2, Reason.EXPIRED), (-2, Reason.NOT_YET_VALID), (400, Reason.EXPIRED)]
)
def test_a_release_outside_the_endorsement_is_refused(
    whole: Told, days: int, reason: Reason
) -> None:
    case, question = whole.case, whole.question
    part = case.answer(question, "tax", time=case.world.now() + timedelta(days=days))
    receipt = case.receipt(question, {"court": whole.parts["court"], "tax": part})
    assert reason_of(receipt, whole.trust) is reason


def test_a_charter_of_another_owner_is_refused(whole: Told) -> None:
    receipt = altered(whole.receipt, charters=whole.receipt.parts[0].charters)
    assert reason_of(receipt, whole.trust) is Reason.BAD_CHARTER


def test_the_agreement_of_another_bank_is_refused(whole: Told) -> None:
    case, question = whole.case, whole.question
    other = case.world.owner("tax").agreement(case.world.bank("bank-b"))
    receipt = altered(whole.receipt, agreement=text_of(other))
    assert reason_of(receipt, whole.trust) is Reason.BAD_PROOF
    part = case.answer(question, "tax", agreement=other.digest)
    receipt = case.receipt(question, {"court": whole.parts["court"], "tax": part})
    receipt = altered(receipt, agreement=text_of(other))
    assert reason_of(receipt, whole.trust) is Reason.NO_AGREEMENT


def test_another_release_certificate_is_refused(whole: Told) -> None:
    changed = whole.receipt.certificate.replace('"most_cells":3', '"most_cells":2')
    assert changed != whole.receipt.certificate
    receipt = whole.receipt.model_copy(update={"certificate": changed})
    assert reason_of(receipt, whole.trust) is Reason.CERTIFICATE_MISMATCH


def test_an_answer_beside_a_refusal_is_refused(whole: Told) -> None:
    case, question = whole.case, whole.question
    refused = case.answer(question, "tax", Reason.WITHHELD, approvals=())
    receipt = case.receipt(question, {"court": whole.parts["court"], "tax": refused})
    receipt = altered(receipt, answer=whole.receipt.parts[1].answer)
    assert reason_of(receipt, whole.trust) is Reason.BAD_PROOF
    assert reason_of(altered(whole.receipt, answer=None), whole.trust) is Reason.BAD_PROOF


def test_a_later_charter_is_led_to_from_the_first_one() -> None:
    case = make_case("a second charter")
    owner = case.world.owner("tax")
    owner.adopt()
    certificate = case.certificate.digest
    case.approvals["tax"] = tuple(owner.approve(case.template, certificate))
    case.enclaves["tax"] = MadeEnclave(owner, "second")
    made = told(case)
    first, second = (text_of(each) for each in owner.charters)
    for charters in ((second,), (first, second)):
        assert verify_receipt(altered(made.receipt, charters=charters), made.trust).answer
    for charters in ((second, first), (first, first), (first,)):
        assert reason_of(altered(made.receipt, charters=charters), made.trust)


def test_a_charter_that_its_root_never_signed_is_refused(whole: Told) -> None:
    charter = load(whole.case.world.owner("tax").charters[-1], Charter)
    forged = seal_statement(charter, SigningKey.generate())
    receipt = altered(whole.receipt, charter=text_of(forged))
    assert reason_of(receipt, whole.trust) is Reason.BAD_CHARTER


def test_a_feature_that_no_approver_signed_is_refused(whole: Told) -> None:
    feature = load(whole.case.features["tax"], Feature)
    forged = seal_statement(feature, SigningKey.generate())
    receipt = altered(whole.receipt, features=(text_of(forged),))
    assert reason_of(receipt, whole.trust) is Reason.BAD_SIGNATURE


def test_duplicate_keys_unknown_fields_and_a_second_document_are_refused(whole: Told) -> None:
    text = whole.receipt.to_json()
    document: dict[str, object] = json.loads(text)
    for bad in (
        text + text,
        text.replace(b'"request":', b'"request": "x", "request":', 1),
        json.dumps({**document, "note": "x"}).encode(),
        text.replace(b"saferoom-receipt/v1", b"saferoom-receipt/v9", 1),
        b"[]",
    ):
        with pytest.raises(SafeRoomError) as refused:
            Receipt.from_json(bad)
        assert refused.value.reason is Reason.MALFORMED


def test_every_text_of_a_part_is_covered_by_a_tampering_test() -> None:
    # Handovers of roots: tests/client/test_handed_over_roots.py.
    covered = {*BROKEN, *MISSING, "charters", "handovers", "salt", "proof", "answer", "owner"}
    assert covered - {"charter"} == set(ReceiptPart.model_fields)
