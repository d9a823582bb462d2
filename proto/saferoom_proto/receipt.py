"""A receipt: one file that shows offline what was asked, allowed and answered.

It needs nothing from the room: only the keys that its reader pinned when it joined (`Trust`).
`verify_receipt` goes the same way as `docs/life-of-a-check.md`, step by step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field, ValidationError

from saferoom_proto.answer import Answer, Told, commitment
from saferoom_proto.blind import is_offer
from saferoom_proto.certificate import OwnerPart, ReleaseCertificate, derive_certificate, rests_on
from saferoom_proto.checkpoint import (
    Checkpoint,
    parse_proof,
)
from saferoom_proto.conjunction import NO_CHARTERS
from saferoom_proto.covering import require_consent_covers
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import unb64
from saferoom_proto.entry import commitment as entry_commitment
from saferoom_proto.entry import leaf
from saferoom_proto.pinned import pin
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.receipt_part import AskedFile, Handovers, OwnFeatures, SaidPart
from saferoom_proto.roots import open_under
from saferoom_proto.shares import Share
from saferoom_proto.statements import (
    CheckRequest,
    Consent,
    Feature,
    FitRelease,
    FitRequest,
    JobAdmission,
    ListRequest,
    Outcome,
    Release,
    TableRelease,
    TableRequest,
    Template,
    load,
)
from saferoom_proto.statements.base import Base64, Owner, Part, field_faults
from saferoom_proto.suite import suite_of
from saferoom_proto.trust import Trust
from saferoom_proto.verification import (
    PinnedCharter,
    succeed_charter,
    verify_agreement,
    verify_approvals,
    verify_by_any_approver,
    verify_by_enclave,
    verify_endorsement,
    verify_request,
    verify_subject_statement,
)

RECEIPT_LIMIT_BYTES: Final = 4 * 1024 * 1024


class ReceiptPart(Part):
    """One owner's part of a receipt. Envelopes are DSSE JSON documents, as text."""

    owner: Owner
    charters: Annotated[tuple[str, ...], Field(min_length=1, max_length=64)]
    """The charter in force, and before it those that lead to it from the pinned root."""
    features: tuple[str, ...]
    approvals: tuple[str, ...]
    agreement: str
    consent: str | None
    endorsement: str
    release: str
    salt: Base64
    proof: str
    answer: Base64 | None
    """The opened answer's 50 bytes; none for a refusal."""
    handovers: Handovers = ()


class Receipt(AskedFile[Literal["saferoom-receipt/v1"]]):
    """What a receipt file holds."""

    most_bytes: ClassVar[int] = RECEIPT_LIMIT_BYTES
    format: Literal["saferoom-receipt/v1"] = "saferoom-receipt/v1"
    parts: Annotated[tuple[ReceiptPart, ...], Field(min_length=1, max_length=64)]


@dataclass(frozen=True, slots=True)
class VerifiedPart:
    """What one owner's enclave verifiably said."""

    release: Release
    answer: Told | None
    checkpoint: Checkpoint
    index: int


@dataclass(frozen=True, slots=True)
class VerifiedReceipt:
    """What a receipt verifiably shows."""

    request: CheckRequest
    request_id: str
    template: Template
    certificate: ReleaseCertificate
    parts: Mapping[str, VerifiedPart]

    @property
    def answer(self) -> Told | None:
        """All parts folded into one answer; none if any owner refused."""
        answers = [part.answer for part in self.parts.values()]
        told = [answer for answer in answers if answer is not None]
        return self.certificate.fold(told) if len(told) == len(answers) else None


def verify_receipt(receipt: Receipt, trust: Trust) -> VerifiedReceipt:
    """Verify a receipt offline.

    Raises:
        SafeRoomError: the reason names the first step that fails.
    """
    # Step 1: the question. Its signature is checked against each owner's agreement below.
    request_envelope = Envelope.from_text(receipt.request)
    request = load(request_envelope, CheckRequest)
    if request.room != trust.origin:
        raise SafeRoomError(Reason.BAD_PROOF, "a receipt of another room")
    # Step 2: the template, and its release certificate derived anew from the pinned features.
    template, certificate = open_template(
        receipt.template,
        receipt.certificate,
        receipt.parts,
        (request.template, request.certificate),
    )
    # Step 3: each owner's part.
    parts = {
        part.owner: _verify_part(part, request_envelope, certificate, trust)
        for part in receipt.parts
    }
    return VerifiedReceipt(request, request_envelope.digest, template, certificate, parts)


@dataclass(frozen=True, slots=True)
class SaidWord:
    """An enclave's word on a question, verified but for what was opened.

    Attributes:
        release: the word.
        charter: under which it was said.
        features: of its owner, as the certificate names them.
        checkpoint: the log that it stands in.
        index: its entry there.
    """

    release: Release
    charter: PinnedCharter
    features: tuple[Feature, ...]
    checkpoint: Checkpoint
    index: int


