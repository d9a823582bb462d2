"""The example of a question that is the second message of a blind match."""

from __future__ import annotations

from datetime import timedelta

from saferoom_proto.encoding import b64
from saferoom_proto.statements import CheckRequest, Purpose
from saferoom_proto.statements.request import BlindMatch
from tests.proto.golden_seeds import AT, ROOM, SUBJECT, digest, sealing, seed


def matching() -> CheckRequest:
    """Give the second message of a blind match."""
    return CheckRequest(
        room=ROOM,
        institution="bank-a",
        template=digest("template"),
        certificate=digest("certificate"),
        subject=SUBJECT,
        params={},
        purpose=Purpose.PRE_LOAN,
        nonce=b64(seed("nonce", 16)),
        not_before=AT,
        not_after=AT + timedelta(minutes=10),
        reply_key=b64(sealing("reply").public),
        match=BlindMatch(offer=digest("offer"), ciphertext=b64(seed("ciphertext", 768))),
    )
