"""Whom and what a consent names: a name that is mistyped would let nobody ask about nothing."""

from __future__ import annotations

from collections.abc import Sequence

from saferoom_client.room import Room
from saferoom_client.values import Role
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError


def require_known(room: Room, institution: str, features: Sequence[str]) -> None:
    """Refuse an institution that is not enrolled, or a feature that its owner has not.

    Owners whose root is not pinned here are taken at their word: what they show is not verified.

    Raises:
        SafeRoomError: `MALFORMED` or `UNKNOWN_FEATURE`, with the command that lists them.
    """
    enrolled = {each.name for each in room.list_organisations() if Role.INSTITUTION in each.roles}
    if institution not in enrolled:
        rule = "is not enrolled as an institution"
        fault = FieldFault(f"--institution {institution}", rule)
        refusal = SafeRoomError(Reason.MALFORMED, rule, [fault])
        refusal.add_note(f"saferoom org list -p {room.profile.folder}")
        raise refusal
    pinned = room.profile.trust.charter_roots
    defined = {each.definition.full_name for each in room.list_features()}
    faults = [
        FieldFault("--feature", f"no owner defined {name}")
        for name in features
        if name.partition(".")[0] in pinned and name not in defined
    ]
    if faults:
        refusal = SafeRoomError(Reason.UNKNOWN_FEATURE, "features", faults)
        refusal.add_note(f"saferoom feature list -p {room.profile.folder}")
        raise refusal
