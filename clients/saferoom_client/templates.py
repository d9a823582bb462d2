"""Calls about templates and their approval."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from saferoom_client.differences import in_lines, in_words
from saferoom_client.owners import feature_statements
from saferoom_client.refused import Refused
from saferoom_client.report.approving import require_public
from saferoom_client.session import Session
from saferoom_client.values import Lacking, Proposal, TemplateChanges, TemplateView
from saferoom_proto.certificate import ReleaseCertificate, derive_certificate, owners_of, rests_on
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import unb64
from saferoom_proto.identity import verify_issued
from saferoom_proto.pinned import pin
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import (
    Approval,
    Charter,
    Feature,
    Template,
    TemplateRefusal,
    Withdrawal,
    load,
)
from saferoom_proto.statements.base import whole_milliseconds
from saferoom_proto.v1 import template_pb2
from saferoom_proto.verification import (
    PinnedCharter,
    verify_by_named_approver,
)
from saferoom_proto.wire import Recorded, envelope_from_proto, envelope_to_proto

_AT_ONCE: Final = 16
"""Templates fetched at once: a quarter of what a caller may have under way."""


async def propose_template(session: Session, template: Template) -> Proposal:
    """Propose a template, with the release certificate that this client derives for it."""
    statement = session.sign(template)
    features = [
        envelope
        for owner in owners_of(template)
        for envelope in await feature_statements(session, owner)
    ]
    charters = {
        owner: (await session.grounds.charter(owner)).digest for owner in rests_on(template)
    }
    certificate = derive_certificate(statement, pin(features), charters)
    ask = template_pb2.ProposeTemplateRequest(
        template=envelope_to_proto(statement),
        certificate=envelope_to_proto(session.sign(certificate)),
    )
    told = await session.call(session.templates.ProposeTemplate, ask)
    return Proposal(session.recorded(statement, told.recorded), certificate)


async def get_template(session: Session, template: str) -> TemplateView:
    """Fetch a template by its digest or name, verify what bears on it, derive its certificate.

    The certificate is derived here and compared with those that were handed in: where it is none
    of them, `TemplateView.changed` says so, and no approval counts until owners approve anew.

    Raises:
        SafeRoomError: `BAD_CHARTER` or `BAD_SIGNATURE` if a charter or feature is not its owner's.
    """
    told = await session.call(
        session.templates.GetTemplate, template_pb2.GetTemplateRequest(template=template)
    )
    envelope = envelope_from_proto(told.template)
    opened = load(envelope, Template)
    if template not in (envelope.digest, opened.name) or opened.room != session.profile.card.origin:
        raise SafeRoomError(Reason.BAD_PROOF, "the room gave another template than asked")
    charters = _charters(session, (envelope_from_proto(each) for each in told.charters))
    _require_proposer(envelope, opened, charters)
    statements = _features(session, charters, (envelope_from_proto(each) for each in told.features))
    features = pin(statements.values())
    approvals = tuple(envelope_from_proto(each) for each in told.approvals)
    session.grounds.keep(envelope, *approvals)
    certificates = tuple(envelope_from_proto(each).digest for each in told.certificates)
    pinned = {owner: charter.digest for owner, charter in charters.items()}
    certificate = derive_certificate(envelope, features, pinned)
    return TemplateView(
        template=opened,
        envelope=envelope,
        certificate=certificate,
        features=features,
        statements=statements,
        charters=charters,
        approvals=approvals,
        certificates=certificates,
        refusals=_refusals(charters, map(envelope_from_proto, told.refusals), approvals),
    )


def approved_by(view: TemplateView, owner: str) -> tuple[str, ...]:
    """Name the approvers of an owner whose approvals count for the template as it is now."""
    signed = (name for name, genuine in _approvals(view, owner) if genuine)
    return tuple(sorted(set(signed)))


def missing_approvals(view: TemplateView, *given: str) -> tuple[Lacking, ...]:
    """Tell whose approvals a template still needs; empty once it can be asked.

    Args:
        view: of the template.
        given: an owner and its approver's name, who has approved since.
    """
    missing: list[Lacking] = []
    for part in view.certificate.parts:
        charter = view.charters[part.owner].charter
        approved = {
            *approved_by(view, part.owner),
            *(given[1:] if given[:1] == (part.owner,) else ()),
        }
        left = tuple(each.name for each in charter.approvers if each.name not in approved)
        if len(approved) < charter.threshold:
            missing.append(Lacking(part.owner, left, charter.threshold - len(approved)))
    return tuple(missing)


def forged_approvals(view: TemplateView, owner: str) -> tuple[str, ...]:
    """Name the approvers in whose names there are approvals that they did not sign."""
    forged = (name for name, genuine in _approvals(view, owner) if not genuine)
    return tuple(sorted(set(forged)))


def _approvals(view: TemplateView, owner: str) -> Iterator[tuple[str, bool]]:
    """Give whose word each approval of the template as it is now claims to be, and whether it is.

    One that is not counts for nothing, and hides none of the others: whoever shows it could be
    after just that.
    """
    charter = view.charters[owner]
    for envelope in view.approvals:
        approval = load(envelope, Approval)
        named = (approval.owner, approval.charter, approval.template, approval.certificate)
        if named != (owner, charter.digest, view.envelope.digest, view.certificate.digest):
            continue
        try:
            envelope.verify([charter.key_of(approval.approver)])
        except SafeRoomError:
            yield approval.approver, False
        else:
            yield approval.approver, True


async def list_templates(session: Session) -> tuple[Envelope, ...]:
    """List the templates in the order in which they were proposed; `load` opens each."""
    told = await session.call(session.templates.ListTemplates, template_pb2.ListTemplatesRequest())
    return tuple(envelope_from_proto(each) for each in told.templates)


@dataclass(frozen=True, slots=True)
class ListedTemplate:
    """A template of the list, with what bears on it.

    Attributes:
        template: as it was proposed.
        digest: of its statement.
        view: verified; none if that was not possible.
        problem: why not; empty if it was.
    """

    template: Template
    digest: str
    view: TemplateView | None
    problem: str = ""


async def survey_templates(session: Session) -> tuple[ListedTemplate, ...]:
    """List the templates with who has approved each, as far as it can be verified here.

    One whose owner's charter root is not pinned is listed without; `problem` says so.
    """
    turn = asyncio.Semaphore(_AT_ONCE)

    async def listed(envelope: Envelope) -> ListedTemplate:
        template = load(envelope, Template)
        async with turn:
            try:
                view = await get_template(session, envelope.digest)
            except Refused:
                raise
            except SafeRoomError as error:
                return ListedTemplate(template, envelope.digest, None, error.detail)
        return ListedTemplate(template, envelope.digest, view)

    return tuple(await asyncio.gather(*map(listed, await list_templates(session))))


async def approve(session: Session, view: TemplateView) -> Recorded:
    """Approve, as the member's owner, exactly what the view shows."""
    member, now = session.profile.member, whole_milliseconds(session.clock())
    charter = _own_charter(session, view)
    await require_public(session, view.certificate.part(session.owner))
    statement = session.sign(
        Approval(
            room=session.profile.card.origin,
            owner=session.owner,
            approver=member.name,
            charter=charter.digest,
            template=view.envelope.digest,
            certificate=view.certificate.digest,
            at=now,
        )
    )
    ask = template_pb2.ApproveRequest(
        approval=envelope_to_proto(statement),
        certificate=envelope_to_proto(session.sign(view.certificate)),
    )
    told = await session.call(session.templates.Approve, ask)
    return session.recorded(statement, told.recorded)


