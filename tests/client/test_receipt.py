"""Receipts: whole ones verify offline, and every single tampering is refused with its reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pytest

from saferoom_proto.answer import Answer, Truth
from saferoom_proto.encoding import b64
from saferoom_proto.keys import SigningKey
from saferoom_proto.reasons import Reason
from saferoom_proto.receipt import Receipt, verify_receipt
from tests.client.made import make_case
from tests.client.tampering import (
    BROKEN,
    Told,
    altered,
    flipped,
    reason_of,
    resigned,
    reworded,
    text_in,
    told,
)


def test_a_whole_receipt_verifies_offline(whole: Told) -> None:
    verified = verify_receipt(Receipt.from_json(whole.receipt.to_json()), whole.trust)
    assert verified.answer is Truth.YES
    assert verified.request_id == whole.question.request_id
    assert sorted(verified.parts) == ["court", "tax"]


def test_the_parts_are_folded_into_one_answer() -> None:
    case = make_case()
    question = case.question()
    for tax, folded in ((Truth.NO, Truth.NO), (Truth.NOT_FOUND, Truth.NOT_FOUND)):
        parts = {"court": case.answer(question, "court"), "tax": case.answer(question, "tax", tax)}
        receipt = case.receipt(question, parts)
        assert verify_receipt(receipt, case.world.trust()).answer is folded


def test_a_refusal_has_a_receipt_too(whole: Told) -> None:
    case, question = whole.case, whole.question
    refused = case.answer(question, "tax", Reason.OVER_BUDGET, approvals=())
    receipt = case.receipt(question, {"court": whole.parts["court"], "tax": refused})
    verified = verify_receipt(receipt, whole.trust)
    assert verified.answer is None
    assert verified.parts["tax"].release.reason is Reason.OVER_BUDGET


ENVELOPES: Final = ("charter", "endorsement", "release", "agreement", "consent")


@pytest.mark.parametrize("how", [resigned, flipped])
@pytest.mark.parametrize("name", ENVELOPES)
def test_an_envelope_with_another_signature_is_refused(
    whole: Told, name: str, how: Callable[[str], str]
) -> None:
    receipt = altered(whole.receipt, **{name: how(text_in(whole.receipt, name))})
    assert reason_of(receipt, whole.trust) is BROKEN[name]


@pytest.mark.parametrize("how", [resigned, flipped])
@pytest.mark.parametrize(
    ("name", "reason"), [("approvals", Reason.NOT_APPROVED), ("features", Reason.BAD_SIGNATURE)]
)
def test_an_approval_or_feature_with_another_signature_is_refused(
    whole: Told, name: str, reason: Reason, how: Callable[[str], str]
) -> None:
    texts: tuple[str, ...] = getattr(whole.receipt.parts[1], name)
    receipt = altered(whole.receipt, **{name: (how(texts[0]), *texts[1:])})
    assert reason_of(receipt, whole.trust) in {reason, Reason.BAD_SIGNATURE}


REWORDINGS: Final = {
    "release": ('"sequence":1', '"sequence":2', Reason.BAD_SIGNATURE),
    "charter": ('"max_head_age_seconds":60', '"max_head_age_seconds":61', Reason.BAD_CHARTER),
    "endorsement": ('"sandbox_level":2', '"sandbox_level":3', Reason.BAD_ENDORSEMENT),
    "agreement": ('"group":"bank-a"', '"group":"bank-b"', Reason.BAD_SIGNATURE),
    "consent": ('"uses":null', '"uses":9999', Reason.BAD_SIGNATURE),
}


@pytest.mark.parametrize("name", REWORDINGS)
def test_an_envelope_with_another_word_is_refused(whole: Told, name: str) -> None:
    old, new, reason = REWORDINGS[name]
    receipt = altered(whole.receipt, **{name: reworded(text_in(whole.receipt, name), old, new)})
    assert reason_of(receipt, whole.trust) is reason


def test_a_feature_with_another_word_is_refused(whole: Told) -> None:
    text = whole.receipt.parts[1].features[0]
    receipt = altered(whole.receipt, features=(reworded(text, "1000", "1001"),))
    assert reason_of(receipt, whole.trust) is Reason.CERTIFICATE_MISMATCH


def test_a_request_or_template_with_another_word_is_refused(whole: Told) -> None:
    request = reworded(whole.receipt.request, '"least":"5000"', '"least":"1000"')
    receipt = whole.receipt.model_copy(update={"request": request})
    assert reason_of(receipt, whole.trust) is Reason.BAD_PROOF
    template = reworded(whole.receipt.template, "IS FALSE", "IS TRUE")
    receipt = whole.receipt.model_copy(update={"template": template})
    assert reason_of(receipt, whole.trust) is Reason.CERTIFICATE_MISMATCH


def test_a_request_that_another_bank_signed_is_refused(whole: Told) -> None:
    receipt = whole.receipt.model_copy(update={"request": resigned(whole.receipt.request)})
    assert reason_of(receipt, whole.trust) is Reason.BAD_SIGNATURE


def test_another_salt_is_refused(whole: Told) -> None:
    receipt = altered(whole.receipt, salt=b64(bytes(32)))
    assert reason_of(receipt, whole.trust) is Reason.BAD_PROOF


def test_another_place_in_the_log_is_refused(whole: Told) -> None:
    proof = whole.receipt.parts[1].proof
    first, _, rest = proof.partition("\nindex ")
    index, _, hashes = rest.partition("\n")
    moved = f"{first}\nindex {int(index) - 1}\n{hashes}"
    assert reason_of(altered(whole.receipt, proof=moved), whole.trust) is Reason.BAD_PROOF


def test_the_proof_of_the_other_part_is_refused(whole: Told) -> None:
    receipt = altered(whole.receipt, proof=whole.receipt.parts[0].proof)
    assert reason_of(receipt, whole.trust) is Reason.BAD_PROOF


def test_a_checkpoint_of_another_ledger_is_refused(whole: Told) -> None:
    other = told(make_case("another room's keys")).receipt.parts[1].proof
    assert reason_of(altered(whole.receipt, proof=other), whole.trust) is Reason.BAD_SIGNATURE


def test_under_another_ledger_key_no_receipt_verifies(whole: Told) -> None:
    key = SigningKey.generate().verify_key.public
    trust = whole.trust.model_copy(update={"ledger_key": key})
    assert reason_of(whole.receipt, trust) is Reason.BAD_SIGNATURE


def test_under_another_charter_root_no_receipt_verifies(whole: Told) -> None:
    roots = {**whole.trust.charter_roots, "tax": SigningKey.generate().verify_key.public}
    trust = whole.trust.model_copy(update={"charter_roots": roots})
    assert reason_of(whole.receipt, trust) is Reason.BAD_CHARTER


def test_without_a_pinned_root_no_receipt_verifies(whole: Told) -> None:
    roots = {"court": whole.trust.charter_roots["court"]}
    trust = whole.trust.model_copy(update={"charter_roots": roots})
    assert reason_of(whole.receipt, trust) is Reason.BAD_CHARTER


def test_in_another_room_no_receipt_verifies(whole: Told) -> None:
    trust = whole.trust.model_copy(update={"origin": "other.example"})
    assert reason_of(whole.receipt, trust) is Reason.BAD_PROOF


@pytest.mark.parametrize("truth", [Truth.NO, Truth.NOT_FOUND])
def test_another_answer_is_refused(whole: Told, truth: Truth) -> None:
    mine = whole.question.open(whole.parts["tax"].sealed, "tax")
    other = Answer(truth, Answer.from_bytes(mine).salt).to_bytes()
    receipt = altered(whole.receipt, answer=b64(other))
    assert reason_of(receipt, whole.trust) is Reason.BAD_PROOF


def test_the_answer_of_the_other_part_is_refused(whole: Told) -> None:
    receipt = altered(whole.receipt, answer=whole.receipt.parts[0].answer)
    assert reason_of(receipt, whole.trust) is Reason.BAD_PROOF


def test_swapped_parts_are_refused(whole: Told) -> None:
    court, tax = whole.receipt.parts
    swapped = (
        court.model_copy(update={"owner": "tax"}),
        tax.model_copy(update={"owner": "court"}),
    )
    receipt = whole.receipt.model_copy(update={"parts": swapped})
    assert reason_of(receipt, whole.trust) is Reason.BAD_CHARTER


def test_a_missing_or_doubled_part_is_refused(whole: Told) -> None:
    court, tax = whole.receipt.parts
    for parts in ((court,), (court, tax, tax)):
        receipt = whole.receipt.model_copy(update={"parts": parts})
        refused = reason_of(receipt, whole.trust)
        assert refused in {Reason.CERTIFICATE_MISMATCH, Reason.UNKNOWN_FEATURE}
