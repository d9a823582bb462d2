"""The room's own end of the connections to its enclaves: one certificate, which they all pin.

It lasts, so that an enclave which its owner runs needs no new start when the server has one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Self

from cryptography.hazmat.primitives.serialization import Encoding

from saferoom.signing import Signer
from saferoom.tls import KeyPair, make_pinned
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import b64
from saferoom_proto.statements import Switchboard
from saferoom_proto.statements.base import whole_milliseconds

NAME: Final = "switchboard"
VALIDITY: Final = timedelta(days=3650)
"""It is pinned as it is, and made anew by taking its files out of the room's folder."""


def make_switchboard(now: datetime) -> KeyPair:
    """Make the certificate with which a room connects to its enclaves."""
    return make_pinned(NAME, now, VALIDITY)


@dataclass(frozen=True, slots=True)
class OwnEnd:
    """The room's certificate for its enclaves, and its signed word that this is the one.

    Attributes:
        pair: with its key.
        says: the same words for as long as the certificate stays.
        signer: of the room's heads keys, one of which stands in every charter.
    """

    pair: KeyPair = field(repr=False)
    says: Switchboard
    signer: Signer

    @property
    def statement(self) -> Envelope:
        """The room's word, signed by the heads keys that sign now."""
        return self.signer.seal(self.says)

    @classmethod
    def of(cls, pair: KeyPair, origin: str, signer: Signer) -> Self:
        """Have the room say that a certificate is its own."""
        made = pair.certificate.not_valid_before_utc
        says = Switchboard(
            room=origin,
            certificate=b64(pair.certificate.public_bytes(Encoding.DER)),
            time=whole_milliseconds(made),
        )
        return cls(pair, says, signer)
