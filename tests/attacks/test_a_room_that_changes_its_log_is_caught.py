"""An operator who holds every key of a room, and its disk, changes its log: who notices, and how.

Real servers over real databases, put back, forked and shown twice; real witnesses and clients.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from saferoom import rounds
from saferoom_client.heads import require_grown
from saferoom_client.profile import WITNESSES, Member, Profile, RoomCard
from saferoom_client.session import Session
from saferoom_client.witness.folder import Misdeed, Witness
from saferoom_client.witness.watch import CaughtError, look
from saferoom_proto.cosignature import Algorithm
from saferoom_proto.keys import SigningKey
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements.witnesses import WitnessPolicy
from saferoom_proto.v1 import identity_pb2
from simulator import World
from tests.server.room.opened import OpenedRoom, opened

WHO = {
    "bank": (identity_pb2.ROLE_INSTITUTION, Algorithm.ED25519),
    "office": (identity_pb2.ROLE_OWNER, Algorithm.ML_DSA_44),
    "auditor": (identity_pb2.ROLE_AUDITOR, Algorithm.ML_DSA_44),
}


@dataclass
class Watched:
    """A room's world, its folder, and the witnesses that watch it."""

    world: World
    folder: Path
    witnesses: dict[str, Witness]

    def card(self, room: OpenedRoom) -> RoomCard:
        return RoomCard(
            origin=self.world.room,
            address=f"localhost:{room.server.port}",
            tls_root=(room.folder / "tls" / "ca.pem").read_text(),
            ledger_key=self.world.ledger.key.verify_key.public,
            heads_key=self.world.heads.verify_key.public,
        )

    @asynccontextmanager
    async def session(self, room: OpenedRoom, who: str) -> AsyncGenerator[Session]:
        """Connect an organisation's member, who relies on two of the three witnesses."""
        own = room.member(who)
        folder = self.folder.parent / f"member-{who}"
        folder.mkdir(exist_ok=True)
        profile = Profile(
            folder=folder,
            card=self.card(room),
            member=Member(organisation=who, name="desk"),
            trust=self.world.trust(),
            tls_certificate=own.certificate,
            tls_key=own.key,
            signing_certificate=own.der,
            signing_key=SigningKey.generate(),
        )
        keys = tuple(each.cosigner.key.text for each in self.witnesses.values())
        profile.rely_on(WitnessPolicy(threshold=2, witnesses=keys, max_age_seconds=60))
        assert (folder / WITNESSES).exists()
        async with Session(profile, clock=self.world.clock.utc) as session:
            yield session

    async def cosign(self, room: OpenedRoom, *who: str) -> None:
        """Have witnesses look once."""
        for each in who:
            async with self.session(room, each) as session:
                await look(session, self.witnesses[each])

    async def caught(self, room: OpenedRoom, misdeed: Misdeed) -> set[str]:
        """Have every witness look; give those that catch the room at it.

        Each of them cosigns nothing, and keeps the evidence.
        """
        caught: set[str] = set()
        for who, witness in self.witnesses.items():
            before = witness.seen
            with pytest.raises(CaughtError) as refused:
                await self.cosign(room, who)
            assert str(misdeed) in refused.value.detail
            assert witness.seen == before
            assert any(path.name.startswith(misdeed) for path in witness.evidence())
            caught.add(who)
        return caught

    async def grow(self, room: OpenedRoom, **charter: object) -> None:
        """Add an entry, and let a round pass."""
        await room.hand_in(self.world.owner("tax").adopt(**charter))
        self.world.clock.advance(6)

    def put_back(self, copy: Path, charters: int) -> None:
        """Put an older copy of the database in place, and remove what would give it away."""
        for name in ("state.db", "state.db.audited", rounds.FILE):
            (self.folder / name).unlink(missing_ok=True)
        shutil.copy(copy, self.folder / "state.db")
        del self.world.owner("tax").charters[charters:]


@pytest.fixture
async def watched(tmp_path: Path) -> Watched:
    """Give a room whose log three witnesses cosigned at size 2, and a copy of it at size 1."""
    made = Watched(World("caught"), tmp_path / "room", {})
    async with opened(made.folder, made.world) as room:
        card = made.card(room)
        for name, (role, algorithm) in WHO.items():
            await room.enrol(name, role)
            folder = tmp_path / f"witness-{name}"
            made.witnesses[name] = Witness.create(folder, f"{name}.example/w", algorithm, card)
        await room.join(made.world.owner("tax"), attend=False)
        await made.cosign(room, *WHO)
    shutil.copy(made.folder / "state.db", tmp_path / "older.db")
    made.world.clock.advance(6)
    async with opened(made.folder, made.world) as room:
        await made.grow(room)
        await made.cosign(room, *WHO)
    return made


