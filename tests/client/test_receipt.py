"""Receipts: whole ones verify offline, and every single tampering is refused with its reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import pytest

from saferoom_client.question import Question
from saferoom_proto.answer import Answer, Truth
from saferoom_proto.dsse import Envelope, Signature
from saferoom_proto.encoding import b64
from saferoom_proto.keys import SigningKey
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.receipt import Receipt, ReceiptPart, Trust, verify_receipt
from saferoom_proto.statements import Charter, Feature, load, seal_statement
from saferoom_proto.wire import Part
from tests.client.made import Case, MadeEnclave, make_case


@dataclass(frozen=True, slots=True)
class Told:
    """A case, its question, its parts and its receipt."""

    case: Case
    question: Question
    parts: dict[str, Part]
    receipt: Receipt

    @property
    def trust(self) -> Trust:
        return self.case.world.trust()


def told(case: Case | None = None) -> Told:
    case = case or make_case()
    question = case.question()
    parts = {owner: case.answer(question, owner) for owner in ("court", "tax")}
    return Told(case, question, parts, case.receipt(question, parts))


@pytest.fixture(scope="module")
def whole() -> Told:
    return told()


def altered(receipt: Receipt, **changes: object) -> Receipt:
    """Change fields of the second part, which is that of `tax`."""
    if "charter" in changes:
        changes["charters"] = (changes.pop("charter"),)
    parts = (receipt.parts[0], receipt.parts[1].model_copy(update=changes))
    return receipt.model_copy(update={"parts": parts})


def text_in(receipt: Receipt, name: str) -> str:
    """Read an envelope of the part of `tax`."""
    part = receipt.parts[1]
    return part.charters[-1] if name == "charter" else getattr(part, name)


def resigned(text: str) -> str:
    """Sign the same bytes with a key of one's own."""
    envelope = Envelope.from_json(text.encode())
    key = SigningKey.generate()
    signature = Signature(key.verify_key.keyid, key.sign(envelope.pae))
    return text_of(Envelope(envelope.payload_type, envelope.payload, (signature,)))


def flipped(text: str) -> str:
    """Turn one bit of every signature."""
    envelope = Envelope.from_json(text.encode())
    signatures = tuple(
        Signature(one.keyid, bytes([one.sig[0] ^ 1]) + one.sig[1:]) for one in envelope.signatures
    )
    return text_of(Envelope(envelope.payload_type, envelope.payload, signatures))


def reworded(text: str, old: str, new: str) -> str:
    """Change a word of what was signed, leaving the signatures."""
    envelope = Envelope.from_json(text.encode())
    payload = envelope.payload.replace(old.encode(), new.encode())
    assert payload != envelope.payload
    return text_of(Envelope(envelope.payload_type, payload, envelope.signatures))


def text_of(envelope: Envelope) -> str:
    return envelope.to_json().decode()


def reason_of(receipt: Receipt, trust: Trust) -> Reason:
    with pytest.raises(SafeRoomError) as refused:
        verify_receipt(receipt, trust)
    return refused.value.reason


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
BROKEN: Final = {
    "charter": Reason.BAD_CHARTER,
    "endorsement": Reason.BAD_ENDORSEMENT,
    "release": Reason.BAD_SIGNATURE,
    "agreement": Reason.BAD_SIGNATURE,
    "consent": Reason.BAD_SIGNATURE,
}


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
    covered = {*BROKEN, *MISSING, "charters", "salt", "proof", "answer", "owner"} - {"charter"}
    assert covered == set(ReceiptPart.model_fields)
