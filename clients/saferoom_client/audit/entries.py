"""What owners, banks, subjects and issuers say: verified, and put into the auditor's book."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from saferoom_client.audit.book import Book, Ending, Ordered, Placed, StoreOrder
from saferoom_client.audit.federations import Federated, require_federation
from saferoom_client.audit.linked import Linked
from saferoom_client.audit.stops import Stops
from saferoom_proto.certificate import ReleaseCertificate, derive_certificate
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import unb64
from saferoom_proto.federation import ByBank, said_at, verify_by_bank
from saferoom_proto.identity import verify_issued
from saferoom_proto.load_order import LoadOrder
from saferoom_proto.pinned import PinnedFeature
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.rollback import RollbackOrder
from saferoom_proto.roots import Line, open_under
from saferoom_proto.statements import (
    Agreement,
    AgreementEnd,
    Approval,
    CertificateRevocation,
    Charter,
    Consent,
    ConsentRequest,
    ConsentRevocation,
    Dispute,
    DisputeAnswer,
    DisputeWithdrawal,
    Endorsement,
    EvidenceClaims,
    Feature,
    FeatureTrial,
    FederationEnd,
    FederationJoin,
    FederationProposal,
    FederationResult,
    JobCancel,
    Pause,
    Payload,
    Recovery,
    RootHandover,
    Schema,
    Template,
    TemplateRefusal,
    Withdrawal,
    load,
)
from saferoom_proto.subject_verification import verify_by_subject
from saferoom_proto.verification import (
    ByApprover,
    PinnedCharter,
    verify_agreement,
    verify_by_any_approver,
    verify_by_named_approver,
    verify_certificate_revocation,
    verify_endorsement,
    verify_subject_statement,
)

Take = Callable[[Book, int, Envelope], None]
"""Verifies a statement and enters it; raises what is wrong with it."""


def _charter(book: Book, entry: int, statement: Envelope) -> None:
    del entry
    says = load(statement, Charter)
    if says.owner not in book.trust.charter_roots:
        book.unpinned.add(says.owner)
        return
    before = book.in_force.get(says.owner)
    if before is not None:
        pinned = Line(before, book.roots[says.owner]).after(statement).charter
    else:
        pinned = open_under(statement, says.owner, book.trust)
        if says.version != 1:
            raise SafeRoomError(Reason.BAD_CHARTER, "the first charter is of version 1")
        book.roots[says.owner] = pinned.charter.root
    book.charters[statement.digest] = pinned
    book.in_force[says.owner] = pinned


def _root_handover(book: Book, entry: int, statement: Envelope) -> None:
    del entry
    says = load(statement, RootHandover)
    if says.owner in book.unpinned:
        return
    line = Line(book.charter(says.owner), book.roots[says.owner]).after(statement)
    followed = book.trust.root_after(says.owner, says.former)
    if followed is not None and followed != says.following:
        raise SafeRoomError(Reason.CONFLICT, "that root was handed over to another")
    book.roots[says.owner] = line.root


def _endorsement(book: Book, entry: int, statement: Envelope) -> None:
    del entry
    says = load(statement, Endorsement)
    if says.owner in book.unpinned:
        return
    charter = book.charter(says.owner, says.charter)
    book.require_before(says.evidence, "evidence")
    book.endorsements[statement.digest] = verify_endorsement(statement, charter, says.valid_from)


def _feature(book: Book, entry: int, statement: Envelope) -> None:
    feature = load(statement, Feature)
    if feature.owner not in book.unpinned:
        verify_by_any_approver(statement, book.charter(feature.owner), Feature)
        book.defined.setdefault(feature.full_name, []).append(Placed(entry, statement))
    # Another owner's certificate may name it, whoever may vouch for it.
    book.features[statement.digest] = feature


def _schema(book: Book, entry: int, statement: Envelope) -> None:
    del entry
    owner = load(statement, Schema).owner
    if owner not in book.unpinned:
        schema = verify_by_any_approver(statement, book.charter(owner), Schema)
        book.schemas[statement.digest] = schema


def _template(book: Book, entry: int, statement: Envelope) -> None:
    del entry
    load(statement, Template)
    book.templates[statement.digest] = statement


def _certificate(book: Book, entry: int, statement: Envelope) -> None:
    del entry
    says = load(statement, ReleaseCertificate)
    book.require_before(says.template, "template")
    for part in says.parts:
        for use in part.features:
            book.require_before(use.digest, f"feature {use.feature}")
    book.certificates[statement.digest] = says
    if not _is_derived(book, says, statement):
        book.underived.add(statement.digest)


def _is_derived(book: Book, says: ReleaseCertificate, statement: Envelope) -> bool:
    """Tell whether a certificate is what its template and the features that it names come to."""
    uses = [use for part in says.parts for use in part.features]
    charters = {part.owner: part.charter for part in says.parts if part.charter is not None}
    try:
        pinned = [PinnedFeature(book.features[use.digest], use.digest) for use in uses]
        features = {each.ref: each for each in pinned}
        derived = derive_certificate(book.templates[says.template], features, charters)
    except (KeyError, SafeRoomError):
        return False
    return derived.digest == statement.digest


def _approval(book: Book, entry: int, statement: Envelope) -> None:
    says = load(statement, Approval)
    if says.owner in book.unpinned:
        return
    charter = book.charter(says.owner, says.charter)
    verify_by_named_approver(statement, charter, Approval)
    book.require_before(says.template, "template")
    book.require_before(says.certificate, "release certificate")
    book.approvals[statement.digest] = Placed(entry, says)


def _withdrawal(book: Book, entry: int, statement: Envelope) -> None:
    says = load(statement, Withdrawal)
    if says.owner in book.unpinned:
        return
    verify_by_named_approver(statement, book.charter(says.owner), Withdrawal)
    ending = Ending(entry, max(book.latest, says.at), min(book.latest, says.at))
    book.withdrawals.setdefault((says.owner, says.template), []).append(ending)


def _pause(book: Book, entry: int, statement: Envelope) -> None:
    says = load(statement, Pause)
    if says.owner in book.unpinned:
        return
    charter = book.charter(says.owner)
    verify_by_named_approver(statement, charter, Pause)
    keyid = charter.key_of(says.approver).keyid
    stops = book.stops.setdefault(says.owner, Stops())
    stops.take(entry, says, keyid, max(book.latest, says.at))


def _agreement(book: Book, entry: int, statement: Envelope) -> None:
    says = load(statement, Agreement)
    if says.owner in book.unpinned:
        return
    pinned = verify_agreement(statement, book.charter(says.owner))
    book.agreements[statement.digest] = Placed(entry, pinned)
    book.linked.setdefault(says.owner, Linked()).take(entry, says)
    if says.replaces is not None:
        book.require_own(says.owner, says.replaces, "agreement that it replaces")
        book.ends.setdefault(says.replaces, Ending(entry, book.latest))


def _agreement_end(book: Book, entry: int, statement: Envelope) -> None:
    says = load(statement, AgreementEnd)
    if says.owner in book.unpinned:
        return
    verify_by_named_approver(statement, book.charter(says.owner), AgreementEnd)
    book.require_own(says.owner, says.agreement, "agreement")
    book.ends.setdefault(says.agreement, Ending(entry, max(book.latest, says.at)))


def _consent(book: Book, entry: int, statement: Envelope) -> None:
    says = load(statement, Consent)
    if not book.in_force:
        return
    # Whether its signer's certificate was valid is asked at each answer given under it.
    by_any(book, lambda charter: _require_signed(statement, says, charter))
    book.consents[statement.digest] = Placed(entry, says)


def _revocation(book: Book, entry: int, statement: Envelope) -> None:
    says = load(statement, ConsentRevocation)
    book.require_before(says.consent, "consent")
    if book.in_force:
        by_any(book, lambda charter: _require_signed(statement, says, charter))
    key = (says.consent, says.subject)
    book.revocations.setdefault(key, Ending(entry, book.latest))


def _certificate_revocation(book: Book, entry: int, statement: Envelope) -> None:
    says = load(statement, CertificateRevocation)
    if book.in_force:
        by_any(book, lambda charter: verify_certificate_revocation(statement, charter))
    book.revoked.setdefault(says.fingerprint, Ending(entry, max(book.latest, says.at)))


def _dispute(book: Book, entry: int, statement: Envelope) -> None:
    says = load(statement, Dispute)
    if says.owner not in book.unpinned:
        verify_by_subject(statement, Dispute, book.charter(says.owner), says.at)
    if says.use is not None:
        book.require_before(says.use, "use")
    book.disputes.begin(entry, statement, says)


def _dispute_answer(book: Book, entry: int, statement: Envelope) -> None:
    del entry
    says = load(statement, DisputeAnswer)
    book.disputes.require(says)
    if says.owner in book.unpinned:
        return
    verify_by_named_approver(statement, book.charter(says.owner, says.charter), DisputeAnswer)
    if says.epoch is not None and (says.owner, says.epoch) not in book.epochs:
        detail = f"no snapshot of epoch {says.epoch} stands before it"
        raise SafeRoomError(Reason.UNKNOWN_STATEMENT, detail)
    book.disputes.end(says)


def _dispute_withdrawal(book: Book, entry: int, statement: Envelope) -> None:
    del entry
    says = load(statement, DisputeWithdrawal)
    book.disputes.require(says)
    if says.owner not in book.unpinned:
        verify_by_subject(statement, DisputeWithdrawal, book.charter(says.owner), says.at)
        book.disputes.end(says)


def _recovery(book: Book, entry: int, statement: Envelope) -> None:
    del entry
    owner = load(statement, Recovery).owner
    if owner not in book.unpinned:
        verify_by_named_approver(statement, book.charter(owner), Recovery)
        book.recoveries[statement.digest] = statement


def _by_bank(book: Book, statement: Envelope, kind: type[ByBank]) -> ByBank:
    """Open what a member of the bank that it names must have signed."""
    says = load(statement, kind)
    by_any(
        book,
        lambda charter: verify_by_bank(
            statement, kind, book.trust.origin, charter.issuer_certificates, said_at(says)
        ),
    )
    return says


def _federation_proposal(book: Book, entry: int, statement: Envelope) -> None:
    del entry
    says = _by_bank(book, statement, FederationProposal)
    book.federations[statement.digest] = Federated(says)


def _federation_join(book: Book, entry: int, statement: Envelope) -> None:
    del entry
    require_federation(book.federations, _by_bank(book, statement, FederationJoin)).join(
        load(statement, FederationJoin)
    )


def _federation_end(book: Book, entry: int, statement: Envelope) -> None:
    del entry
    require_federation(book.federations, _by_bank(book, statement, FederationEnd))


def _federation_result(book: Book, entry: int, statement: Envelope) -> None:
    del entry
    says = _by_bank(book, statement, FederationResult)
    require_federation(book.federations, says).end(says)


def _known(kind: type[Payload]) -> Take:
    """Take what is only looked up by its digest; who relies on it verifies it."""

    def take(book: Book, entry: int, statement: Envelope) -> None:
        del book, entry
        load(statement, kind)

    return take


def _ordered(kind: type[StoreOrder]) -> Take:
    """Take an order for a load or a rollback; it is verified by whose snapshot names it."""

    def take(book: Book, entry: int, statement: Envelope) -> None:
        del entry
        book.orders[statement.digest] = Ordered(statement, load(statement, kind))

    return take


def _by_named(kind: type[ByApprover]) -> Take:
    """Take what the approver that it names must have signed, and nothing else rests on."""

    def take(book: Book, entry: int, statement: Envelope) -> None:
        del entry
        owner = load(statement, kind).owner
        if owner not in book.unpinned:
            verify_by_named_approver(statement, book.charter(owner), kind)

    return take


def by_any(book: Book, check: Callable[[PinnedCharter], object]) -> None:
    """Run a check under each owner's charter in force; refuse as the last does if none accepts."""
    refusal: SafeRoomError | None = None
    for charter in book.in_force.values():
        try:
            check(charter)
        except SafeRoomError as error:
            refusal = error
        else:
            return
    if refusal is not None:
        raise SafeRoomError(refusal.reason, refusal.detail)


