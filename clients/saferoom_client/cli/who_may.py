"""Who may do what a command does: it asks this before anything else."""

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
    refusal.add_note(room.profile.typed("log verify"))
    raise refusal


def require_subject(room: Room) -> None:
    """Refuse who is no subject: what is held, and who used it, is shown to that subject alone."""
    if room.profile.member.is_subject:
        return
    refusal = SafeRoomError(Reason.NOT_ALLOWED, "only a subject is shown what is held about it")
    refusal.add_note(later("Give the subject's own member folder: -p FOLDER."))
    refusal.add_note(room.profile.typed("whoami"))
    raise refusal
