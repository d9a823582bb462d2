"""A subject of the demo lets the bank ask about it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from saferoom_client.demo.stage import Stage
from saferoom_proto.encoding import b64
from saferoom_proto.statements import Consent, Purpose
from saferoom_proto.statements.base import fresh_nonce, whole_milliseconds

NOTICE: Final = "What a yes or no about you may tell a bank, and how to take your consent back."


def grant(stage: Stage, uscc: str, features: tuple[str, ...]) -> str:
    """Have a subject let bank-a ask about features of it, before a loan; gives the digest."""
    with stage.open(uscc, "self") as room:
        now = whole_milliseconds(datetime.now(UTC))
        consent = Consent(
            room=room.profile.card.origin,
            subject=uscc,
            certificate=b64(room.profile.signing_certificate),
            institution="bank-a",
            purposes=(Purpose.PRE_LOAN,),
            features=features,
            uses=None,
            notice=room.profile.suite.digest(NOTICE.encode()),
            nonce=fresh_nonce(),
            valid_from=now - timedelta(minutes=1),
            valid_to=now + timedelta(days=90),
        )
        return room.grant_consent(consent).statement.digest