def verify_said(
    part: SaidPart, request_envelope: Envelope, certificate: ReleaseCertificate, trust: Trust
) -> SaidWord:
    """Verify an owner's part of a receipt, but for the consent it needs and what was opened.

    Raises:
        SafeRoomError: the reason names the first step that fails.
    """
    # Step 3a: the charter under its pinned root; the enclave's key under the charter.
    charter = open_charters(part.owner, part.charters, trust, part.handovers)
    endorsement_envelope = Envelope.from_text(part.endorsement)
    release_envelope = Envelope.from_text(part.release)
    moment = load(release_envelope, Release).time
    endorsement = verify_endorsement(endorsement_envelope, charter, moment)
    # Step 3b: the enclave's word, that it is about this very question, and in its window.
    release = verify_by_enclave(release_envelope, endorsement, endorsement_envelope.digest, Release)
    request = load(request_envelope, CheckRequest)
    require_about(release, request_envelope.digest, request, charter)
    # Step 3c: who asked, refused or not: an agreement's key signed the question.
    agreement_envelope = Envelope.from_text(part.agreement)
    agreement = verify_agreement(agreement_envelope, charter)
    require_same(release.agreement, agreement_envelope.digest, "agreement")
    verify_request(request_envelope, CheckRequest, agreement, moment)
    features = verify_features(part, charter, certificate)
    # Step 3d: what allowed it.
    if release.outcome is Outcome.ANSWERED:
        agreement.agreement.require_valid(moment)
        require_approved(part.approvals, release.approvals, charter, certificate)
        require_pinned(charter, certificate.part(part.owner))
    # Step 3e: its place in the log.
    checkpoint, index = verify_recorded(
        release_envelope.digest, unb64(part.salt), part.proof, trust
    )
    return SaidWord(release, charter, features, checkpoint, index)


def _verify_part(
    part: ReceiptPart, request_envelope: Envelope, certificate: ReleaseCertificate, trust: Trust
) -> VerifiedPart:
    said = verify_said(part, request_envelope, certificate, trust)
    release = said.release
    # Step 3f: the consent that it needs, and the answer under its commitment.
    if release.outcome is Outcome.ANSWERED and certificate.part(part.owner).needs_consent:
        request = load(request_envelope, CheckRequest)
        _require_consented(part, release, said.charter, request, said.features)
    answer = None
    if part.answer is not None:
        answer = open_answer(release, unb64(part.answer), certificate, part.owner)
    if (answer is None) != (release.outcome is Outcome.REFUSED):
        raise SafeRoomError(Reason.BAD_PROOF, "an answer is missing, or one too many")
    return VerifiedPart(release, answer, said.checkpoint, said.index)


def require_about(
    release: Release | TableRelease | FitRelease | JobAdmission,
    request_id: str,
    request: CheckRequest | TableRequest | FitRequest | ListRequest,
    charter: PinnedCharter,
) -> None:
    """Refuse with `BAD_PROOF` unless a release is the word on this very request, in its window."""
    said = (release.request, release.institution, release.template, release.certificate)
    asked = (request_id, request.institution, request.template, request.certificate)
    if (*said, release.charter) != (*asked, charter.digest):
        raise SafeRoomError(Reason.BAD_PROOF, "the release is about another question")
    answered = isinstance(release, JobAdmission) or release.outcome is Outcome.ANSWERED
    if answered and not request.not_before <= release.time < request.not_after:
        raise SafeRoomError(Reason.BAD_PROOF, "answered outside of the question's window")


def open_charters(
    owner: str, charters: Sequence[str], trust: Trust, handovers: Sequence[str] = ()
) -> PinnedCharter:
    """Open the charters that lead from an owner's pinned root to the one in force, the last."""
    first, *later = charters
    charter = open_under(Envelope.from_text(first), owner, trust, handovers)
    for text in later:
        opened = open_under(Envelope.from_text(text), owner, trust, handovers)
        charter = succeed_charter(charter, Envelope.from_text(text), opened.charter.root)
    return charter


def open_template(
    template: str, certificate: str, parts: Sequence[OwnFeatures], asked: tuple[str, str]
) -> tuple[Template, ReleaseCertificate]:
    """Open a receipt's template, and derive its release certificate anew from its features.

    Args:
        template: the envelope, as text.
        certificate: the certificate's payload, as text.
        parts: of the receipt, one for each owner of the template.
        asked: the digests of template and certificate that the request names.

    Raises:
        SafeRoomError: `CERTIFICATE_MISMATCH`, or the step that fails.
    """
    envelope = Envelope.from_text(template)
    opened = load(envelope, Template)
    features = pin(Envelope.from_text(one) for part in parts for one in part.features)
    derived = derive_certificate(envelope, features, _charters_said(certificate, envelope))
    if derived.to_bytes() != certificate.encode():
        raise SafeRoomError(Reason.CERTIFICATE_MISMATCH, "the certificate is not the template's")
    if asked != (envelope.digest, derived.digest):
        raise SafeRoomError(Reason.CERTIFICATE_MISMATCH, "the request names another template")
    if sorted(part.owner for part in parts) != [part.owner for part in derived.parts]:
        raise SafeRoomError(Reason.CERTIFICATE_MISMATCH, "a part is missing, or one too many")
    return opened, derived


