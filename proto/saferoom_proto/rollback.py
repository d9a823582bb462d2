"""An approver's order to go back to an earlier snapshot that the enclave still keeps.

It counts once, as a load's order does: it names the snapshot it follows and is newer than the last
order carried out. The enclave makes a new snapshot of the earlier one's records, in a new epoch and
so in a new period, and says so in the same kind of statement as after a load. Nothing in the
order is a secret, so it travels as it was signed and stands in the ledger beside that statement.
"""

from __future__ import annotations

from typing import ClassVar, Final

from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements.base import Digest, Instant, Name, Owner, Payload, Text, Usage, load
from saferoom_proto.verification import PinnedCharter

KEPT_SNAPSHOTS: Final = 4
"""How many snapshots an enclave keeps: the one in use and three before it. A wrong load is often
found out only by those after it; with loads every month this is a quarter. Each takes the store's
size on the disk, and lengthens how long outdated records are kept."""


class RollbackOrder(Payload):
    """An approver has an earlier snapshot answered from in the place of one snapshot."""

    KIND: ClassVar[str] = "rollback-order"
    SIGNED_BY: ClassVar[Usage] = Usage.APPROVER

    owner: Owner
    approver: Name
    to: Digest
    """The snapshot whose records are to be answered from again (`StoreState.digest`)."""
    follows: Digest
    """The snapshot in use, which this replaces."""
    why: Text
    at: Instant
    """An enclave takes no order that was given before one it has taken."""


def open_rollback(order: Envelope, charter: PinnedCharter) -> RollbackOrder:
    """Open an order that an approver of the owner gave.

    Raises:
        SafeRoomError: `BAD_SIGNATURE` without the signature of the approver it names, or for
            another owner's or room's store; `MALFORMED`.
    """
    opened = load(order, RollbackOrder)
    if (opened.room, opened.owner) != (charter.charter.room, charter.charter.owner):
        raise SafeRoomError(Reason.BAD_SIGNATURE, "the order is another owner's or room's")
    order.verify([charter.key_of(opened.approver)])
    return opened
