"""Who may audit: a command that reads the whole log asks this first."""

from __future__ import annotations

from saferoom_client.room import Room
from saferoom_client.tongue import later
from saferoom_client.values import Role
from saferoom_proto.reasons import Reason, SafeRoomError


def require_auditor(room: Room) -> None:
    """Refuse who is not shown what entries are: to it, each would look like a violation."""
    if Role.AUDITOR in room.whoami().roles:
        return
    rule = later("the room shows what entries are to auditors only")
    refusal = SafeRoomError(Reason.NOT_ALLOWED, rule)
    refusal.add_note(later("Ask the operator to enrol an auditor's organisation."))
    refusal.add_note("saferoom log verify")
    raise refusal