async def refuse(session: Session, template: str, why: str) -> Recorded:
    """Tell a template's proposer (by its digest) that the member's owner will not approve it.

    Raises:
        SafeRoomError: `CONFLICT` if this approver has approved it: that is withdrawn.
    """
    statement = session.sign(
        TemplateRefusal(
            room=session.profile.card.origin,
            owner=session.owner,
            approver=session.profile.member.name,
            template=template,
            why=why,
            at=whole_milliseconds(session.clock()),
        )
    )
    ask = template_pb2.RefuseRequest(refusal=envelope_to_proto(statement))
    told = await session.call(session.templates.Refuse, ask)
    return session.recorded(statement, told.recorded)


async def changes_since_approval(session: Session, view: TemplateView) -> TemplateChanges | None:
    """Compare a template with the newest earlier one of its name that the member's owner approved.

    Returns:
        What changed; none if the room shows no earlier one that enough approvers approved.
    """
    listed = await list_templates(session)
    digests = [each.digest for each in listed]
    if view.envelope.digest not in digests:
        raise SafeRoomError(Reason.BAD_PROOF, "the room's list lacks the template it gave")
    for envelope in reversed(listed[: digests.index(view.envelope.digest)]):
        template = load(envelope, Template)
        if template.name != view.template.name:
            continue
        before = await get_template(session, envelope.digest)
        certificate = await _approved_certificate(session, before)
        if certificate is None:
            continue
        certificates = (certificate, view.certificate)
        features = await _features_of(session, certificates, before, view)
        return TemplateChanges(
            envelope.digest,
            tuple(in_words(template, view.template, certificates, features)),
            tuple(in_lines(envelope, view.envelope)),
        )
    return None


