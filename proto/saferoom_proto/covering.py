"""What a consent covers, whose, to whom, for what, about which features, when; who may give it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from saferoom_proto.identity import Identity, IdentityKind
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Consent, ConsentRevocation, Feature
from saferoom_proto.statements.request import SubjectRequest


def require_consent_covers(
    consent: Consent, request: SubjectRequest, features: Sequence[Feature], now: datetime
) -> None:
    """Refuse with `NO_CONSENT` unless the consent lets this request use these features now."""
    if (consent.room, consent.subject) != (request.room, request.subject):
        raise SafeRoomError(Reason.NO_CONSENT, "another subject's consent")
    if consent.institution != request.institution:
        raise SafeRoomError(Reason.NO_CONSENT, "given to another institution")
    if request.purpose not in consent.purposes:
        raise SafeRoomError(Reason.NO_CONSENT, "given for another purpose")
    if not consent.valid_from <= now < consent.valid_to:
        raise SafeRoomError(Reason.NO_CONSENT, "not in force now")
    for feature in features:
        if not covers(consent, feature):
            raise SafeRoomError(Reason.NO_CONSENT, f"does not cover {feature.full_name}")


def covers(consent: Consent, feature: Feature) -> bool:
    """Tell whether a consent names a feature, or all kinds of information that it is made of."""
    types = feature.information_types
    by_type = bool(types) and {*consent.information_types}.issuperset(types)
    return by_type or feature.full_name in consent.features


def require_giver(
    payload: Consent | ConsentRevocation, signer: Identity, registrars: Sequence[str]
) -> None:
    """Refuse with `NO_CONSENT` unless its signer is its subject, or a registrar for its paper."""
    paper = payload.paper if isinstance(payload, Consent) else None
    if signer.kind is IdentityKind.SUBJECT:
        if signer.organisation != payload.subject:
            raise SafeRoomError(Reason.NO_CONSENT, "signed by another subject")
        if paper is not None:
            raise SafeRoomError(Reason.NO_CONSENT, "a subject that signs itself needs no paper")
    elif signer.organisation not in registrars:
        raise SafeRoomError(Reason.NO_CONSENT, "signed by an organisation that is no registrar")
    elif isinstance(payload, Consent) and (paper is None or paper.registrar != signer.organisation):
        raise SafeRoomError(Reason.NO_CONSENT, "a registrar signs for paper it registered itself")
