"""Verification of what banks say of a federated training.

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
    FederationEnd,
    FederationJoin,
    FederationProposal,
    FederationResult,
    load,
)

ByBank = TypeVar("ByBank", FederationProposal, FederationJoin, FederationEnd, FederationResult)


def verify_by_bank(
    envelope: Envelope, kind: type[ByBank], room: str, issuers: tuple[str, ...], now: datetime
) -> tuple[ByBank, Identity]:
    """Open what a member of the bank that it names signed.

    Returns:
        What it says, and whom the certificate names; whether that was revoked is the caller's to
        check.

    Raises:
        SafeRoomError: `BAD_CHARTER` for another room; `UNAUTHENTICATED`, `NOT_YET_VALID`,
            `EXPIRED`; `BAD_SIGNATURE`, also for another institution's member.
    """
    says = load(envelope, kind)
    if says.room != room:
        raise SafeRoomError(Reason.BAD_CHARTER, f"a {kind.KIND} of another room")
    identity, key = verify_identity(unb64(says.signer), issuers, now)
    if (identity.kind, identity.organisation) != (IdentityKind.ORGANISATION, says.institution):
        raise SafeRoomError(Reason.BAD_SIGNATURE, "signed by another institution's member")
    envelope.verify([key])
    return says, identity


def require_joined_in_time(proposal: FederationProposal, join: FederationJoin) -> None:
    """Refuse a join whose instant is not within the proposal's: by it its certificate is verified.

    Raises:
        SafeRoomError: `EXPIRED`.
    """
    if not proposal.valid_from <= join.at <= proposal.valid_to:
        raise SafeRoomError(Reason.EXPIRED, "it joined outside of the proposal's validity")


def said_at(
    says: FederationProposal | FederationJoin | FederationEnd | FederationResult,
) -> datetime:
    """Give the instant at which a word was said, by its own account."""
    return says.valid_from if isinstance(says, FederationProposal) else says.at
