"""Backups: consistent while the room writes, sealed, and refused once anything is altered."""

from __future__ import annotations

import asyncio
import io
import sqlite3
import stat
import tarfile
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pyrage
import pytest

from saferoom.backup import MANIFEST, Manifest, backup_room, new_backup_key
from saferoom.logs import Level, make_log
from saferoom.restore import confirm_restored, restore_room
from saferoom.room import Room, add_issuer
from saferoom.scratch import BACKUP, RESTORE
from saferoom.server import Server
from saferoom.whole import audit_room
from saferoom_proto.checkpoint import Checkpoint, sign_checkpoint
from saferoom_proto.dsse import Envelope
from saferoom_proto.keys import SigningKey, VerifyKey
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import load, seal_statement
from saferoom_proto.suite import Suite
from simulator import Seeds, SimIssuer, World, sample
from tests.server.conftest import Ready, make_ready
from tests.server.room.opened import OpenedRoom, make_room, opened

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Kept:
    """A room's backup, and what restoring it needs."""

    archive: Path
    folder: Path
    card: Path
    key: Path
    public: str

    def restore(self, *seen: Path, to: str = "restored") -> object:
        return restore_room(self.archive, self.folder / to, self.card, self.key, seen)

    def restored_from(self, data: bytes) -> object:
        """Restore from other bytes than those that were backed up."""
        other = self.folder / "other.tar.age"
        other.write_bytes(data)
        return replace(self, archive=other).restore()

    def altered(self, change: Callable[[dict[str, bytes]], None]) -> bytes:
        """Open a backup, change its files, and seal it again, as whoever knows the key may."""
        identity = pyrage.x25519.Identity.from_str(self.key.read_text().split()[-1])
        plain = pyrage.decrypt(self.archive.read_bytes(), [identity])
        files: dict[str, bytes] = {}
        with tarfile.open(fileobj=io.BytesIO(plain)) as tar:
            for member in tar:
                content = tar.extractfile(member)
                assert content is not None
                files[member.name] = content.read()
        change(files)
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            for name, data in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
        recipient = pyrage.x25519.Recipient.from_str(self.public)
        return pyrage.encrypt(packed.getvalue(), [recipient])


@dataclass(frozen=True)
class Bench:
    """A running room that answers, and a key for its backups."""

    ready: Ready
    folder: Path
    key: Path
    public: str

    @property
    def room(self) -> OpenedRoom:
        return self.ready.room

    async def backup(self, name: str = "room") -> Kept:
        """Back the room up; its card is the one that members hold, with the world's keys."""
        out = self.folder / f"{name}.tar.age"
        await asyncio.to_thread(backup_room, self.room.folder, out, [self.public], NOW)
        card = self.folder / "card.json"
        card.write_bytes(Room.open(self.room.folder).card().to_json())
        return Kept(out, self.folder, card, self.key, self.public)


@asynccontextmanager
async def benched(folder: Path) -> AsyncGenerator[Bench]:
    said = sample("backup")
    private, public = new_backup_key()
    key = folder / "backup.key"
    key.write_text(f"# for the test\n{private}\n")
    async with opened(folder / "room", said.world) as room:
        yield Bench(await make_ready(room, said), folder, key, public)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with benched(tmp_path) as bench:
        yield bench


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """Back up one room for all that only read what came of it."""

    async def make(folder: Path) -> Kept:
        async with benched(folder) as bench:
            return await bench.backup()

    return asyncio.run(make(tmp_path_factory.mktemp("kept")))


@pytest.fixture
def kept(made: Kept, tmp_path: Path) -> Kept:
    """Give the backup, to be restored within the test's own folder."""
    return replace(made, folder=tmp_path)


