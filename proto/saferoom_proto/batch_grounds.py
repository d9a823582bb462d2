"""What an owner's word on a batch rests on, and what a row's record must agree with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, TypeVar

from pydantic import Field

from saferoom_proto.batch import Record, Row
from saferoom_proto.certificate import OwnerPart, ReleaseCertificate
from saferoom_proto.checkpoint import Checkpoint
from saferoom_proto.covering import require_consent_covers
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import digest_bytes, unb64
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.receipt import require_pinned, verify_features, verify_recorded
from saferoom_proto.receipt_part import Handovers
from saferoom_proto.roots import open_under
from saferoom_proto.statements import (
    BatchRelease,
    BatchRequest,
    Consent,
    Feature,
    Outcome,
    Span,
    load,
)
from saferoom_proto.statements.base import Base64, Owner, Part
from saferoom_proto.statements.batch import row_question
from saferoom_proto.trust import Trust
from saferoom_proto.verification import (
    PinnedAgreement,
    PinnedCharter,
    verify_agreement,
    verify_approvals,
    verify_by_enclave,
    verify_endorsement,
    verify_request,
    verify_subject_statement,
)

_T = TypeVar("_T")


class PartGrounds(Part):
    """What one owner's part of a batch's or a row's receipt rests on; envelopes as text."""

    owner: Owner
    charters: Annotated[tuple[str, ...], Field(min_length=1, max_length=64)]
    """Those that the word and its spans name, each under the pinned root."""
    features: tuple[str, ...]
    approvals: tuple[str, ...]
    agreements: Annotated[tuple[str, ...], Field(min_length=1, max_length=64)]
    endorsement: str
    release: str
    salt: Base64
    proof: str
    handovers: Handovers = ()

    def of_row(self, index: int) -> PartGrounds:
        """Give as much of it as one row's receipt needs."""
        release = load(Envelope.from_text(self.release), BatchRelease)
        span = release.span_of(index)
        if span is None:
            raise SafeRoomError(Reason.MALFORMED, f"the batch has no row {index}")
        charters = {release.charter, span.charter}
        return PartGrounds(
            owner=self.owner,
            charters=tuple(
                each for each in self.charters if Envelope.from_text(each).digest in charters
            ),
            features=self.features,
            approvals=tuple(
                each for each in self.approvals if Envelope.from_text(each).digest in span.approvals
            ),
            agreements=tuple(
                each
                for each in self.agreements
                if Envelope.from_text(each).digest == span.agreement
            ),
            endorsement=self.endorsement,
            release=self.release,
            salt=self.salt,
            proof=self.proof,
            handovers=self.handovers,
        )


@dataclass(frozen=True, slots=True)
class SpanGrounds:
    """What the rows of one span verifiably rest on."""

    charter: PinnedCharter
    agreement: PinnedAgreement
    approved: bool
    features: tuple[Feature, ...]


@dataclass(frozen=True, slots=True)
class VerifiedGrounds:
    """An owner's word on a batch, verified.

    Attributes:
        release: what it says.
        part: the owner's part of the release certificate.
        root: of its outcomes.
        spans: what the rows of each span rest on; those that were asked for.
        checkpoint: of the log, which the word stands under.
        index: of its entry.
    """

    release: BatchRelease
    part: OwnerPart
    root: bytes
    spans: Mapping[Span, SpanGrounds]
    checkpoint: Checkpoint
    index: int


def verify_grounds(
    part: PartGrounds,
    request: Envelope,
    certificate: ReleaseCertificate,
    trust: Trust,
    *,
    index: int | None = None,
) -> VerifiedGrounds:
    """Verify an owner's word on a batch, and what it rests on.

    Args:
        part: the word and its grounds.
        request: the batch's.
        certificate: the template's release certificate.
        trust: the pinned keys.
        index: of the one row that is looked at; none for all of the batch.

    Raises:
        SafeRoomError: the reason names the first step that fails.
    """
    # Step a: the charters under their pinned root; the enclave's key under the one it names.
    charters = _open_charters(part, trust)
    envelope = Envelope.from_text(part.release)
    said = load(envelope, BatchRelease)
    endorsement_envelope = Envelope.from_text(part.endorsement)
    endorsement = verify_endorsement(
        endorsement_envelope, _named(charters, said.charter, "charter"), said.time
    )
    # Step b: the enclave's word, and that it is about this very batch.
    release = verify_by_enclave(envelope, endorsement, endorsement_envelope.digest, BatchRelease)
    require_about(release, request, certificate)
    # Step c: who asked, and what allowed it, span by span.
    one = None if index is None else release.span_of(index)
    if index is not None and one is None:
        raise SafeRoomError(Reason.BAD_PROOF, "the word holds no such row")
    wanted = release.spans if one is None else (one,)
    owned = certificate.part(part.owner)
    signed = _Signed(request, release.time, certificate)
    spans = {span: _verify_span(part, span, charters, signed) for span in wanted}
    # Step d: its place in the log.
    checkpoint, place = verify_recorded(envelope.digest, unb64(part.salt), part.proof, trust)
    root = digest_bytes(release.root or "")
    return VerifiedGrounds(release, owned, root, spans, checkpoint, place)


