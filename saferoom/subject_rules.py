"""When the room accepts what subjects, registrars and identity issuers say, and banks ask of them.

Consents, their revocations and those of certificates concern every owner: a consent may name
features of all of them, and a certificate signs for all. So every enclave hears of them, and one
charter under which they hold is enough for the room. A request for consent, a dispute and what ends
it let nobody do anything: no enclave hears of them.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Final, TypeVar

from saferoom.evidence import Caller, Role
from saferoom.rules import Ground, Rule, require_one_of
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import unb64
from saferoom_proto.identity import fingerprint, read_identity
from saferoom_proto.load_order import MOST_AHEAD
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements import (
    CertificateRevocation,
    Consent,
    ConsentRequest,
    ConsentRevocation,
    Dispute,
    DisputeAnswer,
    DisputeWithdrawal,
    Schema,
    load,
)
from saferoom_proto.subject_verification import verify_by_subject, verify_consent_request
from saferoom_proto.verification import (
    PinnedCharter,
    verify_by_named_approver,
    verify_certificate_revocation,
    verify_subject_statement,
)

OnDispute = TypeVar("OnDispute", Dispute, DisputeWithdrawal)
_MADE_WITHIN: Final = timedelta(days=1)
"""How old what is told by its date may be when it comes: requests for consent, and disputes."""
_NEAR: Final = 0.5
"""How much of two names is alike at least, of 1 (difflib): a column of another table still is."""


def _may_consent(caller: Caller, consent: Consent) -> None:
    registrar = () if consent.paper is None else (consent.paper.registrar,)
    require_one_of(caller, consent.subject, consent.institution, *registrar)


def _consent(envelope: Envelope, consent: Consent, ground: Ground) -> tuple[str, ...]:
    if ground.now >= consent.valid_to:
        raise SafeRoomError(Reason.EXPIRED, "consent")
    return _require_subjects_own(envelope, consent, ground)


def revocation_rule(consent: Consent) -> Rule[ConsentRevocation]:
    """Make the rule for the revocation of a consent that the room holds."""

    def may(caller: Caller, revocation: ConsentRevocation) -> None:
        signer = read_identity(unb64(revocation.certificate)).organisation
        require_one_of(caller, revocation.subject, consent.institution, signer)

    def verify(
        envelope: Envelope, revocation: ConsentRevocation, ground: Ground
    ) -> tuple[str, ...]:
        if revocation.subject != consent.subject:
            raise SafeRoomError(Reason.UNKNOWN_STATEMENT, "another subject's consent")
        return _require_subjects_own(envelope, revocation, ground)

    return Rule(ConsentRevocation, may, verify)


def _require_subjects_own(
    envelope: Envelope, payload: Consent | ConsentRevocation, ground: Ground
) -> tuple[str, ...]:
    """Check that at least one owner takes a statement for its subject's; gives all owners."""
    ground.register.require_not_revoked(fingerprint(unb64(payload.certificate)), ground.now)
    _require_any(
        ground,
        lambda charter: verify_subject_statement(envelope, payload, charter, ground.now),
    )
    return ground.register.owners


def _revocation(
    envelope: Envelope, revocation: CertificateRevocation, ground: Ground
) -> tuple[str, ...]:
    del revocation
    _require_any(ground, lambda charter: verify_certificate_revocation(envelope, charter))
    return ground.register.owners


def _may_revoke(caller: Caller, revocation: CertificateRevocation) -> None:
    if Role.OPERATOR not in caller.roles:
        require_one_of(caller, revocation.issuer)


def _require_any(ground: Ground, check: Callable[[PinnedCharter], object]) -> None:
    """Run a check under each owner's charter; refuse as the last does if none accepts."""
    refusal = SafeRoomError(Reason.BAD_CHARTER, "no owner has a charter yet")
    for charter in ground.register.charters():
        try:
            check(charter)
        except SafeRoomError as error:
            refusal = error
        else:
            return
    raise refusal


