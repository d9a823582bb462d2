"""Verification of what subjects and banks say to each other and to owners.

As in `verification`: pure, and every check raises.
"""

from __future__ import annotations

from datetime import datetime
from typing import TypeVar

from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import unb64
from saferoom_proto.identity import Identity, IdentityKind, verify_identity
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import (
    ConsentRequest,
    Dispute,
    DisputeWithdrawal,
    HoldingsRequest,
    load,
)
from saferoom_proto.verification import PinnedCharter

BySubject = TypeVar("BySubject", HoldingsRequest, Dispute, DisputeWithdrawal)


def verify_by_subject(
    envelope: Envelope, kind: type[BySubject], charter: PinnedCharter, now: datetime
) -> tuple[BySubject, Identity]:
    """Open what only a subject itself may say to an owner: nobody says it for another.

    Returns:
        What it says, and whom the certificate names; whether that was revoked is the caller's to
        check.

    Raises:
        SafeRoomError: `BAD_CHARTER` for another owner or room; `UNAUTHENTICATED` for a certificate
            of no issuer of the charter; `NOT_YET_VALID`, `EXPIRED`; `NOT_ALLOWED` if it names an
            organisation or another subject; `BAD_SIGNATURE`.
    """
    payload = load(envelope, kind)
    if (payload.owner, payload.room) != (charter.charter.owner, charter.charter.room):
        raise SafeRoomError(
            Reason.BAD_CHARTER, f"a {kind.KIND} to another owner, or of another room"
        )
    der = unb64(payload.certificate)
    identity, key = verify_identity(der, charter.issuer_certificates, now)
    if (identity.kind, identity.organisation) != (IdentityKind.SUBJECT, payload.subject):
        raise SafeRoomError(Reason.NOT_ALLOWED, "not signed by the subject itself")
    envelope.verify([key])
    return payload, identity


def verify_consent_request(
    envelope: Envelope, room: str, issuers: tuple[str, ...], now: datetime
) -> tuple[ConsentRequest, Identity]:
    """Open a request for consent that a member of the asking institution signed.

    Raises:
        SafeRoomError: `BAD_CHARTER` for another room; `UNAUTHENTICATED`, `NOT_YET_VALID`,
            `EXPIRED`; `BAD_SIGNATURE`, also for another institution's member.
    """
    request = load(envelope, ConsentRequest)
    if request.room != room:
        raise SafeRoomError(Reason.BAD_CHARTER, "a request for consent of another room")
    identity, key = verify_identity(unb64(request.signer), issuers, now)
    member = (IdentityKind.ORGANISATION, request.institution)
    if (identity.kind, identity.organisation) != member:
        raise SafeRoomError(Reason.BAD_SIGNATURE, "signed by another institution's member")
    envelope.verify([key])
    return request, identity
