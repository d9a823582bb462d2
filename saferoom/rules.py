"""Which statements the room accepts: by whose hand, under whose signature, for whose enclaves.

| statement            | handed in by             | signed by                      | goes to      |
|----------------------|--------------------------|--------------------------------|--------------|
| charter              | the owner                | the charter root, pinned first | owner        |
| schema               | the owner                | an approver                    | owner        |
| feature              | the owner                | an approver                    | all owners   |
| feature trial        | the owner                | the approver it names          | nobody       |
| template             | its proposer             | a member of the proposer       | owners named |
| release certificate  | proposer or approver     | nobody: it is derived anew     | owners named |
| approval, withdrawal | the owner                | the approver it names          | owner        |
| template refusal     | the owner                | the approver it names          | nobody       |
| pause, agreement end | the owner                | the approver it names          | owner        |
| recovery             | the owner                | the approver it names          | nobody       |
| root handover        | the owner                | the root before, and the next  | owner        |
| agreement            | either side              | m of n approvers; institution  | owner        |
| consent, revocation  | subject, bank, registrar | the subject, or a registrar    | all owners   |
| cert. revocation     | its issuer, the operator | an issuer that a charter names | all owners   |
| request for consent  | the institution          | a member of the institution    | nobody       |
| dispute, withdrawal  | the subject              | the subject                    | nobody       |
| answer to a dispute  | the owner                | the approver it names          | nobody       |

The enclaves check all of this again: what is refused here is refused sooner, not more surely.
The last five rows are in `subject_rules.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Generic, Protocol, TypeVar

from saferoom.evidence import Caller, Role
from saferoom.register import Register
from saferoom_proto.certificate import ReleaseCertificate, derive_certificate, owners_of
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import unb64
from saferoom_proto.formula import FeatureRef
from saferoom_proto.identity import fingerprint
from saferoom_proto.load_order import MOST_AHEAD
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.source_forms import SourceForms
from saferoom_proto.statements import (
    Agreement,
    AgreementEnd,
    Approval,
    Charter,
    Feature,
    FeatureTrial,
    Pause,
    Payload,
    Recovery,
    RootHandover,
    Schema,
    Template,
    TemplateRefusal,
    Withdrawal,
)
from saferoom_proto.verification import (
    open_charter,
    verify_agreement,
    verify_by_any_approver,
    verify_by_named_approver,
    verify_template,
)

P = TypeVar("P", bound=Payload)
Owned = TypeVar(
    "Owned",
    Charter,
    Schema,
    Feature,
    FeatureTrial,
    Approval,
    TemplateRefusal,
    Withdrawal,
    Pause,
    AgreementEnd,
    Recovery,
    RootHandover,
)


class RoomFacts(Protocol):
    """What the room is now: its name, its keys and whose certificates it takes."""

    @property
    def origin(self) -> str:
        """The ledger's, which is the room's name."""
        ...

    @property
    def ledger_keys(self) -> tuple[str, ...]:
        """Base64; the one in force, and the next while it is handed over."""
        ...

    @property
    def heads_keys(self) -> tuple[str, ...]:
        """Base64; likewise."""
        ...

    @property
    def issuers(self) -> tuple[str, ...]:
        """The identity issuers' certificates, PEM."""
        ...


@dataclass(frozen=True, slots=True)
class Ground:
    """What a statement is judged by: what the room knows, and when."""

    register: Register
    room: RoomFacts
    now: datetime


@dataclass(frozen=True, slots=True)
class Rule(Generic[P]):
    """When one kind of statement is accepted.

    Attributes:
        kind: of the statement.
        may: refuses with `NOT_ALLOWED` who may not hand it in.
        verify: refuses a statement that does not hold; gives the owners whose enclaves follow it.
    """

    kind: type[P]
    may: Callable[[Caller, P], None]
    verify: Callable[[Envelope, P, Ground], tuple[str, ...]]


def _own(caller: Caller, payload: Owned) -> None:
    if caller.organisation != payload.owner:
        raise SafeRoomError(Reason.NOT_ALLOWED, f"{payload.owner}'s own people hand this in")


def require_one_of(caller: Caller, *organisations: str) -> None:
    """Refuse with `NOT_ALLOWED` who belongs to none of these."""
    if caller.organisation not in organisations:
        raise SafeRoomError(Reason.NOT_ALLOWED, "handed in by an organisation it does not name")


def _require_newer(version: int, newest: int) -> None:
    if version <= newest:
        rule = f"version {newest} is recorded already: write a later one"
        raise SafeRoomError(
            Reason.CONFLICT,
            f"version {version} after version {newest}",
            [FieldFault("version", rule)],
        )


