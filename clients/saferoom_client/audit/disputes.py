"""Which disputes their owners should have settled by now."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Dispute, DisputeAnswer, DisputeWithdrawal, Finding


@dataclass(frozen=True, slots=True)
class OpenDispute:
    """A dispute that nobody has settled or taken back.

    Attributes:
        entry: its place in the log.
        owner: who has to settle it.
        due: until when.
    """

    entry: int
    owner: str
    due: datetime


@dataclass(slots=True)
class Disputes:
    """What the log says of disputes, in its order."""

    _said: dict[str, Dispute] = field(default_factory=dict[str, Dispute])
    _open: dict[str, OpenDispute] = field(default_factory=dict[str, OpenDispute])

    def begin(self, entry: int, statement: Envelope, says: Dispute) -> None:
        """Take a dispute."""
        self._said[statement.digest] = says
        self._open.setdefault(statement.digest, OpenDispute(entry, says.owner, says.due))

    def require(self, says: DisputeAnswer | DisputeWithdrawal) -> None:
        """Require that the dispute which it is about stands before it, between the same two.

        Raises:
            SafeRoomError: `UNKNOWN_STATEMENT`.
        """
        dispute = self._said.get(says.dispute)
        if dispute is None or (dispute.owner, dispute.subject) != (says.owner, says.subject):
            raise SafeRoomError(Reason.UNKNOWN_STATEMENT, "its dispute does not stand before it")

    def end(self, says: DisputeAnswer | DisputeWithdrawal) -> None:
        """Take what ends a dispute, once it was verified; passing it on ends none."""
        if isinstance(says, DisputeWithdrawal) or says.finding is not Finding.PASSED_ON:
            self._open.pop(says.dispute, None)

    def overdue(self, now: datetime) -> tuple[OpenDispute, ...]:
        """Give those that should have been settled by now, in the order of the log."""
        return tuple(each for each in self._open.values() if each.due < now)
