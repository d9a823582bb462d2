"""Calls of subjects and registrars: consents and their revocation."""

from __future__ import annotations

from saferoom_client.heads import require_witnessed
from saferoom_client.session import Session
from saferoom_client.values import GivenConsent, Revocation
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import b64
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import (
    Acknowledgement,
    Consent,
    ConsentRevocation,
    Endorsement,
    load,
)
from saferoom_proto.v1 import consent_pb2
from saferoom_proto.verification import verify_by_enclave
from saferoom_proto.wire import (
    Recorded,
    envelope_from_proto,
    envelope_to_proto,
    recorded_from_proto,
)


async def grant_consent(session: Session, consent: Consent | Envelope) -> Recorded:
    """Grant a consent, signed as its subject, or as a registrar for one on paper."""
    statement = session.sign(consent)
    ask = consent_pb2.GrantConsentRequest(consent=envelope_to_proto(statement))
    told = await session.call(session.consents.GrantConsent, ask)
    recorded = session.recorded(statement, told.recorded)
    await require_witnessed(session)
    return recorded


async def revoke_consent(session: Session, consent: str) -> Revocation:
    """Take a consent (by digest) back, and verify who acknowledges it.

    Raises:
        SafeRoomError: the revocation is recorded, but an acknowledgement is not the signed and
            logged word of the owner's endorsed enclave on this very revocation.
    """
    given = load(await session.grounds.statement(consent), Consent)
    statement = session.sign(
        ConsentRevocation(
            room=session.profile.card.origin,
            subject=given.subject,
            certificate=b64(session.profile.signing_certificate),
            consent=consent,
        )
    )
    ask = consent_pb2.RevokeConsentRequest(revocation=envelope_to_proto(statement))
    told = await session.call(session.consents.RevokeConsent, ask)
    recorded = session.recorded(statement, told.recorded)
    acknowledgements: dict[str, Acknowledgement] = {}
    for message in told.acknowledgements:
        acknowledgement = await _acknowledged(session, statement, recorded_from_proto(message))
        acknowledgements[acknowledgement.owner] = acknowledgement
    await require_witnessed(session)
    return Revocation(recorded, acknowledgements, tuple(told.waiting))


async def list_consents(session: Session) -> tuple[GivenConsent, ...]:
    """List consents, revoked ones too: a subject its own, an institution those given to it."""
    told = await session.call(session.consents.ListConsents, consent_pb2.ListConsentsRequest())
    revoked = set(told.revoked)
    envelopes = [envelope_from_proto(each) for each in told.consents]
    session.grounds.keep(*envelopes)
    return tuple(
        GivenConsent(load(each, Consent), each.digest, each.digest in revoked) for each in envelopes
    )


async def _acknowledged(
    session: Session, revocation: Envelope, recorded: Recorded
) -> Acknowledgement:
    """Verify one enclave's acknowledgement of a revocation."""
    session.grounds.require_recorded(recorded)
    said = load(recorded.statement, Acknowledgement)
    endorsed = load(await session.grounds.statement(said.endorsement), Endorsement)
    charter = await session.grounds.charter(said.owner, endorsed.charter)
    endorsement = await session.grounds.endorsement(said.endorsement, charter, said.time)
    acknowledgement = verify_by_enclave(
        recorded.statement, endorsement, said.endorsement, Acknowledgement
    )
    heeded = load(revocation, ConsentRevocation)
    about = (acknowledgement.revocation, acknowledgement.consent, acknowledgement.subject)
    if about != (revocation.digest, heeded.consent, heeded.subject):
        raise SafeRoomError(Reason.BAD_PROOF, "an acknowledgement of another revocation")
    return acknowledgement