async def test_a_backup_of_a_room_that_writes_is_whole_and_its_room_opens_again(
    bench: Bench,
) -> None:
    asking = [
        asyncio.create_task(bench.room.ask("bank-a", bench.ready.question())) for _ in range(60)
    ]
    backups = [await bench.backup(str(number)) for number in range(3)]
    await asyncio.gather(*asking)
    for number, kept in enumerate(backups):
        assert stat.S_IMODE(kept.archive.stat().st_mode) == 0o600
        kept.restore(to=f"restored-{number}")
        folder = bench.folder / f"restored-{number}"
        for path in folder.rglob("*"):
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
        with pytest.raises(SafeRoomError, match="saferoom room confirm"):
            await Server.open(Room.open(folder), log=make_log(Level.ERROR))
        confirm_restored(folder, [], nobody_saw_more=True)
        server = await Server.open(Room.open(folder), log=make_log(Level.ERROR), command=("false",))
        try:
            assert server.books.register.is_enrolled("bank-a")
        finally:
            await server.close()
    assert not list(bench.room.folder.glob(f"{BACKUP}*"))


async def test_a_guomi_rooms_backup_is_restored(tmp_path: Path) -> None:
    private, public = new_backup_key()
    key, out, card = (tmp_path / name for name in ("backup.key", "room.tar.age", "card.json"))
    key.write_text(f"{private}\n")
    folder = make_room(tmp_path / "room", World("backup", suite=Suite.GUOMI))
    connections = SimIssuer("connections", "room", Seeds("backup"))
    add_issuer(folder, connections.name, connections.certificate.encode())
    entries = await _served(folder)
    await asyncio.to_thread(backup_room, folder, out, [public], NOW)
    card.write_bytes(Room.open(folder).card().to_json())
    Kept(out, tmp_path, card, key, public).restore(to="restored")
    confirm_restored(tmp_path / "restored", [], nobody_saw_more=True)
    (log_key,) = Room.open(tmp_path / "restored").ledger.public
    assert VerifyKey.from_public(log_key).suite is Suite.GUOMI
    assert await _served(tmp_path / "restored") == entries


async def _served(folder: Path) -> int:
    """Open a room's server; give how many entries its log has."""
    server = await Server.open(Room.open(folder), log=make_log(Level.ERROR), command=("false",))
    try:
        return server.books.ledger.tip().size
    finally:
        await server.close()


def test_nothing_of_a_backup_is_readable_without_its_key(kept: Kept) -> None:
    data = kept.archive.read_bytes()
    assert data.startswith(b"age-encryption.org/v1\n")
    for secret in (b"PRIVATE KEY", b"state.db", b"SQLite format"):
        assert secret not in data
    other = kept.folder / "other.key"
    other.write_text(new_backup_key()[0])
    with pytest.raises(SafeRoomError) as refusal:
        replace(kept, key=other).restore()
    assert refusal.value.reason is Reason.BAD_SEAL
    assert not (kept.folder / "restored").exists()


async def test_a_recipient_that_is_none_is_refused_and_nothing_is_written(bench: Bench) -> None:
    out = bench.folder / "out.tar.age"
    for to in ([""], ["age1nobody"], ["ssh-ed25519 AAAA"], []):
        with pytest.raises(SafeRoomError) as refusal:
            backup_room(bench.room.folder, out, to, NOW)
        assert refusal.value.reason is Reason.BAD_CONFIG
        assert refusal.value.fields[0].field == "--to"
    assert not out.exists()


def _signed_anew(files: dict[str, bytes]) -> None:
    """Replace a key and sign the manifest with it: whoever made this is not the room."""
    forged = SigningKey.generate()
    manifest = load(Envelope.from_json(files[MANIFEST]), Manifest)
    files[MANIFEST] = seal_statement(manifest, forged).to_json()
    files["keys/heads.pem"] = forged.to_pem()


def _put(name: str, data: bytes) -> Callable[[dict[str, bytes]], None]:
    def change(files: dict[str, bytes]) -> None:
        files[name] = data

    return change


