"""Ending a handover, and renewing the server's certificate: what an operator does to the folder.

The room may run: it goes by its folder within a second (`inforce.py`).
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, cast

from cryptography import x509

from saferoom import tls
from saferoom.config import RoomConfig, split_address
from saferoom.durably import replace_file
from saferoom.room import CARD_FILE, Room, RoomCard
from saferoom.signing import RoomKey, begin_handover, end_former
from saferoom_proto.encoding import parse_object
from saferoom_proto.handover import Handover
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements import Charter, KeyHandover, KeyUse

_RECORDED: Final = "SELECT 1 FROM statement WHERE digest = ? AND kind = ? AND entry_idx IS NOT NULL"
_CHARTERS: Final = "SELECT payload FROM statement WHERE kind = ? ORDER BY entry_idx"
_CHARTER_BYTES: Final = 256 * 1024


def begin(folder: Path, use: str, now: datetime | None = None) -> Handover:
    """Make the next key of a use; the room, which may run, signs with both from then on.

    Raises:
        SafeRoomError: `CONFLICT` if a handover is under way.
    """
    origin = RoomConfig.load(folder).origin
    return begin_handover(folder, KeyUse(use), origin, now or datetime.now(UTC))


def finish(folder: Path, use: str, *, at_once: bool = False) -> RoomCard:
    """End the former key, whose private half is then gone, and write the room's card anew.

    Args:
        folder: the room's.
        use: what the key signs.
        at_once: do not wait for owners whose charters name the former key: it is stolen. Their
            enclaves answer nothing until a next charter names the new one.

    Raises:
        SafeRoomError: `CONFLICT` if nothing is handed over, the log does not hold the handover yet,
            or an owner's charter names the former key.
    """
    room = Room.open(folder)
    held = room.ledger if use == KeyUse.LEDGER else room.heads
    # Step 1: it is handed over, and the log says so under both keys.
    if held.handover is None or held.following is None:
        refusal = SafeRoomError(Reason.CONFLICT, f"the {use} key is not being handed over")
        refusal.add_note(f"saferoom room rotate-key {folder} {use}")
        raise refusal
    if not _is_recorded(room, held.handover):
        detail = "the log does not hold the handover yet: start the room, or wait a second"
        raise SafeRoomError(Reason.CONFLICT, detail)
    # Step 2: no enclave lives by the former key any more.
    behind = _behind(room, held)
    if behind and not at_once:
        owners = ", ".join(behind)
        fault = FieldFault("room_keys", f"the charter of {owners} names the former {use} key")
        refusal = SafeRoomError(Reason.CONFLICT, fault.rule, [fault])
        refusal.add_note("saferoom charter put NEXT_CHARTER.yaml --root ROOT.key")
        raise refusal
    # Step 3: the card first. Who pins the new key from it finds its signature on everything.
    card = room.card(following=KeyUse(use))
    replace_file(folder / CARD_FILE, card.to_json())
    end_former(folder, KeyUse(use))
    return card


def renew_server(folder: Path, now: datetime | None = None) -> x509.Certificate:
    """Make the server a new key and certificate under the room's own authority.

    A kill in between leaves two halves that do not fit; doing it again mends that.

    Raises:
        SafeRoomError: `BAD_CONFIG` if the authority's key is not in the folder.
    """
    config, place = RoomConfig.load(folder), folder / "tls"
    try:
        authority = tls.KeyPair.from_pem(
            (place / "ca.pem").read_bytes(), (place / "ca.key").read_bytes()
        )
    except OSError as error:
        detail = f"{error.filename}: {error.strerror}"
        raise SafeRoomError(Reason.BAD_CONFIG, detail) from error
    hosts = (split_address(config.listen.address)[0], "localhost", "127.0.0.1")
    pair = tls.make_server(authority, tuple(dict.fromkeys(hosts)), now or datetime.now(UTC))
    replace_file(place / "server.key", pair.key_pem)
    replace_file(place / "server.pem", pair.certificate_pem)
    return pair.certificate


def _is_recorded(room: Room, handover: Handover) -> bool:
    with closing(_reading(room)) as database:
        asked = (handover.envelope.digest, KeyHandover.KIND)
        return database.execute(_RECORDED, asked).fetchone() is not None


def _behind(room: Room, held: RoomKey) -> list[str]:
    """Give the owners whose charter in force does not name the next key."""
    named: dict[str, str] = {}
    with closing(_reading(room)) as database:
        for (payload,) in database.execute(_CHARTERS, (Charter.KIND,)):
            charter = parse_object(cast("bytes", payload), _CHARTER_BYTES)
            keys = cast("dict[str, str]", charter["room_keys"])
            named[cast("str", charter["owner"])] = keys[held.use]
    following = held.public[-1]
    return sorted(owner for owner, key in named.items() if key != following)


def _reading(room: Room) -> sqlite3.Connection:
    try:
        return sqlite3.connect(f"{room.state_file.absolute().as_uri()}?mode=ro", uri=True)
    except sqlite3.Error as error:
        detail = f"{room.state_file}: {error}; a room that never ran has no log"
        raise SafeRoomError(Reason.BAD_CONFIG, detail) from error
