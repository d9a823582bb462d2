"""Who may call what: one row per RPC. What has no row is refused.

A test compares the table with the descriptors of all services. `EnclaveService` has no row: it is
between the room and its enclaves, and the room never serves it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from saferoom.evidence import Caller, Role
from saferoom_proto.reasons import Reason, SafeRoomError

ANYBODY: Final[frozenset[Role]] = frozenset()
"""Whoever holds a certificate of a known issuer, enrolled or not."""
MEMBERS: Final = frozenset(Role)
"""Everybody who is enrolled, and every subject."""

_ROOM: Final = "/saferoom.v1."
_HEALTH: Final = "/grpc.health.v1.Health/"
_REFLECTION: Final = "/grpc.reflection.v1.ServerReflection/"
_OLD_REFLECTION: Final = "/grpc.reflection.v1alpha.ServerReflection/"

_OWNER: Final = frozenset({Role.OWNER})
_INSTITUTION: Final = frozenset({Role.INSTITUTION})
_BOTH_SIDES: Final = _OWNER | _INSTITUTION
_CONSENTING: Final = frozenset({Role.SUBJECT}) | _BOTH_SIDES
"""Subjects for themselves; an owner's or institution's people as registrars of paper, and an
institution for what its applicant signed. Whose signature counts is the charter's matter."""
_WITNESSES: Final = _BOTH_SIDES | {Role.AUDITOR}
"""Whom the operator enrolled, so that nobody can crowd the few places of a note."""

