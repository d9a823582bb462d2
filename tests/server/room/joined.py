"""A client's member of a room that is open, as its identity issuer makes one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from saferoom.room import Room, add_issuer
from saferoom_client.issuer import Issuer, enrol_member
from saferoom_client.members import whoami
from saferoom_client.profile import Member, Profile, RoomCard
from saferoom_client.session import Session
from saferoom_proto.reasons import SafeRoomError
from simulator import START
from tests.server.room.opened import OpenedRoom, until

BEFORE = START - timedelta(days=2)
DAYS = 3650
"""TLS goes by the real date, wherever the world's clock stands."""


@dataclass
class Joining:
    """An issuer that was let into a room while it runs."""

    room: OpenedRoom
    folder: Path
    issuer: Issuer

    def card(self) -> RoomCard:
        """Give the room's card as it is now, with the port that the room got."""
        card = Room.open(self.room.folder).card()
        return RoomCard(
            origin=card.origin,
            address=f"localhost:{self.room.server.port}",
            tls_root=card.tls_root,
            ledger_key=card.ledger_key,
            heads_key=card.heads_key,
        )

    def member(self, organisation: str, name: str = "desk", folder: str = "") -> Profile:
        """Make a member's folder."""
        return enrol_member(
            self.issuer,
            self.folder / (folder or f"{organisation}-{name}"),
            self.card(),
            Member(organisation=organisation, name=name),
            BEFORE,
            days=DAYS,
        )

    async def until_known(self, profile: Profile) -> None:
        """Wait until the room takes a member's certificate."""

        async def known() -> bool:
            async with Session(profile, clock=self.room.world.now) as session:
                try:
                    await whoami(session)
                except SafeRoomError:
                    return False
                return True

        await until(known)


def let_in(room: OpenedRoom, folder: Path, name: str = "second") -> Joining:
    """Let another identity issuer into a room that runs."""
    issuer = Issuer.create(name, BEFORE, DAYS)
    add_issuer(room.folder, name, issuer.pem.encode())
    return Joining(room, folder, issuer)