def borrowed(note: str) -> Callable[[rounds.Rounds], tuple[str, ...]]:
    """Show another log's note as one's own."""
    return lambda _: (note,)


async def test_an_honest_room_that_was_closed_and_opened_is_cosigned_on(watched: Watched) -> None:
    async with opened(watched.folder, watched.world) as room:
        await watched.grow(room)
        await watched.cosign(room, *WHO)
        async with watched.session(room, "bank") as session:
            told = (await require_grown(session)).witnessed
            assert told is not None
            assert {each.witness.split(".")[0] for each in told.by} == set(WHO)


async def test_a_log_that_is_put_back_to_an_older_copy_is_caught(
    watched: Watched, tmp_path: Path
) -> None:
    watched.put_back(tmp_path / "older.db", 1)
    async with opened(watched.folder, watched.world) as room:
        assert await watched.caught(room, Misdeed.TRUNCATED) == set(WHO)


async def test_a_second_log_of_the_same_size_is_caught(watched: Watched, tmp_path: Path) -> None:
    watched.put_back(tmp_path / "older.db", 1)
    async with opened(watched.folder, watched.world) as room:
        await watched.grow(room, max_head_age_seconds=30)
        assert await watched.caught(room, Misdeed.FORKED) == set(WHO)


async def test_a_log_that_is_rewritten_and_goes_on_is_caught(
    watched: Watched, tmp_path: Path
) -> None:
    watched.put_back(tmp_path / "older.db", 1)
    async with opened(watched.folder, watched.world) as room:
        await watched.grow(room, max_head_age_seconds=30)
        await watched.grow(room)
        assert await watched.caught(room, Misdeed.REWRITTEN) == set(WHO)
        async with watched.session(room, "bank") as session:
            with pytest.raises(SafeRoomError) as refused:
                await require_grown(session)
            assert refused.value.reason is Reason.NOT_WITNESSED


async def test_a_room_of_the_same_name_with_another_key_is_caught(
    watched: Watched, tmp_path: Path
) -> None:
    other = World("another key", room=watched.world.room)
    async with opened(tmp_path / "other", other) as room:
        for name, (role, _) in WHO.items():
            await room.enrol(name, role)
        await room.join(other.owner("tax"), attend=False)
        assert await watched.caught(room, Misdeed.NOT_SIGNED) == set(WHO)


async def test_two_members_are_not_shown_two_logs(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Split view: two servers with the same keys, one for the bank and the public, one for one."""
    shown = watched.folder.with_name("shown")
    shutil.copytree(watched.folder, shown)
    charters = list(watched.world.owner("tax").charters)
    async with opened(watched.folder, watched.world) as public:
        await watched.grow(public)
        await watched.cosign(public, "bank", "auditor")
        async with watched.session(public, "bank") as session:
            await require_grown(session)
        watched.world.owner("tax").charters[:] = charters
        async with opened(shown, watched.world) as apart:
            await watched.grow(apart, max_head_age_seconds=30)
            # The office's witness is fooled: it has seen neither log's newest entry.
            await watched.cosign(apart, "office")
            async with watched.session(apart, "office") as session:
                watched.world.clock.advance(61)  # what all cosigned before the split grows old
                with pytest.raises(SafeRoomError) as refused:
                    await require_grown(session)
                assert refused.value.reason is Reason.NOT_WITNESSED
                # Nor does it help to show the public log's cosignatures beside it.
                await watched.cosign(public, "bank", "auditor")
                async with watched.session(public, "bank") as other:
                    notes = (await require_grown(other)).witnessed
                assert notes is not None
                monkeypatch.setattr(rounds.Rounds, "notes", borrowed(notes.note))
                with pytest.raises(SafeRoomError) as refused:
                    await require_grown(session)
                assert refused.value.reason is Reason.BAD_PROOF
            # The fooled witness says so as soon as it sees the public log.
            with pytest.raises(CaughtError):
                await watched.cosign(public, "office")
