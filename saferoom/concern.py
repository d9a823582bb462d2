"""Whom a recorded statement concerns: who may have it shown, and opened, by its digest.

| statement                                                  | concerns                            |
|------------------------------------------------------------|-------------------------------------|
| charter, feature, template, release certificate, approval, | every member                        |
| template refusal, withdrawal, pause, endorsement,          |                                     |
| evidence, cert. revocation, key handover, root handover    |                                     |
| recovery, recovered                                        |                                     |
| schema, feature trial, load order, rollback order,         | its owner                           |
| snapshot, key change                                       |                                     |
| agreement, agreement end                                   | its owner and its institution       |
| consent                                                    | its subject, its institution,       |
|                                                            | its registrar, every owner          |
| consent revocation                                         | its subject, every owner, and the   |
|                                                            | institution the consent was given to|
| request for consent                                        | its subject, its institution        |
| acknowledgement, disclosure, dispute, dispute answer,      | its subject, its owner              |
| dispute withdrawal                                         |                                     |
| release                                                    | its institution, its owner, the     |
|                                                            | subject asked about                 |
| batch release, table release, fit release, job admission,  | its institution, its owner          |
| job release, job cancel                                    |                                     |
| federation proposal                                        | the banks that it names             |
| federation join, federation end, federation result         | the banks that its federation names |
| refusal, cost estimate                                     | its institution, the owner it names,|
|                                                            | the subject asked about             |

An auditor may have every statement. Who was told of a statement by one that it concerns, with its
salt, may have its place in the log proven. What concerns somebody else is refused in the same words
as what is not there.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from typing import Final

from saferoom.archive import Archive, Found
from saferoom.evidence import Caller, Recorded, Role
from saferoom.notary import Notary
from saferoom.register import Register
from saferoom_proto.certificate import ReleaseCertificate
from saferoom_proto.load_order import LoadOrder
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.rollback import RollbackOrder
from saferoom_proto.statements import (
    Acknowledgement,
    Agreement,
    AgreementEnd,
    Approval,
    BatchRelease,
    CertificateRevocation,
    Charter,
    Consent,
    ConsentRequest,
    ConsentRevocation,
    CostEstimate,
    Disclosure,
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
    FitRelease,
    JobAdmission,
    JobCancel,
    JobRelease,
    KeyChange,
    KeyHandover,
    Pause,
    Recovered,
    Recovery,
    Refusal,
    Release,
    RootHandover,
    Schema,
    Snapshot,
    TableRelease,
    Template,
    TemplateRefusal,
    Withdrawal,
    load,
)

EVERY_MEMBER: Final = frozenset(
    kind.KIND
    for kind in (
        Charter,
        Feature,
        Template,
        ReleaseCertificate,
        Approval,
        TemplateRefusal,
        Withdrawal,
        Pause,
        Endorsement,
        EvidenceClaims,
        CertificateRevocation,
        KeyHandover,
        RootHandover,
        Recovery,
        Recovered,
    )
)


_Names = Callable[[Found], set[str | None]]


def _agreement(found: Found) -> set[str | None]:
    agreement = load(found.envelope, Agreement)
    return {agreement.owner, agreement.institution}


def _consent(found: Found) -> set[str | None]:
    consent = load(found.envelope, Consent)
    registrar = None if consent.paper is None else consent.paper.registrar
    return {consent.subject, consent.institution, registrar}


def _consent_request(found: Found) -> set[str | None]:
    request = load(found.envelope, ConsentRequest)
    return {request.subject, request.institution}


def _between(
    kind: type[Acknowledgement | Disclosure | Dispute | DisputeAnswer | DisputeWithdrawal],
) -> _Names:
    """Name the subject and the owner of a statement between the two."""

    def named(found: Found) -> set[str | None]:
        says = load(found.envelope, kind)
        return {says.subject, says.owner}

    return named


def _asked(
    kind: type[
        Release
        | BatchRelease
        | JobAdmission
        | JobRelease
        | JobCancel
        | CostEstimate
        | TableRelease
        | FitRelease
        | Refusal
    ],
) -> _Names:
    """Name the institution that asked, and the owner whose answer it is, if one was asked."""

    def named(found: Found) -> set[str | None]:
        says = load(found.envelope, kind)
        return {says.institution, says.owner}

    return named


CONCERNED: Final[Mapping[str, _Names]] = {
    Schema.KIND: lambda found: {load(found.envelope, Schema).owner},
    FeatureTrial.KIND: lambda found: {load(found.envelope, FeatureTrial).owner},
    LoadOrder.KIND: lambda found: {load(found.envelope, LoadOrder).owner},
    RollbackOrder.KIND: lambda found: {load(found.envelope, RollbackOrder).owner},
    KeyChange.KIND: lambda found: {load(found.envelope, KeyChange).owner},
    Snapshot.KIND: lambda found: {load(found.envelope, Snapshot).owner},
    Agreement.KIND: _agreement,
    Consent.KIND: _consent,
    ConsentRevocation.KIND: lambda found: {load(found.envelope, ConsentRevocation).subject},
    ConsentRequest.KIND: _consent_request,
    Acknowledgement.KIND: _between(Acknowledgement),
    Disclosure.KIND: _between(Disclosure),
    Dispute.KIND: _between(Dispute),
    DisputeAnswer.KIND: _between(DisputeAnswer),
    DisputeWithdrawal.KIND: _between(DisputeWithdrawal),
    Release.KIND: _asked(Release),
    BatchRelease.KIND: _asked(BatchRelease),
    JobAdmission.KIND: _asked(JobAdmission),
    JobRelease.KIND: _asked(JobRelease),
    JobCancel.KIND: _asked(JobCancel),
    CostEstimate.KIND: _asked(CostEstimate),
    TableRelease.KIND: _asked(TableRelease),
    FitRelease.KIND: _asked(FitRelease),
    Refusal.KIND: _asked(Refusal),
    FederationProposal.KIND: lambda found: {*load(found.envelope, FederationProposal).banks},
}
"""Kinds that name those they concern, and where. Others are looked up by what they are on."""
_ON_FEDERATIONS: Final = (FederationJoin, FederationEnd, FederationResult)

_FOLLOWED_BY_OWNERS: Final = frozenset({Consent.KIND, ConsentRevocation.KIND})


class Concerns:
    """Shows recorded statements to those they concern.

    Args:
        archive: finds them.
        notary: proves them.
        register: knows the agreements that an end ends.
    """

    def __init__(self, archive: Archive, notary: Notary, register: Register) -> None:
        self._archive: Final = archive
        self._notary: Final = notary
        self._register: Final = register

    async def statement(self, caller: Caller, digest: str) -> Recorded[None]:
        """Give a statement that concerns the caller.

        Raises:
            SafeRoomError: `UNKNOWN_STATEMENT` if there is none, or it does not concern the caller.
        """
        found = await self._archive.find(digest)
        if found is None or not await self._concerns(caller, found):
            raise SafeRoomError(Reason.UNKNOWN_STATEMENT, "none that concerns the caller")
        return self._notary.prove(found, None)

    async def proof(self, digest: str, salt: bytes) -> str:
        """Prove an entry to whoever can open it: who knows its salt was given it by a side of it.

        Raises:
            SafeRoomError: `UNKNOWN_STATEMENT` if there is none, or it has another salt.
        """
        found = await self._archive.find(digest)
        if found is None or not hmac.compare_digest(found.salt, salt):
            raise SafeRoomError(Reason.UNKNOWN_STATEMENT, "none that this salt opens")
        return self._notary.prove(found, None).proof

    async def _concerns(self, caller: Caller, found: Found) -> bool:
        if Role.AUDITOR in caller.roles or found.kind in EVERY_MEMBER:
            return True
        if found.kind in _FOLLOWED_BY_OWNERS and Role.OWNER in caller.roles:
            return True
        if caller.organisation in await self._named(found):
            return True
        return await self._archive.is_use_of(caller.organisation, found.position.index)

    async def _named(self, found: Found) -> set[str | None]:
        named = CONCERNED[found.kind](found) if found.kind in CONCERNED else set[str | None]()
        if found.kind == AgreementEnd.KIND:
            ended = self._register.agreement(load(found.envelope, AgreementEnd).agreement).says
            named |= {ended.owner, ended.institution}
        for kind in _ON_FEDERATIONS:
            if found.kind == kind.KIND:
                proposal = await self._archive.find(load(found.envelope, kind).federation)
                named |= set() if proposal is None else CONCERNED[proposal.kind](proposal)
        if found.kind == ConsentRevocation.KIND:
            consent = await self._archive.find(load(found.envelope, ConsentRevocation).consent)
            named |= set() if consent is None else _consent(consent)
        return named
