"""The room's own keys: for each use the one in force and, while it is handed over, the next.

keys/USE.pem             in force; whoever is in the room pinned its public half
keys/USE-next.pem        made by `room rotate-key`: it signs beside the one in force
keys/USE-handover.json   both keys' word that the one follows the other

`room rotate-key --finish` puts the next in the place of the one in force. Each change of the
folder is one rename, so a kill leaves the state before it or the one after it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final, Self

from saferoom.durably import rename, replace_file
from saferoom_proto.dsse import Envelope
from saferoom_proto.handover import Handover, verify_handover
from saferoom_proto.keys import SigningKey
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements import KeyHandover, KeyUse, Payload, seal_statement
from saferoom_proto.statements.base import whole_milliseconds

KEYS: Final = "keys"


@dataclass(frozen=True, slots=True)
class RoomKey:
    """The key of one use. Its text form shows none.

    Attributes:
        use: what it signs.
        current: in force.
        following: signs beside it; none unless it is being handed over.
        handover: of the key in force to the next, signed by both.
    """

    use: KeyUse
    current: SigningKey = field(repr=False)
    following: SigningKey | None = field(default=None, repr=False)
    handover: Handover | None = None

    @property
    def signing(self) -> tuple[SigningKey, ...]:
        """All that sign now, the one in force first."""
        return (self.current,) if self.following is None else (self.current, self.following)

    @property
    def public(self) -> tuple[str, ...]:
        """Their public halves."""
        return tuple(each.verify_key.public for each in self.signing)

    @classmethod
    def read(cls, room: Path, use: KeyUse, origin: str) -> Self:
        """Read what a room's folder holds for a use.

        Raises:
            SafeRoomError: `BAD_CONFIG`, naming the file that is missing or does not fit.
        """
        current = SigningKey.from_pem(read_part(room / KEYS / f"{use}.pem"))
        path = room / KEYS / f"{use}-next.pem"
        if not path.exists():
            return cls(use, current)
        following = SigningKey.from_pem(read_part(path))
        said = room / KEYS / f"{use}-handover.json"
        handover = verify_handover(Envelope.from_json(read_part(said)), origin)
        keys = (current.verify_key.public, following.verify_key.public)
        if (handover.says.use, handover.says.former, handover.says.following) != (use, *keys):
            fault = FieldFault(said.name, f"is not of {use}.pem and {path.name}")
            raise SafeRoomError(Reason.BAD_CONFIG, f"{said}: {fault.rule}", [fault])
        return cls(use, current, following, handover)


class Signer:
    """Signs in the room's name with all keys of one use that sign now.

    Attributes:
        keys: replaced as a whole, so that any thread finds keys that belong together.
    """

    def __init__(self, *keys: SigningKey) -> None:
        self.keys: tuple[SigningKey, ...] = keys

    def seal(self, payload: Payload) -> Envelope:
        """Sign a statement."""
        return seal_statement(payload, *self.keys)


def begin_handover(room: Path, use: KeyUse, origin: str, now: datetime) -> Handover:
    """Make the next key of a use, and have both say that it follows the one in force.

    Args:
        room: its folder; the room may run.
        use: what the key signs.
        origin: the room's name.
        now: the instant.

    Raises:
        SafeRoomError: `CONFLICT` if one is under way already.
    """
    held = RoomKey.read(room, use, origin)
    if held.handover is not None:
        refusal = SafeRoomError(Reason.CONFLICT, f"a handover of the {use} key is under way")
        refusal.add_note(f"saferoom room rotate-key {room} {use} --finish")
        raise refusal
    following = SigningKey.generate(held.current.suite)
    says = KeyHandover(
        room=origin,
        use=use,
        former=held.current.verify_key.public,
        following=following.verify_key.public,
        time=whole_milliseconds(now),
    )
    statement = seal_statement(says, held.current, following)
    # The key comes last: without it, what is said beside it counts for nothing.
    replace_file(room / KEYS / f"{use}-handover.json", statement.to_json())
    replace_file(room / KEYS / f"{use}-next.pem", following.to_pem())
    return Handover(says, statement)


def end_former(room: Path, use: KeyUse) -> None:
    """Put the next key in the place of the one in force, whose private half is then gone."""
    keys = room / KEYS
    rename(keys / f"{use}-next.pem", keys / f"{use}.pem")
    (keys / f"{use}-handover.json").unlink(missing_ok=True)


def read_part(path: Path) -> bytes:
    """Read a file of a room's folder.

    Raises:
        SafeRoomError: `BAD_CONFIG`, naming it.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        fault = FieldFault(path.name, error.strerror or "cannot be read")
        raise SafeRoomError(Reason.BAD_CONFIG, f"{path}: {fault.rule}", [fault]) from error
