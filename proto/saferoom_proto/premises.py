"""What an enclave, its supervisor, its relay and its key agent hold each other to.

Every check raises. Nothing here reads a file, a clock or the network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import unb64
from saferoom_proto.keys import VerifyKey
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import EvidenceClaims, Launch, Switchboard, load
from saferoom_proto.verification import PinnedCharter


@dataclass(frozen=True, slots=True)
class PinnedSwitchboard:
    """The room's end of an enclave's connection, as the room signed it.

    Attributes:
        certificate: the only one that the enclave lets in, PEM.
        digest: the statement's.
        time: when it was made.
    """

    certificate: bytes
    digest: str
    time: datetime


def open_switchboard(envelope: Envelope, charter: PinnedCharter) -> PinnedSwitchboard:
    """Open the room's statement of its certificate, under the heads key that a charter pins.

    So neither a relay nor a supervisor can put itself in the room's place at an enclave.

    Raises:
        SafeRoomError: `BAD_SIGNATURE` if another key signed it; `MALFORMED` if it is of another
            room or holds no certificate.
    """
    says = load(envelope, Switchboard)
    envelope.verify([VerifyKey.from_public(charter.charter.room_keys.heads)])
    if says.room != charter.charter.room:
        raise SafeRoomError(Reason.MALFORMED, "the switchboard of another room")
    try:
        certificate = x509.load_der_x509_certificate(unb64(says.certificate))
    except ValueError as error:
        raise SafeRoomError(Reason.MALFORMED, "the switchboard has no certificate") from error
    return PinnedSwitchboard(certificate.public_bytes(Encoding.PEM), envelope.digest, says.time)


def require_launched(
    launch: Envelope | None, supervisors: Sequence[str], claims: EvidenceClaims
) -> None:
    """Refuse claims of an enclave that none of these supervisors started.

    Software evidence alone shows that somebody holds a key. With this it shows that the owner's own
    supervisor started the holder, from code that it measured.

    Args:
        launch: a supervisor's statement, if there is one.
        supervisors: the keys that count.
        claims: the enclave's, verified already.

    Raises:
        SafeRoomError: `BAD_EVIDENCE`, naming what does not fit.
    """
    if launch is None:
        raise SafeRoomError(Reason.BAD_EVIDENCE, "no supervisor says that it started this enclave")
    says = load(launch, Launch)
    try:
        launch.verify([VerifyKey.from_public(key) for key in supervisors])
    except SafeRoomError as error:
        raise SafeRoomError(Reason.BAD_EVIDENCE, "started by a supervisor of no account") from error
    for name in Launch.model_fields:
        if name != "time" and getattr(says, name) != getattr(claims, name):
            raise SafeRoomError(Reason.BAD_EVIDENCE, f"its supervisor started another {name}")
