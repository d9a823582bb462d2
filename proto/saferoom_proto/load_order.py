"""An approver's order for a load: who has which pieces loaded, after which snapshot.

Anybody can seal to an enclave's public key, so the order travels under the load's seal: nobody
else loads records in the owner's name. It names the snapshot it follows, so it counts once. Once
it was carried out the enclave gives it back, and it stands in the ledger beside the new snapshot.

Source: RFC 9180 (HPKE).
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar, Final

from saferoom_proto import hpke
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import b64
from saferoom_proto.load import KEY_BYTES, LoadHeader
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements.base import (
    Digest,
    Instant,
    Name,
    Owner,
    Payload,
    Usage,
    load,
    whole_milliseconds,
)
from saferoom_proto.statements.request import ReplyKey
from saferoom_proto.suite import suite_of
from saferoom_proto.verification import PinnedCharter

MOST_AHEAD: Final = timedelta(minutes=5)
"""How far an order may be ahead of an enclave's clock, as with heads: a far date would lock out
every later order."""

_KEY_LABEL: Final = b"saferoom load key v1\n"


class LoadOrder(Payload):
    """An approver has these very pieces loaded in the place of one snapshot."""

    KIND: ClassVar[str] = "load-order"
    SIGNED_BY: ClassVar[Usage] = Usage.APPROVER

    owner: Owner
    approver: Name
    load: Digest
    """The header's digest."""
    key: Digest
    """Digest of the content key: only who knows it can make the pieces."""
    follows: Digest | None
    """The snapshot that this load replaces (`StoreState.digest`); none for the first."""
    reply_key: ReplyKey
    """Made for this load: what is wrong with its rows is sealed to it."""
    at: Instant
    """An enclave takes no load that was ordered before one it has taken."""

    @classmethod
    def of(
        cls,
        header: LoadHeader,
        content_key: bytes,
        *,
        room: str,
        approver: str,
        follows: str | None,
        reply_key: bytes,
        at: datetime,
    ) -> LoadOrder:
        """Write the order of a load.

        Args:
            header: what the load brings.
            content_key: the load's key.
            room: the room's origin.
            approver: whose key signs it, by the name in the owner's charter.
            follows: digest of the snapshot that it replaces; none for the first.
            reply_key: HPKE public key.
            at: when it is ordered.
        """
        return cls(
            room=room,
            owner=header.owner,
            approver=approver,
            load=header.digest,
            key=suite_of(header.digest).digest(content_key),
            follows=follows,
            reply_key=b64(reply_key),
            at=whole_milliseconds(at),
        )


@dataclass(frozen=True, slots=True, repr=False)
class OpenedOrder:
    """The load's key, what was ordered, and the statement that says so. It shows no text form."""

    content_key: bytes
    order: LoadOrder
    statement: Envelope


def seal_order(order: Envelope, header: LoadHeader, content_key: bytes, sealing: bytes) -> bytes:
    """Seal a signed order with the load's key to the enclave.

    Args:
        order: a `LoadOrder` statement.
        header: what the load brings.
        content_key: the load's key.
        sealing: the enclave's HPKE public key, from its endorsement.

    Returns:
        `LoadHeader.sealed_key` of the message on the wire.
    """
    return hpke.seal(sealing, content_key + order.to_json(), info=_info(header))


def open_order(
    sealed_key: bytes, header: LoadHeader, sealing: hpke.SealingKey, charter: PinnedCharter
) -> OpenedOrder:
    """Open a load's key, having checked that an approver of the owner ordered this very load.

    Raises:
        SafeRoomError: `BAD_SEAL` if it was sealed to another key or for another header,
            `BAD_SIGNATURE` without the order of the approver it names, `MALFORMED`.
    """
    plaintext = sealing.open(sealed_key, info=_info(header))
    content_key, signed = plaintext[:KEY_BYTES], Envelope.from_json(plaintext[KEY_BYTES:])
    order = load(signed, LoadOrder)
    signed.verify([charter.key_of(order.approver)])
    room, owner = charter.charter.room, charter.charter.owner
    if (order.room, order.owner, header.owner) != (room, owner, owner):
        raise SafeRoomError(Reason.BAD_SIGNATURE, "the order is another owner's or room's")
    if order.load != header.digest:
        raise SafeRoomError(Reason.BAD_SIGNATURE, "the order is for another load")
    if not hmac.compare_digest(order.key, suite_of(order.key).digest(content_key)):
        raise SafeRoomError(Reason.BAD_SIGNATURE, "the order is for another key")
    return OpenedOrder(content_key, order, signed)


def _info(header: LoadHeader) -> bytes:
    return _KEY_LABEL + header.digest.encode()
