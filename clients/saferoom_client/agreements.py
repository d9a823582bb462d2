"""Calls about agreements between an owner and an institution."""

from __future__ import annotations

from saferoom_client.session import Session
from saferoom_client.values import GrantedAgreement, Lacking
from saferoom_proto import dsse
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import unb64
from saferoom_proto.identity import verify_issued
from saferoom_proto.keys import SigningKey
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements import Agreement, AgreementEnd, load
from saferoom_proto.statements.base import whole_milliseconds
from saferoom_proto.v1 import template_pb2
from saferoom_proto.verification import verify_agreement
from saferoom_proto.wire import Recorded, envelope_from_proto, envelope_to_proto


async def put_agreement(session: Session, agreement: Envelope) -> Recorded:
    """Hand in an agreement that both sides have signed."""
    ask = template_pb2.PutAgreementRequest(agreement=envelope_to_proto(agreement))
    told = await session.call(session.templates.PutAgreement, ask)
    return session.recorded(agreement, told.recorded)


async def end_agreement(session: Session, agreement: str, why: str) -> Recorded:
    """End an agreement (by digest) of the member's owner."""
    member = session.profile.member
    statement = session.sign(
        AgreementEnd(
            room=session.profile.card.origin,
            owner=session.owner,
            approver=member.name,
            agreement=agreement,
            why=why,
            at=whole_milliseconds(session.clock()),
        )
    )
    ask = template_pb2.EndAgreementRequest(end=envelope_to_proto(statement))
    told = await session.call(session.templates.EndAgreement, ask)
    return session.recorded(statement, told.recorded)


async def list_agreements(session: Session) -> tuple[GrantedAgreement, ...]:
    """List the agreements of the member's organisation, ended ones too."""
    ask = template_pb2.ListAgreementsRequest()
    told = await session.call(session.templates.ListAgreements, ask)
    envelopes = [envelope_from_proto(each) for each in told.agreements]
    session.grounds.keep(*envelopes)
    listed = [(load(each, Agreement), each.digest) for each in envelopes]
    ended = {one.replaces for one, _ in listed}
    for message in told.ends:
        end = load(envelope_from_proto(message), AgreementEnd)
        ended.add(end.agreement)
    return tuple(GrantedAgreement(one, digest, digest in ended) for one, digest in listed)


async def missing_signatures(session: Session, agreement: Envelope) -> tuple[Lacking, ...]:
    """Tell who must still sign an agreement: approvers of the owner, the institution.

    Verified under the owner's charter in force. Empty once it can be handed in.

    Raises:
        SafeRoomError: `NO_AGREEMENT`, `UNAUTHENTICATED` if a key that it names is not one of the
            institution's.
    """
    opened = load(agreement, Agreement)
    charter = await session.grounds.charter(opened.owner)
    signed = {each.keyid for each in agreement.signatures}
    approvers = charter.charter.approvers
    keys = zip(charter.approver_keys, approvers, strict=True)
    left = tuple(approver.name for key, approver in keys if key.keyid not in signed)
    lacking = charter.charter.threshold - (len(approvers) - len(left))
    missing = [Lacking(opened.owner, left, lacking)] if lacking > 0 else []
    signers = [
        verify_issued(unb64(each.certificate), charter.issuer_certificates) for each in opened.keys
    ]
    if not any(signer.key.keyid in signed for signer in signers):
        names = tuple(each.name for each in opened.keys)
        missing.append(Lacking(opened.institution, names, 1))
    if not missing:
        verify_agreement(agreement, charter)
    return tuple(missing)


def add_signature(agreement: Envelope, key: SigningKey) -> Envelope:
    """Add one's signature to an agreement that others signed.

    Raises:
        SafeRoomError: `MALFORMED` if it is no agreement, or this key has signed it already.
    """
    load(agreement, Agreement)
    if key.verify_key.keyid in {each.keyid for each in agreement.signatures}:
        rule = "you have signed it already"
        raise SafeRoomError(Reason.MALFORMED, rule, [FieldFault("signatures", rule)])
    return dsse.add_signature(agreement, key)
