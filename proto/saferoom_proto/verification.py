"""Pure verification of statements: whose signature, in force when, covering what.

Enclaves, the server, clients and auditors all use these, each on the statements it holds itself.
Nothing here reads a file, a clock or the network; every check raises and none returns a bool.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final, TypeVar

from saferoom_proto.asked import Question
from saferoom_proto.covering import require_giver
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import unb64
from saferoom_proto.identity import (
    Certified,
    Identity,
    verify_identity,
    verify_issued,
)
from saferoom_proto.keys import VerifyKey
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.spoken import Spoken
from saferoom_proto.statements import (
    Agreement,
    Approval,
    CertificateRevocation,
    Charter,
    Consent,
    ConsentRevocation,
    DisputeAnswer,
    Endorsement,
    Evidence,
    EvidenceClaims,
    Feature,
    FeatureTrial,
    Head,
    Pause,
    Payload,
    Recovery,
    Schema,
    Template,
    TemplateRefusal,
    Withdrawal,
    load,
)
from saferoom_proto.statements.template import AgreementEnd
from saferoom_proto.suite import Suite

Defined = TypeVar("Defined", Feature, Schema)
ByApprover = TypeVar(
    "ByApprover",
    Approval,
    TemplateRefusal,
    Withdrawal,
    Pause,
    AgreementEnd,
    FeatureTrial,
    Recovery,
    DisputeAnswer,
)
ByEnclave = TypeVar("ByEnclave", bound=Spoken)
Asked = TypeVar("Asked", bound=Question)

NONE_REVOKED: Final[Mapping[str, datetime]] = MappingProxyType({})
_NEVER: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class PinnedCharter:
    """A charter whose root signature was verified, with the digest that pins it."""

    charter: Charter
    digest: str

    @property
    def suite(self) -> Suite:
        """The crypto suite of the owner's enclave, and of the room."""
        return Suite(self.charter.suite)

    def key_of(self, approver: str) -> VerifyKey:
        """Give an approver's key, or refuse with `BAD_SIGNATURE`."""
        for each in self.charter.approvers:
            if each.name == approver:
                return VerifyKey.from_public(each.key)
        raise SafeRoomError(Reason.BAD_SIGNATURE, f"{approver} is no approver of the charter")

    @property
    def approver_keys(self) -> tuple[VerifyKey, ...]:
        """The keys of all approvers."""
        return tuple(VerifyKey.from_public(each.key) for each in self.charter.approvers)

    @property
    def issuer_certificates(self) -> tuple[str, ...]:
        """The identity issuers' certificates, PEM."""
        return tuple(issuer.certificate for issuer in self.charter.issuers)


def open_charter(envelope: Envelope, root: str) -> PinnedCharter:
    """Open a charter under a pinned root key (base64).

    Raises:
        SafeRoomError: `BAD_CHARTER` if another root signed it; `MALFORMED`.
    """
    charter = load(envelope, Charter)
    if charter.root != root:
        raise SafeRoomError(
            Reason.BAD_CHARTER, f"the charter of {charter.owner} names another root"
        )
    try:
        envelope.verify([VerifyKey.from_public(root)])
    except SafeRoomError as error:
        raise SafeRoomError(Reason.BAD_CHARTER, "not signed by its root") from error
    return PinnedCharter(charter, envelope.digest)


def succeed_charter(
    current: PinnedCharter, envelope: Envelope, root: str | None = None
) -> PinnedCharter:
    """Open the charter that follows another: same owner, next version, naming its predecessor.

    Args:
        current: the one before it.
        envelope: the charter.
        root: that must have signed it; by default the one that signed the one before it.
    """
    following = open_charter(envelope, root or current.charter.root)
    new, old = following.charter, current.charter
    if (new.owner, new.room) != (old.owner, old.room):
        raise SafeRoomError(Reason.BAD_CHARTER, "a charter of another owner or room")
    if new.version != old.version + 1 or new.previous != current.digest:
        raise SafeRoomError(Reason.CONFLICT, "not the next charter after the one in force")
    return following


def verify_by_any_approver(
    envelope: Envelope, charter: PinnedCharter, kind: type[Defined]
) -> Defined:
    """Open a feature or schema that at least one approver of its owner signed."""
    payload = load(envelope, kind)
    _require_owner(payload.owner, payload, charter)
    envelope.verify(charter.approver_keys)
    return payload


def verify_by_named_approver(
    envelope: Envelope, charter: PinnedCharter, kind: type[ByApprover]
) -> ByApprover:
    """Open a statement that names the approver who must have signed it."""
    payload = load(envelope, kind)
    _require_owner(payload.owner, payload, charter)
    envelope.verify([charter.key_of(payload.approver)])
    return payload


