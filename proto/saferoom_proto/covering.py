"""What a consent covers: whose, to whom, for what, about which features, when."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Consent, Feature
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
    types = set(consent.information_types)
    for feature in features:
        by_type = bool(feature.information_types) and types.issuperset(feature.information_types)
        if feature.full_name not in consent.features and not by_type:
            raise SafeRoomError(Reason.NO_CONSENT, f"does not cover {feature.full_name}")