def _drop(name: str) -> Callable[[dict[str, bytes]], None]:
    def change(files: dict[str, bytes]) -> None:
        del files[name]

    return change


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_put("room.toml", b"origin = 1"), Reason.BAD_PROOF),
        (_put("issuers/mine.pem", b"x"), Reason.BAD_PROOF),
        (_put("../evil", b"x"), Reason.BAD_PROOF),
        (_put("/etc/evil", b"x"), Reason.BAD_PROOF),
        (_put("state.db", b"SQLite format 3\x00"), Reason.BAD_PROOF),
        (_drop("state.db"), Reason.BAD_PROOF),
        (_drop("keys/heads.pem"), Reason.BAD_PROOF),
        (_drop(MANIFEST), Reason.BAD_PROOF),
        (_put(MANIFEST, b"{}"), Reason.MALFORMED),
        (_signed_anew, Reason.BAD_SIGNATURE),
    ],
)
def test_a_backup_that_was_altered_is_refused_and_leaves_nothing(
    kept: Kept, change: Callable[[dict[str, bytes]], None], reason: Reason
) -> None:
    with pytest.raises(SafeRoomError) as refusal:
        kept.restored_from(kept.altered(change))
    assert refusal.value.reason is reason, refusal.value
    assert not (kept.folder / "restored").exists()
    assert not list(kept.folder.glob(f"{RESTORE}*"))
    assert not (kept.folder / "evil").exists()


@pytest.mark.parametrize("at", [30, 5000, -20])
def test_a_backup_that_was_cut_or_whose_bits_flipped_does_not_open(kept: Kept, at: int) -> None:
    whole = kept.archive.read_bytes()
    flipped = bytearray(whole)
    flipped[at] ^= 1
    for data in (bytes(flipped), whole[:at]):
        with pytest.raises(SafeRoomError) as refusal:
            kept.restored_from(data)
        assert refusal.value.reason is Reason.BAD_SEAL


async def test_another_rooms_backup_is_refused_by_the_card(kept: Kept, tmp_path: Path) -> None:
    said = sample("another")
    async with opened(tmp_path / "another", said.world) as other:
        with pytest.raises(SafeRoomError) as refusal:
            replace(kept, card=other.folder / "room-card.json").restore()
    assert refusal.value.reason is Reason.BAD_SIGNATURE


def test_a_folder_that_holds_anything_is_not_written_into(kept: Kept) -> None:
    (kept.folder / "restored").mkdir()
    (kept.folder / "restored" / "mine").write_text("x")
    with pytest.raises(SafeRoomError, match="not empty"):
        kept.restore()
    assert [path.name for path in (kept.folder / "restored").iterdir()] == ["mine"]


async def test_a_damaged_log_is_not_kept_as_a_good_one(tmp_path: Path) -> None:
    said = sample("damaged")
    async with opened(tmp_path / "room", said.world) as room:
        await make_ready(room, said)
    with closing(sqlite3.connect(tmp_path / "room" / "state.db")) as raw, raw:
        raw.execute("DROP TRIGGER entry_no_update")
        raw.execute("UPDATE entry SET commitment = randomblob(32) WHERE idx = 4")
    with pytest.raises(SafeRoomError, match="entry 4") as refusal:
        backup_room(tmp_path / "room", tmp_path / "out", [new_backup_key()[1]], NOW)
    assert refusal.value.reason is Reason.BAD_PROOF
    assert not (tmp_path / "out").exists()
    with pytest.raises(SafeRoomError, match="entry 4"):
        audit_room(tmp_path / "room")


async def test_a_running_rooms_log_is_recomputed_beside_it(bench: Bench) -> None:
    found = await asyncio.to_thread(audit_room, bench.room.folder)
    assert found.size == bench.room.server.books.ledger.tip().size
    assert found.checkpoint == bench.room.server.books.ledger.checkpoint()
    assert set(found.streams) == {"court", "tax"}


def test_another_history_of_the_same_entries_is_named(kept: Kept) -> None:
    world = sample("backup").world
    forked = kept.folder / "forked.txt"
    forked.write_text(sign_checkpoint(Checkpoint(world.room, 3, bytes(32)), world.ledger.key))
    with pytest.raises(SafeRoomError, match=r"forked\.txt: another history"):
        kept.restore(forked)
    other = kept.folder / "other.txt"
    other.write_text("none\n")
    with pytest.raises(SafeRoomError, match=r"other\.txt: it shows nothing of this log"):
        kept.restore(other)