def verify_approvals(
    charter: PinnedCharter, approvals: Iterable[Envelope], template: str, certificate: str
) -> tuple[str, ...]:
    """Check that as many approvers as the charter asks approved this template and certificate.

    Returns:
        The digests of the approvals that count, in order.

    Raises:
        SafeRoomError: `NOT_APPROVED` with too few distinct approvers.
    """
    counted: dict[str, str] = {}
    for envelope in approvals:
        approval = load(envelope, Approval)
        named = (approval.template, approval.certificate, approval.charter)
        if named != (template, certificate, charter.digest):
            continue
        try:
            verify_by_named_approver(envelope, charter, Approval)
        except SafeRoomError:
            continue  # it does not count; those that do may suffice
        counted.setdefault(charter.key_of(approval.approver).keyid, envelope.digest)
    if len(counted) < charter.charter.threshold:
        detail = f"{len(counted)} of {charter.charter.threshold} approvals"
        raise SafeRoomError(Reason.NOT_APPROVED, detail)
    return tuple(sorted(counted.values()))


@dataclass(frozen=True, slots=True)
class PinnedAgreement:
    """An agreement that both sides signed, and who signs for the institution.

    Attributes:
        agreement: what they agreed.
        digest: names it.
        signers: the institution's members, each with its certified key.
    """

    agreement: Agreement
    digest: str
    signers: tuple[Certified, ...]

    def keys(
        self, now: datetime, revoked: Mapping[str, datetime] = NONE_REVOKED
    ) -> list[VerifyKey]:
        """Give the keys that sign requests now.

        Args:
            now: the instant of the request.
            revoked: revoked certificates, each with its last good instant, by fingerprint.

        Raises:
            SafeRoomError: `NO_AGREEMENT` if there are none.
        """
        live = [
            signer.key
            for signer in self.signers
            if signer.valid_from <= now <= signer.valid_to
            and now < revoked.get(signer.identity.fingerprint, _NEVER)
        ]
        if not live:
            raise SafeRoomError(Reason.NO_AGREEMENT, "no member of it has a certificate in force")
        return live


def verify_agreement(envelope: Envelope, charter: PinnedCharter) -> PinnedAgreement:
    """Open an agreement that the owner's approvers (m of n) and the institution signed.

    Every key it names is one that an issuer of the charter gave to a member of the institution.

    Raises:
        SafeRoomError: `BAD_SIGNATURE`, `UNAUTHENTICATED`, `NO_AGREEMENT` for another's member.
    """
    agreement = load(envelope, Agreement)
    _require_owner(agreement.owner, agreement, charter)
    envelope.verify(charter.approver_keys, charter.charter.threshold)
    signers = tuple(
        verify_issued(unb64(each.certificate), charter.issuer_certificates)
        for each in agreement.keys
    )
    if any(signer.identity.organisation != agreement.institution for signer in signers):
        raise SafeRoomError(Reason.NO_AGREEMENT, "it names a key of another institution's member")
    envelope.verify([signer.key for signer in signers])
    return PinnedAgreement(agreement, envelope.digest, signers)


def verify_request(
    envelope: Envelope,
    kind: type[Asked],
    pinned: PinnedAgreement,
    now: datetime,
    revoked: Mapping[str, datetime] = NONE_REVOKED,
) -> Asked:
    """Open a request that a member in the agreement signed, for that agreement's institution.

    Its signer's certificate must be in force now, and not among the revoked.
    """
    request, agreement = load(envelope, kind), pinned.agreement
    if request.institution != agreement.institution or request.room != agreement.room:
        raise SafeRoomError(Reason.NO_AGREEMENT, "the agreement is another institution's")
    envelope.verify(pinned.keys(now, revoked))
    if request.purpose not in agreement.purposes:
        raise SafeRoomError(Reason.NO_AGREEMENT, "the agreement does not cover the purpose")
    return request


def verify_subject_statement(
    envelope: Envelope,
    payload: Consent | ConsentRevocation,
    charter: PinnedCharter,
    now: datetime,
) -> Identity:
    """Check that a consent or its revocation is by its subject, or by an allowed registrar.

    Returns:
        Who signed: the subject itself, or a registrar for a consent on paper.

    Raises:
        SafeRoomError: `UNAUTHENTICATED` for a certificate of no pinned issuer, `BAD_SIGNATURE`,
            `NO_CONSENT` if the signer is neither the subject nor a registrar of the charter.
    """
    _require_room(payload, charter)
    der = unb64(payload.certificate)
    identity, key = verify_identity(der, charter.issuer_certificates, now)
    envelope.verify([key])
    require_giver(payload, identity, charter.charter.registrars)
    return identity