def _charter(envelope: Envelope, charter: Charter, ground: Ground) -> tuple[str, ...]:
    if charter.owner in ground.register.owners:
        ground.register.line(charter.owner).after(envelope)
    else:
        # The first charter pins its root, until that hands over. That it is the right one is the
        # owner's word, by its certificate; everyone else compares it with what they got elsewhere.
        open_charter(envelope, charter.root)
        if charter.version != 1:
            raise SafeRoomError(Reason.CONFLICT, "the first charter has version 1")
    # While a key is handed over, both of its kind sign: a charter names the one or the other.
    named = (charter.room_keys.ledger, charter.room_keys.heads)
    if named[0] not in ground.room.ledger_keys or named[1] not in ground.room.heads_keys:
        fault = FieldFault("room_keys", "are not the room's keys")
        raise SafeRoomError(Reason.BAD_CHARTER, "room_keys", [fault])
    # Others' enclaves may rest on keys of the charter that this one follows.
    return (charter.owner, *ground.register.resting_on(charter.owner))


def _root_handover(envelope: Envelope, handover: RootHandover, ground: Ground) -> tuple[str, ...]:
    ground.register.line(handover.owner).after(envelope)
    return (handover.owner,)


def _schema(envelope: Envelope, schema: Schema, ground: Ground) -> tuple[str, ...]:
    verify_by_any_approver(envelope, ground.register.charter(schema.owner), Schema)
    newest = ground.register.newest_schema(schema.owner)
    _require_newer(schema.version, 0 if newest is None else newest.says.version)
    SourceForms(ground.register.schemas(schema.owner)).require(schema)
    return (schema.owner,)


def _feature(envelope: Envelope, feature: Feature, ground: Ground) -> tuple[str, ...]:
    verify_by_any_approver(envelope, ground.register.charter(feature.owner), Feature)
    newest = ground.register.feature(FeatureRef(feature.owner, feature.name))
    _require_newer(feature.version, 0 if newest is None else newest.says.version)
    # A certificate is derived from the features of all owners that a template names.
    return ground.register.owners


def _trial(envelope: Envelope, trial: FeatureTrial, ground: Ground) -> tuple[str, ...]:
    verify_by_named_approver(envelope, ground.register.charter(trial.owner), FeatureTrial)
    return ()  # the enclave is asked for its verdict, once


def template_rule(certificate: Envelope) -> Rule[Template]:
    """Make the rule for a template that comes with this release certificate."""

    def verify(envelope: Envelope, template: Template, ground: Ground) -> tuple[str, ...]:
        verify_template(envelope, ground.room.origin, ground.room.issuers, ground.now)
        signer = fingerprint(unb64(template.signer))
        ground.register.require_not_revoked(signer, ground.now)
        earlier = ground.register.newest_named(template.name)
        if earlier is not None and earlier.says.proposer != template.proposer:
            rule = "another organisation's template has this name"
            raise SafeRoomError(Reason.CONFLICT, rule, [FieldFault("name", rule)])
        _require_derived(envelope, certificate.digest, ground.register)
        return owners_of(template)

    return Rule(
        Template, lambda caller, template: require_one_of(caller, template.proposer), verify
    )


def _certificate(
    envelope: Envelope, certificate: ReleaseCertificate, ground: Ground
) -> tuple[str, ...]:
    template = ground.register.template(certificate.template)
    _require_derived(template.envelope, envelope.digest, ground.register)
    return tuple(part.owner for part in certificate.parts)


def _require_derived(template: Envelope, certificate: str, register: Register) -> None:
    """Refuse a certificate that is not the one this template gives with today's features."""
    derived = derive_certificate(template, register.pinned_features, register.charter_digests)
    if derived.digest != certificate:
        raise SafeRoomError(Reason.CERTIFICATE_MISMATCH, "not the certificate derived here")


def _approval(envelope: Envelope, approval: Approval, ground: Ground) -> tuple[str, ...]:
    charter = ground.register.charter(approval.owner)
    verify_by_named_approver(envelope, charter, Approval)
    if approval.charter != charter.digest:
        raise SafeRoomError(Reason.CONFLICT, "approved under a charter that is not in force")
    template = ground.register.template(approval.template)
    certificate = ground.register.certificate(approval.certificate)
    if certificate is None:
        raise SafeRoomError(Reason.UNKNOWN_STATEMENT, "no such release certificate")
    certificate.says.part(approval.owner)
    _require_derived(template.envelope, approval.certificate, ground.register)
    return (approval.owner,)


