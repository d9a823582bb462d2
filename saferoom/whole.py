"""The whole log of a room recomputed, whether the room runs or not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from saferoom.backup import STATE, copy_database
from saferoom.ledger.audit import audit
from saferoom.room import Room
from saferoom.scratch import AUDIT, scratch
from saferoom.state.database import Database
from saferoom_proto.reasons import Reason, SafeRoomError


@dataclass(frozen=True, slots=True)
class Audit:
    """What was recomputed.

    Attributes:
        size: entries, all of them as they were signed.
        checkpoint: the newest, a signed note.
        streams: how many statements each owner's stream has.
    """

    size: int
    checkpoint: str
    streams: dict[str, int]


def audit_room(folder: Path) -> Audit:
    """Recompute a room's log from its entries, on a copy as of one instant.

    Args:
        folder: the room's.

    Raises:
        SafeRoomError: `BAD_PROOF`, naming the first place that does not fit; `STORE_DAMAGED` if
            SQLite can't read it; `BAD_CONFIG` for a room that never ran.
    """
    room = Room.open(folder)
    with scratch(folder, AUDIT) as work:
        copy_database(room.state_file, work / STATE)
        with Database.open(work / STATE) as database, database.read() as connection:
            tip = audit(connection, room.config.origin, room.ledger_key.verify_key)
    if tip is None:
        raise SafeRoomError(Reason.BAD_CONFIG, "the room has never run: there is no log")
    return Audit(
        tip.size, tip.note, {owner: head.sequence for owner, head in sorted(tip.streams.items())}
    )