def require_about(
    release: BatchRelease, request: Envelope, certificate: ReleaseCertificate
) -> None:
    """Refuse with `BAD_PROOF` unless a release is a judgement of this very batch."""
    asked = load(request, BatchRequest)
    said = (release.request, release.institution, release.template, release.certificate)
    if said != (request.digest, asked.institution, asked.template, certificate.digest):
        raise SafeRoomError(Reason.BAD_PROOF, "the release is about another batch")
    if release.outcome is not Outcome.ANSWERED:
        raise SafeRoomError(Reason.BAD_PROOF, "the batch was refused as a whole")
    if release.answered + release.refused != asked.rows:
        raise SafeRoomError(Reason.BAD_PROOF, "the release is about another number of rows")


def require_record(
    record: Record,
    moment: datetime,
    grounds: VerifiedGrounds,
    request: BatchRequest,
    row: Row,
    *,
    consent: Envelope | None,
) -> None:
    """Refuse a row's record that does not agree with what the word rests on.

    Raises:
        SafeRoomError: `BAD_PROOF`, `NOT_APPROVED`, `NO_CONSENT`.
    """
    if isinstance(record.outcome, Reason):
        return
    grounds.part.require_told(record.outcome)
    (span,) = grounds.spans.values()
    if len(record.charges) != sum(use.charged for use in grounds.part.features):
        raise SafeRoomError(Reason.BAD_PROOF, "the charges are not those of the certificate")
    if not request.not_before <= moment < request.not_after:
        raise SafeRoomError(Reason.BAD_PROOF, "answered outside of the batch's window")
    if not span.approved:
        raise SafeRoomError(Reason.NOT_APPROVED, "answered without approvals")
    span.agreement.agreement.require_valid(moment)
    if not grounds.part.needs_consent:
        return
    if consent is None or record.consent != consent.digest:
        raise SafeRoomError(Reason.NO_CONSENT, "the receipt does not hold the row's consent")
    opened = load(consent, Consent)
    verify_subject_statement(consent, opened, span.charter, moment)
    question = row_question(request, row.subject, row.parameters)
    require_consent_covers(opened, question, span.features, moment)


@dataclass(frozen=True, slots=True)
class _Signed:
    """What was asked, and when the word on it was given."""

    request: Envelope
    moment: datetime
    certificate: ReleaseCertificate


def _verify_span(
    part: PartGrounds, span: Span, charters: Mapping[str, PinnedCharter], signed: _Signed
) -> SpanGrounds:
    certificate = signed.certificate
    charter = _named(charters, span.charter, "charter")
    agreements = {each.digest: each for each in map(Envelope.from_text, part.agreements)}
    agreement = verify_agreement(_named(agreements, span.agreement, "agreement"), charter)
    verify_request(signed.request, BatchRequest, agreement, signed.moment)
    if span.approvals:
        given = [
            each
            for each in map(Envelope.from_text, part.approvals)
            if each.digest in set(span.approvals)
        ]
        counted = verify_approvals(charter, given, certificate.template, certificate.digest)
        if counted != span.approvals:
            raise SafeRoomError(Reason.NOT_APPROVED, "the span names other approvals")
        require_pinned(charter, certificate.part(part.owner))
    features = verify_features(part, charter, certificate)
    return SpanGrounds(charter, agreement, bool(span.approvals), features)


def _open_charters(part: PartGrounds, trust: Trust) -> dict[str, PinnedCharter]:
    opened = (
        open_under(Envelope.from_text(text), part.owner, trust, part.handovers)
        for text in part.charters
    )
    return {charter.digest: charter for charter in opened}


def _named(held: Mapping[str, _T], digest: str, what: str) -> _T:
    if digest not in held:
        raise SafeRoomError(Reason.BAD_PROOF, f"the receipt lacks a named {what}")
    return held[digest]