def _refusal(envelope: Envelope, refusal: TemplateRefusal, ground: Ground) -> tuple[str, ...]:
    register = ground.register
    verify_by_named_approver(envelope, register.charter(refusal.owner), TemplateRefusal)
    template = register.template(refusal.template)
    if refusal.owner not in owners_of(template.says):
        raise SafeRoomError(Reason.NOT_ALLOWED, f"it asks nothing of {refusal.owner}")
    for held in register.approvals(template.digest):
        if (held.says.owner, held.says.approver) == (refusal.owner, refusal.approver):
            raise SafeRoomError(Reason.CONFLICT, "approved by the same approver: withdraw it")
    return ()  # it stops nothing that runs


def _withdrawal(envelope: Envelope, withdrawal: Withdrawal, ground: Ground) -> tuple[str, ...]:
    verify_by_named_approver(envelope, ground.register.charter(withdrawal.owner), Withdrawal)
    ground.register.template(withdrawal.template)
    return (withdrawal.owner,)


def _pause(envelope: Envelope, pause: Pause, ground: Ground) -> tuple[str, ...]:
    verify_by_named_approver(envelope, ground.register.charter(pause.owner), Pause)
    if pause.template is not None:
        ground.register.template(pause.template)
    return (pause.owner,)


def _recovery(envelope: Envelope, recovery: Recovery, ground: Ground) -> tuple[str, ...]:
    verify_by_named_approver(envelope, ground.register.charter(recovery.owner), Recovery)
    # No enclave goes by one that is dated ahead: its approver alone would stop all the others'.
    if recovery.at > ground.now + MOST_AHEAD:
        raise SafeRoomError(Reason.NOT_YET_VALID, "recovery")
    return ()  # it comes with the keys: the copy must go by it before it follows its stream


def _agreement(envelope: Envelope, agreement: Agreement, ground: Ground) -> tuple[str, ...]:
    verify_agreement(envelope, ground.register.charter(agreement.owner))
    institution = ground.register.organisation(agreement.institution)
    if institution is None or Role.INSTITUTION not in institution.roles:
        fault = FieldFault("institution", "is not enrolled as an institution")
        raise SafeRoomError(Reason.MALFORMED, "institution", [fault])
    if ground.now >= agreement.valid_to:
        raise SafeRoomError(Reason.EXPIRED, "agreement")
    if agreement.replaces is not None:
        replaced = ground.register.agreement(agreement.replaces).says
        sides = (agreement.owner, agreement.institution)
        if (replaced.owner, replaced.institution) != sides:
            raise SafeRoomError(Reason.UNKNOWN_STATEMENT, "it replaces an agreement of others")
    ground.register.require_alone(agreement)
    return (agreement.owner,)


def _agreement_end(envelope: Envelope, end: AgreementEnd, ground: Ground) -> tuple[str, ...]:
    verify_by_named_approver(envelope, ground.register.charter(end.owner), AgreementEnd)
    if ground.register.agreement(end.agreement).says.owner != end.owner:
        raise SafeRoomError(Reason.UNKNOWN_STATEMENT, "another owner's agreement")
    return (end.owner,)


def _anyone(caller: Caller, payload: ReleaseCertificate) -> None:
    """Let everyone hand it in: what is derived is the same whoever brings it."""
    del caller, payload


CHARTER: Final[Rule[Charter]] = Rule(Charter, _own, _charter)
ROOT_HANDOVER: Final[Rule[RootHandover]] = Rule(RootHandover, _own, _root_handover)
SCHEMA: Final[Rule[Schema]] = Rule(Schema, _own, _schema)
FEATURE: Final[Rule[Feature]] = Rule(Feature, _own, _feature)
FEATURE_TRIAL: Final[Rule[FeatureTrial]] = Rule(FeatureTrial, _own, _trial)
CERTIFICATE = Rule(ReleaseCertificate, _anyone, _certificate)
APPROVAL: Final[Rule[Approval]] = Rule(Approval, _own, _approval)
TEMPLATE_REFUSAL: Final[Rule[TemplateRefusal]] = Rule(TemplateRefusal, _own, _refusal)
WITHDRAWAL: Final[Rule[Withdrawal]] = Rule(Withdrawal, _own, _withdrawal)
PAUSE: Final[Rule[Pause]] = Rule(Pause, _own, _pause)
RECOVERY: Final[Rule[Recovery]] = Rule(Recovery, _own, _recovery)
AGREEMENT = Rule(
    Agreement, lambda caller, says: require_one_of(caller, says.owner, says.institution), _agreement
)
AGREEMENT_END: Final[Rule[AgreementEnd]] = Rule(AgreementEnd, _own, _agreement_end)