def verify_certificate_revocation(
    envelope: Envelope, charter: PinnedCharter
) -> CertificateRevocation:
    """Open a certificate revocation by one of the charter's identity issuers."""
    revocation = load(envelope, CertificateRevocation)
    _require_room(revocation, charter)
    keys = [
        VerifyKey.from_public(issuer.key)
        for issuer in charter.charter.issuers
        if issuer.name == revocation.issuer
    ]
    if not keys:
        raise SafeRoomError(Reason.BAD_SIGNATURE, "no issuer of the charter")
    envelope.verify(keys)
    return revocation


def verify_head(envelope: Envelope, charter: PinnedCharter, nonce: str) -> Head:
    """Open a stream head that the room signed for this enclave's own nonce."""
    head = load(envelope, Head)
    _require_owner(head.owner, head, charter)
    envelope.verify([VerifyKey.from_public(charter.charter.room_keys.heads)])
    if head.nonce != nonce:
        raise SafeRoomError(Reason.STALE_HEAD, "the head answers another nonce")
    return head


def verify_claims(envelope: Envelope, evidence: Evidence, nonce: str) -> EvidenceClaims:
    """Open an enclave's claims: signed by the key they name, for this nonce.

    A quote of hardware is not verified here: who judges the evidence does that (`attestation`).
    """
    claims = load(envelope, EvidenceClaims)
    if (evidence.kind == "software") == bool(evidence.quote):
        kind = evidence.kind
        detail = (
            f"{kind} evidence has a quote" if evidence.quote else f"{kind} evidence has no quote"
        )
        raise SafeRoomError(Reason.BAD_EVIDENCE, detail)
    envelope.verify([VerifyKey.from_public(claims.identity)])
    if claims.nonce != nonce:
        raise SafeRoomError(Reason.BAD_EVIDENCE, "the evidence answers another challenge")
    return claims


def verify_endorsement(envelope: Envelope, charter: PinnedCharter, now: datetime) -> Endorsement:
    """Open an endorsement by the charter's key agent, for this charter, in force now.

    Raises:
        SafeRoomError: `BAD_ENDORSEMENT`, `SANDBOX_TOO_WEAK`, `NOT_YET_VALID`, `EXPIRED`.
    """
    endorsement = load(envelope, Endorsement)
    try:
        envelope.verify([VerifyKey.from_public(charter.charter.key_agent)])
        _require_owner(endorsement.owner, endorsement, charter)
    except SafeRoomError as error:
        raise SafeRoomError(Reason.BAD_ENDORSEMENT, error.detail) from error
    if endorsement.charter != charter.digest:
        raise SafeRoomError(Reason.BAD_ENDORSEMENT, "endorsed under another charter")
    if endorsement.sandbox_level < charter.charter.min_sandbox_level:
        raise SafeRoomError(Reason.SANDBOX_TOO_WEAK, f"level {endorsement.sandbox_level}")
    endorsement.require_valid(now)
    return endorsement


def verify_by_enclave(
    envelope: Envelope, endorsement: Endorsement, endorsement_digest: str, kind: type[ByEnclave]
) -> ByEnclave:
    """Open a statement that the endorsed enclave signed."""
    payload = load(envelope, kind)
    if (payload.owner, payload.room) != (endorsement.owner, endorsement.room):
        raise SafeRoomError(Reason.BAD_ENDORSEMENT, "another owner's enclave, or another room's")
    if payload.endorsement != endorsement_digest:
        raise SafeRoomError(Reason.BAD_ENDORSEMENT, "made under another endorsement")
    envelope.verify([VerifyKey.from_public(endorsement.identity)])
    return payload


def verify_template(
    envelope: Envelope, room: str, issuers: tuple[str, ...], now: datetime
) -> Template:
    """Open a template that a member of the proposing organisation signed."""
    template = load(envelope, Template)
    if template.room != room:
        raise SafeRoomError(Reason.BAD_CHARTER, "a template of another room")
    identity, key = verify_identity(unb64(template.signer), issuers, now)
    if identity.organisation != template.proposer:
        raise SafeRoomError(Reason.BAD_SIGNATURE, "signed by another organisation")
    envelope.verify([key])
    return template


def _require_room(payload: Payload, charter: PinnedCharter) -> None:
    if payload.room != charter.charter.room:
        raise SafeRoomError(Reason.BAD_CHARTER, f"a {payload.KIND} of another room")


def _require_owner(owner: str, payload: Payload, charter: PinnedCharter) -> None:
    if (owner, payload.room) != (charter.charter.owner, charter.charter.room):
        raise SafeRoomError(Reason.BAD_CHARTER, f"a {payload.KIND} of another owner or room")