def _require_signed(
    statement: Envelope, says: Consent | ConsentRevocation, charter: PinnedCharter
) -> None:
    signer = verify_issued(unb64(says.certificate), charter.issuer_certificates)
    verify_subject_statement(statement, says, charter, signer.valid_from)


TAKES: Final[Mapping[str, Take]] = {
    Charter.payload_type(): _charter,
    RootHandover.payload_type(): _root_handover,
    Endorsement.payload_type(): _endorsement,
    EvidenceClaims.payload_type(): _known(EvidenceClaims),
    Feature.payload_type(): _feature,
    Schema.payload_type(): _schema,
    Template.payload_type(): _template,
    ReleaseCertificate.payload_type(): _certificate,
    Approval.payload_type(): _approval,
    Withdrawal.payload_type(): _withdrawal,
    Agreement.payload_type(): _agreement,
    AgreementEnd.payload_type(): _agreement_end,
    TemplateRefusal.payload_type(): _by_named(TemplateRefusal),
    FeatureTrial.payload_type(): _by_named(FeatureTrial),
    Pause.payload_type(): _pause,
    Recovery.payload_type(): _recovery,
    Consent.payload_type(): _consent,
    ConsentRevocation.payload_type(): _revocation,
    CertificateRevocation.payload_type(): _certificate_revocation,
    ConsentRequest.payload_type(): _known(ConsentRequest),
    Dispute.payload_type(): _dispute,
    DisputeAnswer.payload_type(): _dispute_answer,
    DisputeWithdrawal.payload_type(): _dispute_withdrawal,
    FederationProposal.payload_type(): _federation_proposal,
    FederationJoin.payload_type(): _federation_join,
    FederationEnd.payload_type(): _federation_end,
    FederationResult.payload_type(): _federation_result,
    JobCancel.payload_type(): _known(JobCancel),
    LoadOrder.payload_type(): _ordered(LoadOrder),
    RollbackOrder.payload_type(): _ordered(RollbackOrder),
}