ACCESS: Final[Mapping[str, frozenset[Role]]] = MappingProxyType(
    {
        f"{_ROOM}IdentityService/GetRoom": ANYBODY,
        f"{_ROOM}IdentityService/WhoAmI": ANYBODY,
        f"{_ROOM}IdentityService/EnrolOrganisation": frozenset({Role.OPERATOR}),
        f"{_ROOM}IdentityService/ListOrganisations": MEMBERS,
        f"{_ROOM}IdentityService/RevokeOrganisation": frozenset({Role.OPERATOR}),
        f"{_ROOM}IdentityService/ListCertificates": frozenset(
            {Role.OPERATOR, Role.ISSUER, Role.AUDITOR}
        ),
        f"{_ROOM}IdentityService/RevokeCertificate": frozenset({Role.ISSUER, Role.OPERATOR}),
        f"{_ROOM}OwnerService/PutCharter": _OWNER,
        f"{_ROOM}OwnerService/GetCharter": MEMBERS,
        f"{_ROOM}OwnerService/HandOverRoot": _OWNER,
        f"{_ROOM}OwnerService/PutSchema": _OWNER,
        f"{_ROOM}OwnerService/GetSchema": _OWNER,
        f"{_ROOM}OwnerService/PutFeature": _OWNER,
        f"{_ROOM}OwnerService/TryDraft": _OWNER,
        f"{_ROOM}OwnerService/ListFeatures": MEMBERS,
        f"{_ROOM}OwnerService/Pause": _OWNER,
        f"{_ROOM}OwnerService/ListPauses": MEMBERS,
        f"{_ROOM}OwnerService/RecoverEnclave": _OWNER,
        f"{_ROOM}OwnerService/GetEnclaveChain": _OWNER,
        f"{_ROOM}OwnerService/GetEndorsement": MEMBERS,
        f"{_ROOM}OwnerService/GetEvidence": MEMBERS,
        f"{_ROOM}OwnerService/LoadData": _OWNER,
        f"{_ROOM}OwnerService/GetLoadProgress": _OWNER,
        f"{_ROOM}OwnerService/Rollback": _OWNER,
        f"{_ROOM}OwnerService/ListSnapshots": _OWNER,
        f"{_ROOM}OwnerService/ListStores": frozenset({Role.OPERATOR, Role.AUDITOR}),
        f"{_ROOM}OwnerService/AttendKeys": _OWNER,
        f"{_ROOM}TemplateService/ProposeTemplate": _BOTH_SIDES,
        f"{_ROOM}TemplateService/GetTemplate": MEMBERS,
        f"{_ROOM}TemplateService/ListTemplates": MEMBERS,
        f"{_ROOM}TemplateService/Approve": _OWNER,
        f"{_ROOM}TemplateService/Refuse": _OWNER,
        f"{_ROOM}TemplateService/Withdraw": _OWNER,
        f"{_ROOM}TemplateService/PutAgreement": _BOTH_SIDES,
        f"{_ROOM}TemplateService/EndAgreement": _OWNER,
        f"{_ROOM}TemplateService/ListAgreements": _BOTH_SIDES,
        f"{_ROOM}ConsentService/GrantConsent": _CONSENTING,
        f"{_ROOM}ConsentService/RevokeConsent": _CONSENTING,
        f"{_ROOM}ConsentService/ListConsents": _CONSENTING,
        f"{_ROOM}ConsentService/RequestConsent": _INSTITUTION,
        f"{_ROOM}ConsentService/ListConsentRequests": frozenset({Role.SUBJECT, Role.INSTITUTION}),
        f"{_ROOM}SubjectService/GetHoldings": frozenset({Role.SUBJECT}),
        f"{_ROOM}SubjectService/OpenDispute": frozenset({Role.SUBJECT}),
        f"{_ROOM}SubjectService/AnswerDispute": _OWNER,
        f"{_ROOM}SubjectService/WithdrawDispute": frozenset({Role.SUBJECT}),
        f"{_ROOM}SubjectService/ListDisputes": frozenset({Role.SUBJECT, Role.OWNER}),
        f"{_ROOM}CheckService/Check": _INSTITUTION,
        f"{_ROOM}CheckService/GetCheck": _INSTITUTION,
        f"{_ROOM}UseService/ListUses": frozenset({Role.SUBJECT, Role.OWNER}),
        f"{_ROOM}CheckService/Cost": _INSTITUTION,
        f"{_ROOM}CheckService/AskList": _INSTITUTION,
        f"{_ROOM}BatchService/CheckMany": _INSTITUTION,
        f"{_ROOM}TableService/MakeTables": _INSTITUTION,
        f"{_ROOM}JobService/SubmitJob": _INSTITUTION,
        f"{_ROOM}JobService/TakePart": _INSTITUTION,
        f"{_ROOM}JobService/WatchJob": _BOTH_SIDES,
        f"{_ROOM}JobService/ListJobs": _BOTH_SIDES,
        f"{_ROOM}JobService/CancelJob": _INSTITUTION,
        f"{_ROOM}JobService/TrainInRoom": _INSTITUTION,
        f"{_ROOM}FederationService/ProposeFederation": _INSTITUTION,
        f"{_ROOM}FederationService/JoinFederation": _INSTITUTION,
        f"{_ROOM}FederationService/EndFederation": _INSTITUTION,
        f"{_ROOM}FederationService/ReportFederation": _INSTITUTION,
        f"{_ROOM}FederationService/GetFederation": _INSTITUTION | {Role.AUDITOR},
        f"{_ROOM}FederationService/ListFederations": _INSTITUTION,
        f"{_ROOM}FederationService/TrainFederation": _INSTITUTION,
        f"{_ROOM}LedgerService/GetCheckpoint": MEMBERS,
        f"{_ROOM}LedgerService/GetConsistency": MEMBERS,
        f"{_ROOM}LedgerService/GetInclusion": MEMBERS,
        f"{_ROOM}LedgerService/AddCosignature": _WITNESSES,
        f"{_ROOM}LedgerService/GetStatement": MEMBERS,
        f"{_ROOM}LedgerService/GetProof": MEMBERS,
        f"{_ROOM}LedgerService/ListEntries": MEMBERS,
        f"{_ROOM}RelayService/Attend": _OWNER,
        f"{_HEALTH}Check": ANYBODY,
        f"{_HEALTH}Watch": ANYBODY,
        f"{_REFLECTION}ServerReflectionInfo": ANYBODY,
        f"{_OLD_REFLECTION}ServerReflectionInfo": ANYBODY,
    }
)


def require_access(method: str, caller: Caller) -> None:
    """Refuse with `NOT_ALLOWED` unless one of the caller's roles may call a method.

    Args:
        method: its full name, as it stands in the request's path.
        caller: who calls.
    """
    roles = ACCESS.get(method)
    if roles is None:
        raise SafeRoomError(Reason.NOT_ALLOWED, "no such method in the access table")
    if roles is not ANYBODY and not roles & caller.roles:
        raise SafeRoomError(Reason.NOT_ALLOWED, f"{caller.organisation} has no role for {method}")
