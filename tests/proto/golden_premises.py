"""Frozen examples of what joins the room to an enclave that its owner starts."""

from __future__ import annotations

from saferoom_proto.encoding import b64
from saferoom_proto.statements import Launch, Payload, Switchboard
from tests.proto.golden_seeds import AT, CERTIFICATE, ROOM, digest, public, sealing


def words_at_the_owner() -> dict[str, Payload]:
    """Give what the room says to supervisors, and what they say of their enclaves."""
    return {
        "switchboard": Switchboard(room=ROOM, certificate=b64(CERTIFICATE), time=AT),
        "launch": Launch(
            room=ROOM,
            owner="tax",
            identity=public("enclave"),
            sealing=b64(sealing("enclave").public),
            tls=digest("tls"),
            charter=digest("charter 2"),
            code=digest("code"),
            dependencies=digest("dependencies"),
            time=AT,
        ),
    }
