"""Calls about who is in the room."""

from __future__ import annotations

from saferoom_client.session import Session
from saferoom_client.values import Caller, MemberCertificate, Organisation, RoomState
from saferoom_client.wire import (
    read_caller,
    read_certificate,
    read_organisation,
    read_room,
    write_organisation,
)
from saferoom_proto.dsse import Envelope
from saferoom_proto.keys import VerifyKey
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.v1 import identity_pb2
from saferoom_proto.wire import Recorded, envelope_to_proto


async def describe(session: Session) -> RoomState:
    """Ask the room how it and its enclaves do.

    Raises:
        SafeRoomError: `BAD_PROOF` if its name or keys are not those that were pinned.
    """
    told = await session.call(session.identities.GetRoom, identity_pb2.GetRoomRequest())
    profile = session.profile
    card, ledger, heads = profile.card, VerifyKey(told.ledger_key), VerifyKey(told.heads_key)
    # While a key is handed over, the room names the former, and this member may go by the next.
    logs = {profile.trust.ledger_key, *(each.key for each in profile.trust.former_ledger_keys)}
    if told.origin != card.origin or ledger.public not in logs or heads not in card.heads_keys:
        refusal = SafeRoomError(
            Reason.BAD_PROOF, "the room has another name or key than was pinned"
        )
        refusal.add_note(f"saferoom room follow -p {profile.folder}")
        raise refusal
    return read_room(told)


async def whoami(session: Session) -> Caller:
    """Ask whom the room takes this member for, and in which roles."""
    told = await session.call(session.identities.WhoAmI, identity_pb2.WhoAmIRequest())
    return read_caller(told)


async def enrol_organisation(session: Session, organisation: Organisation) -> Organisation:
    """Enrol an organisation with the roles its members may take (operators)."""
    ask = identity_pb2.EnrolOrganisationRequest(organisation=write_organisation(organisation))
    told = await session.call(session.identities.EnrolOrganisation, ask)
    return read_organisation(told.organisation)


async def list_organisations(session: Session) -> tuple[Organisation, ...]:
    """List the organisations of the room, by name."""
    ask = identity_pb2.ListOrganisationsRequest()
    told = await session.call(session.identities.ListOrganisations, ask)
    return tuple(read_organisation(each) for each in told.organisations)


async def revoke_organisation(session: Session, name: str) -> Organisation:
    """Revoke an organisation (operators); its members are refused from their next call on."""
    ask = identity_pb2.RevokeOrganisationRequest(name=name)
    told = await session.call(session.identities.RevokeOrganisation, ask)
    return read_organisation(told.organisation)


async def list_certificates(
    session: Session, organisation: str = ""
) -> tuple[MemberCertificate, ...]:
    """List the certificates with which organisations' members have called, of one or of all."""
    ask = identity_pb2.ListCertificatesRequest(organisation=organisation)
    told = await session.call(session.identities.ListCertificates, ask)
    return tuple(read_certificate(each) for each in told.certificates)


async def revoke_certificate(session: Session, revocation: Envelope) -> Recorded:
    """Hand in an identity issuer's revocation of a certificate; it counts from the next call."""
    ask = identity_pb2.RevokeCertificateRequest(revocation=envelope_to_proto(revocation))
    told = await session.call(session.identities.RevokeCertificate, ask)
    return session.recorded(revocation, told.recorded)