def _charters_said(certificate: str, template: Envelope) -> Mapping[str, str]:
    """Give the charters that a certificate says it pins, where its owners give shares.

    Each owner's part is held to its own where it is verified (`require_pinned`).
    """
    if not rests_on(load(template, Template)):
        return NO_CHARTERS
    try:
        said = ReleaseCertificate.model_validate_json(certificate, context=template.suite)
    except ValidationError as error:
        raise SafeRoomError(Reason.MALFORMED, "certificate", field_faults(error)) from None
    return {each.owner: each.charter for each in said.parts if each.charter is not None}


def require_pinned(charter: PinnedCharter, owned: OwnerPart) -> None:
    """Refuse an answer under another charter than the one that a conjunction's shares rest on."""
    if owned.charter not in (None, charter.digest):
        raise SafeRoomError(Reason.CERTIFICATE_MISMATCH, "answered under another charter")


def verify_features(
    part: OwnFeatures, charter: PinnedCharter, certificate: ReleaseCertificate
) -> tuple[Feature, ...]:
    """Check that a part holds exactly the features its certificate names, by its own owner."""
    envelopes = [Envelope.from_text(text) for text in part.features]
    named = sorted(use.digest for use in certificate.part(part.owner).features)
    if sorted(envelope.digest for envelope in envelopes) != named:
        raise SafeRoomError(Reason.CERTIFICATE_MISMATCH, "the features are not the certificate's")
    return tuple(verify_by_any_approver(envelope, charter, Feature) for envelope in envelopes)


def require_approved(
    approvals: Sequence[str],
    named: Sequence[str],
    charter: PinnedCharter,
    certificate: ReleaseCertificate,
) -> None:
    """Refuse unless enough approvers signed these bytes, and a release names just these words."""
    given = [Envelope.from_text(text) for text in approvals]
    counted = verify_approvals(charter, given, certificate.template, certificate.digest)
    if counted != tuple(named):
        raise SafeRoomError(Reason.NOT_APPROVED, "the release names other approvals")


def _require_consented(
    part: ReceiptPart,
    release: Release,
    charter: PinnedCharter,
    request: CheckRequest,
    features: Sequence[Feature],
) -> None:
    if part.consent is None:
        raise SafeRoomError(Reason.NO_CONSENT, "the receipt holds no consent")
    consent_envelope = Envelope.from_text(part.consent)
    consent = load(consent_envelope, Consent)
    verify_subject_statement(consent_envelope, consent, charter, release.time)
    require_consent_covers(consent, request, features, release.time)
    require_same(release.consent, consent_envelope.digest, "consent")


def require_same(said: str | None, held: str, what: str) -> None:
    """Refuse with `BAD_PROOF` unless a release names what its receipt holds."""
    if said != held:
        raise SafeRoomError(Reason.BAD_PROOF, f"the release names another {what}")


def verify_recorded(digest: str, salt: bytes, proof: str, trust: Trust) -> tuple[Checkpoint, int]:
    """Check that a statement stands in the pinned room's ledger.

    Args:
        digest: the statement's digest.
        salt: 32 bytes that open the entry's commitment.
        proof: C2SP tlog-proof.
        trust: the pinned keys.

    Returns:
        The checkpoint it stands under, and its index.

    Raises:
        SafeRoomError: `BAD_PROOF` or `BAD_SIGNATURE`.
    """
    parsed = parse_proof(proof)
    if suite_of(digest) is not trust.suite:
        raise SafeRoomError(Reason.BAD_PROOF, "a statement of another crypto suite than the log's")
    entry = leaf(entry_commitment(salt, digest))
    head = trust.open_checkpoint(parsed.note)
    parsed.require_under(entry, head, trust.suite)
    return head, parsed.index


def open_answer(
    release: Release, answer: bytes, certificate: ReleaseCertificate, owner: str
) -> Told:
    """Check an opened answer against its release's commitment, and that its part can give it."""
    if release.answer is None or commitment(answer, suite_of(release.answer)) != release.answer:
        raise SafeRoomError(Reason.BAD_PROOF, "not the answer that the release commits to")
    if is_offer(answer):
        raise SafeRoomError(Reason.BAD_PROOF, "a blind match is shown by its second message")
    opened, part = Answer.from_bytes(answer), certificate.part(owner)
    told = opened.value
    if isinstance(told, Share) != part.shared:
        raise SafeRoomError(Reason.BAD_PROOF, "a share in place of an answer, or the reverse")
    reasoned = part.score is not None and part.score.reasons > 0
    if opened.scored != (part.score is not None and not part.shared) or opened.reasoned != reasoned:
        raise SafeRoomError(Reason.BAD_PROOF, "an answer of another kind than its template's")
    part.require_told(told)
    return told