def _consent_request(
    envelope: Envelope, request: ConsentRequest, ground: Ground
) -> tuple[str, ...]:
    request.require_valid(ground.now)
    if ground.now - request.valid_from > _MADE_WITHIN:
        rule = "is more than a day ago: have the request signed anew"
        raise SafeRoomError(Reason.EXPIRED, "valid_from", [FieldFault("valid_from", rule)])
    room = ground.room
    _, signer = verify_consent_request(envelope, room.origin, room.issuers, ground.now)
    ground.register.require_not_revoked(signer.fingerprint, ground.now)
    features = {str(ref) for ref in ground.register.pinned_features}
    if unknown := [name for name in request.features if name not in features]:
        faults = [FieldFault("features", f"no owner defined {name}") for name in unknown]
        raise SafeRoomError(Reason.UNKNOWN_FEATURE, "features", faults)
    return ()


def _dispute(envelope: Envelope, dispute: Dispute, ground: Ground) -> tuple[str, ...]:
    _require_own(envelope, Dispute, ground)
    if dispute.field is not None:
        _require_column(dispute.owner, dispute.field, ground.register.schemas(dispute.owner))
    return ()


def _require_column(owner: str, field: str, schemas: Iterable[Schema]) -> None:
    """Refuse what no tables of the owner ever had; a subject is shown all of its columns."""
    columns = {
        f"{table.name}.{column.name}"
        for schema in schemas
        for table in schema.tables
        for column in table.columns
    }
    if field in columns:
        return
    rule = f"{owner} holds no {field}"
    if near := difflib.get_close_matches(field, sorted(columns), cutoff=_NEAR):
        rule += f"; near it: {', '.join(near)}"
    raise SafeRoomError(Reason.UNKNOWN_STATEMENT, "a field", [FieldFault("dispute.field", rule)])


def _dispute_withdrawal(
    envelope: Envelope, withdrawal: DisputeWithdrawal, ground: Ground
) -> tuple[str, ...]:
    del withdrawal
    _require_own(envelope, DisputeWithdrawal, ground)
    return ()


def _require_own(envelope: Envelope, kind: type[OnDispute], ground: Ground) -> None:
    """Check that the subject itself says it, now: by a certificate valid now, and by its date.

    An auditor holds it to its date. So nobody alone brings an audit to find a fault in the log, or
    a dispute that its owner would have left open for long.
    """
    said = load(envelope, kind)
    _require_made_now(said.at, ground.now)
    charter = ground.register.charter(said.owner)
    _, signer = verify_by_subject(envelope, kind, charter, ground.now)
    verify_by_subject(envelope, kind, charter, said.at)
    ground.register.require_not_revoked(signer.fingerprint, ground.now)


def _require_made_now(at: datetime, now: datetime) -> None:
    if at > now + MOST_AHEAD:
        raise SafeRoomError(Reason.NOT_YET_VALID, "at", [FieldFault("at", "is ahead of now")])
    if now - at > _MADE_WITHIN:
        rule = "is more than a day ago: say it anew"
        raise SafeRoomError(Reason.EXPIRED, "at", [FieldFault("at", rule)])


def _dispute_answer(envelope: Envelope, answer: DisputeAnswer, ground: Ground) -> tuple[str, ...]:
    charter = ground.register.charter(answer.owner)
    verify_by_named_approver(envelope, charter, DisputeAnswer)
    _require_made_now(answer.at, ground.now)
    if answer.charter != charter.digest:
        raise SafeRoomError(Reason.CONFLICT, "answered under a charter that is not in force")
    return ()


CONSENT = Rule(Consent, _may_consent, _consent)
CERTIFICATE_REVOCATION = Rule(CertificateRevocation, _may_revoke, _revocation)
CONSENT_REQUEST = Rule(
    ConsentRequest,
    lambda caller, request: require_one_of(caller, request.institution),
    _consent_request,
)
DISPUTE = Rule(Dispute, lambda caller, dispute: require_one_of(caller, dispute.subject), _dispute)
DISPUTE_ANSWER = Rule(
    DisputeAnswer, lambda caller, answer: require_one_of(caller, answer.owner), _dispute_answer
)
DISPUTE_WITHDRAWAL = Rule(
    DisputeWithdrawal,
    lambda caller, withdrawal: require_one_of(caller, withdrawal.subject),
    _dispute_withdrawal,
)