async def _approved_certificate(session: Session, view: TemplateView) -> ReleaseCertificate | None:
    """Give the certificate under which enough of the owner's approvers approved a template."""
    owner = session.owner
    counted: dict[tuple[str, str], set[str]] = {}
    for envelope in view.approvals:
        approval = load(envelope, Approval)
        if (approval.owner, approval.template) != (owner, view.envelope.digest):
            continue
        charter = await session.grounds.charter(owner, approval.charter)
        verify_by_named_approver(envelope, charter, Approval)
        names = counted.setdefault((approval.certificate, approval.charter), set())
        names.add(approval.approver)
        if len(names) >= charter.charter.threshold:
            statement = await session.grounds.statement(approval.certificate)
            return load(statement, ReleaseCertificate)
    return None


async def _features_of(
    session: Session,
    certificates: tuple[ReleaseCertificate, ReleaseCertificate],
    *views: TemplateView,
) -> dict[str, Feature]:
    """Give the features that two certificates name, by their digests."""
    session.grounds.keep(*(each for view in views for each in view.statements.values()))
    digests = {use.digest for one in certificates for part in one.parts for use in part.features}
    return {each: load(await session.grounds.statement(each), Feature) for each in digests}


async def withdraw(session: Session, template: str, why: str) -> Recorded:
    """Take the owner's approval of a template (by digest) back, at once."""
    member = session.profile.member
    statement = session.sign(
        Withdrawal(
            room=session.profile.card.origin,
            owner=session.owner,
            approver=member.name,
            template=template,
            why=why,
            at=whole_milliseconds(session.clock()),
        )
    )
    ask = template_pb2.WithdrawRequest(withdrawal=envelope_to_proto(statement))
    told = await session.call(session.templates.Withdraw, ask)
    return session.recorded(statement, told.recorded)


def _charters(session: Session, envelopes: Iterable[Envelope]) -> dict[str, PinnedCharter]:
    opened: dict[str, PinnedCharter] = {}
    for envelope in envelopes:
        owner = load(envelope, Charter).owner
        opened[owner] = session.grounds.open_charter(owner, envelope)
    return opened


def _require_proposer(
    envelope: Envelope, template: Template, charters: Mapping[str, PinnedCharter]
) -> None:
    """Check that a member of the proposing organisation signed: the approver is shown its name."""
    issuers = {pem: None for each in charters.values() for pem in each.issuer_certificates}
    signer = verify_issued(unb64(template.signer), tuple(issuers))
    if signer.identity.organisation != template.proposer:
        raise SafeRoomError(Reason.BAD_SIGNATURE, "the template is signed by another organisation")
    envelope.verify([signer.key])


def _features(
    session: Session, charters: Mapping[str, PinnedCharter], envelopes: Iterable[Envelope]
) -> dict[str, Envelope]:
    found: dict[str, Envelope] = {}
    for envelope in envelopes:
        owner = load(envelope, Feature).owner
        if owner not in charters:
            raise SafeRoomError(Reason.BAD_CHARTER, f"the room gave no charter of {owner}")
        feature = session.grounds.feature(envelope, charters[owner])
        found[feature.full_name] = envelope
    return found


def _refusals(
    charters: Mapping[str, PinnedCharter],
    envelopes: Iterable[Envelope],
    approvals: Iterable[Envelope],
) -> tuple[TemplateRefusal, ...]:
    """Open the refusals by approvers of the charters in force who have not approved since."""
    given = [load(each, Approval) for each in approvals]
    approved = {(each.owner, each.approver) for each in given}
    refusals: list[TemplateRefusal] = []
    for envelope in envelopes:
        said = load(envelope, TemplateRefusal)
        charter = charters.get(said.owner)
        names = () if charter is None else (each.name for each in charter.charter.approvers)
        if charter is None or said.approver not in names:
            continue  # who has left refuses nothing
        refusal = verify_by_named_approver(envelope, charter, TemplateRefusal)
        if (refusal.owner, refusal.approver) not in approved:
            refusals.append(refusal)
    return tuple(refusals)


def _own_charter(session: Session, view: TemplateView) -> PinnedCharter:
    owner = session.owner
    if owner not in view.charters:
        raise SafeRoomError(Reason.NOT_ALLOWED, f"the template touches nothing of {owner}")
    return view.charters[owner]
