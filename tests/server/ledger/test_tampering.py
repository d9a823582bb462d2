from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from saferoom.ledger.ledger import Ledger
from saferoom.ledger.mark import make_mark, read_mark, write_mark
from saferoom.serving import until_stopped
from saferoom.state.database import Database
from saferoom_proto.checkpoint import open_checkpoint
from saferoom_proto.keys import SigningKey
from saferoom_proto.merkle import verify_consistency
from saferoom_proto.reasons import Reason, SafeRoomError
from tests.server.ledger.made_up import KEY, NOON, ORIGIN, consent, envelope, open_ledger, release

DIGESTS = [envelope(number).digest for number in range(10)]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger of ten entries whose owner has closed it."""
    path = tmp_path_factory.mktemp("kept") / "room.db"

    async def fill() -> None:
        async with await open_ledger(database) as ledger:
            for number in range(10):
                await ledger.append(consent(number, owners=("tax", "court")[: number % 3]))

    with Database.open(path) as database:
        asyncio.run(fill())
    return path


@contextmanager
def attacker(path: Path) -> Generator[sqlite3.Connection]:
    """Write the file as somebody who drops the triggers first and minds no foreign key."""
    with closing(sqlite3.connect(path)) as raw, raw:
        for (name,) in raw.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger'"
        ).fetchall():
            raw.execute(f"DROP TRIGGER {name}")
        raw.execute("PRAGMA ignore_check_constraints = ON")
        yield raw


async def reopen(path: Path) -> None:
    with Database.open(path) as database:
        await (await open_ledger(database)).close()


async def test_a_ledger_that_nobody_touched_opens(kept: Path, path: Path) -> None:
    shutil.copy(kept, path)
    await reopen(path)
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("SELECT count(*) FROM entry").fetchone() == (10,)


REWRITINGS = [
    ("UPDATE entry SET commitment = randomblob(32) WHERE idx = 4", "entry 4"),
    ("UPDATE entry SET commitment = x'00' WHERE idx = 4", "entry 4"),
    ("UPDATE entry SET leaf_hash = randomblob(32) WHERE idx = 4", "entry 4"),
    (f"UPDATE entry SET statement_digest = '{DIGESTS[5]}' WHERE idx = 4", "entry 4"),
    ("UPDATE entry SET statement_digest = 'none' WHERE idx = 4", "entry 4"),
    ("UPDATE salt SET salt = randomblob(32) WHERE entry_idx = 4", "entry 4"),
    ("DELETE FROM entry WHERE idx = 4", "entry 4"),
    ("UPDATE entry SET idx = 10 WHERE idx = 4", "entry 4"),
    ("DELETE FROM entry WHERE idx = 9", "checkpoint 10"),
    ("DELETE FROM entry", "checkpoint 10"),
    ("DELETE FROM checkpoint", "entry 0"),
    ("DELETE FROM checkpoint WHERE size = 10", "checkpoint 9"),
    ("UPDATE checkpoint SET note = replace(note, '10', '11') WHERE size = 10", "checkpoint 10"),
    ("UPDATE checkpoint SET size = 11 WHERE size = 10", "checkpoint 11"),
    ("UPDATE checkpoint SET note = 'none' WHERE size = 10", "checkpoint 10"),
    ("UPDATE node SET hash = randomblob(32) WHERE level = 0 AND idx = 7", "node 0/7"),
    ("UPDATE node SET hash = randomblob(32) WHERE level = 3 AND idx = 0", "node 3/0"),
    ("DELETE FROM node WHERE level = 1 AND idx = 2", "node 1/2"),
    ("INSERT INTO node VALUES (4, 0, randomblob(32))", "node"),
    (f"UPDATE statement SET payload = x'7b7d' WHERE digest = '{DIGESTS[6]}'", DIGESTS[6]),
    (f"UPDATE statement SET payload_type = '' WHERE digest = '{DIGESTS[6]}'", DIGESTS[6]),
    (f"UPDATE statement SET found_by = '0' WHERE digest = '{DIGESTS[6]}'", DIGESTS[6]),
    (f"UPDATE statement SET entry_idx = 1 WHERE digest = '{DIGESTS[6]}'", DIGESTS[6]),
    (f"UPDATE statement SET entry_idx = 77 WHERE digest = '{DIGESTS[6]}'", DIGESTS[6]),
    ("UPDATE stream SET running = 'none' WHERE owner = 'tax' AND sequence = 3", "tax/3"),
    ("DELETE FROM stream WHERE owner = 'tax' AND sequence = 3", "tax/4"),
    ("UPDATE stream SET sequence = 99 WHERE owner = 'court' AND sequence = 3", "court/99"),
    ("UPDATE stream SET statement = 1 WHERE sequence = 1", "/1"),
]


@pytest.mark.parametrize(("rewriting", "place"), REWRITINGS)
async def test_a_rewritten_row_is_noticed_at_start(
    kept: Path, path: Path, rewriting: str, place: str
) -> None:
    shutil.copy(kept, path)
    with attacker(path) as raw:
        assert raw.execute(rewriting).rowcount > 0
    with pytest.raises(SafeRoomError) as refusal:
        await reopen(path)
    assert refusal.value.reason is Reason.BAD_PROOF
    assert place in refusal.value.detail.split(": ")[0]


async def test_a_log_rebuilt_around_another_entry_is_not_the_one_signed(
    kept: Path, path: Path, tmp_path: Path
) -> None:
    """The attacker makes every hash fit, and lacks only the log's key."""
    elsewhere = tmp_path / "elsewhere.db"
    with Database.open(elsewhere) as database:
        async with await open_ledger(database) as ledger:
            for number in (0, 1, 2, 3, 77, 5, 6, 7, 8, 9):
                await ledger.append(consent(number))
    shutil.copy(kept, path)
    with attacker(path) as raw:
        raw.execute("ATTACH ? AS elsewhere", (str(elsewhere),))
        for table in ("entry", "salt", "node", "statement"):
            raw.execute(f"DELETE FROM {table}")
            raw.execute(f"INSERT INTO {table} SELECT * FROM elsewhere.{table}")
        raw.execute("DELETE FROM stream")
        raw.commit()
        raw.execute("DETACH elsewhere")
    with pytest.raises(SafeRoomError, match="checkpoint 10: the entries lead to another root"):
        await reopen(path)


async def test_another_rooms_log_is_refused(kept: Path, path: Path) -> None:
    shutil.copy(kept, path)
    with Database.open(path) as database:
        for origin, key in ((ORIGIN, SigningKey.generate()), ("other.example/log", KEY)):
            with pytest.raises(SafeRoomError) as refusal:
                await Ledger.open(database, origin=origin, key=key, clock=lambda: NOON)
            assert refusal.value.reason is Reason.BAD_PROOF
            assert refusal.value.detail.startswith("checkpoint 10: ")


async def test_a_damaged_page_is_told_from_a_rewritten_one(kept: Path, path: Path) -> None:
    shutil.copy(kept, path)
    with closing(sqlite3.connect(path)) as raw:
        (page,) = raw.execute("SELECT rootpage FROM sqlite_master WHERE name = 'entry'").fetchone()
    with path.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xff" * 4096)
    with pytest.raises(SafeRoomError) as refusal:
        await reopen(path)
    assert refusal.value.reason is Reason.STORE_DAMAGED


async def test_a_log_put_back_to_an_older_state_forks_from_every_checkpoint_that_was_kept(
    kept: Path, path: Path
) -> None:
    """What the log cannot notice by itself, whoever kept a checkpoint does."""
    shutil.copy(kept, path)
    with Database.open(path) as database:
        async with await open_ledger(database) as ledger:
            witnessed = (await ledger.append(release(10))).note
    shutil.copy(kept, path)
    with Database.open(path) as database:
        async with await open_ledger(database) as ledger:
            with pytest.raises(SafeRoomError, match="the log has 10 entries"):
                ledger.consistency(11, 11)
            forked = (await ledger.append(release(11))).note
            later = (await ledger.append(release(12))).note
            path_to_later = ledger.consistency(11, 12)
    seen, fork, newest = (
        open_checkpoint(note, ORIGIN, KEY.verify_key) for note in (witnessed, forked, later)
    )
    assert (seen.size, fork.size) == (11, 11)
    verify_consistency(11, 12, path_to_later, fork.root, newest.root)
    with pytest.raises(SafeRoomError) as refusal:
        verify_consistency(11, 12, path_to_later, seen.root, newest.root)
    assert refusal.value.reason is Reason.BAD_PROOF


@pytest.fixture(scope="module")
def marked(kept: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same ledger with a mark at its eighth entry, and two entries since."""
    path = tmp_path_factory.mktemp("marked") / "room.db"

    async def fill() -> None:
        for first, last in ((0, 8), (8, 10)):
            async with await open_marked(database) as ledger:
                for number in range(first, last):
                    await ledger.append(consent(number, owners=("tax", "court")[: number % 3]))
            if first:
                shutil.copy(early, late)
            else:
                shutil.copy(late, early)

    early = path.with_name("early")
    late = path.with_name("room.db.audited")
    with Database.open(path) as database:
        asyncio.run(fill())
    return path


async def open_marked(database: Database, kinds: tuple[str, ...] = ()) -> Ledger:
    """Open a ledger that recomputes at once what came after its mark only."""
    return await Ledger.open(
        database, origin=ORIGIN, key=KEY, clock=lambda: NOON, kinds=kinds, whole_up_to=0
    )


async def open_and_wait(database: Database) -> None:
    """Open a marked ledger, and wait for the audit beside its use."""
    async with await open_marked(database) as ledger:
        assert ledger.audit_under_way is not None
        await ledger.audit_under_way


def spoil(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b'"sig"', b'"gis"'))


def copy_marked(marked: Path, path: Path) -> None:
    shutil.copy(marked, path)
    shutil.copy(f"{marked}.audited", f"{path}.audited")


async def test_a_marked_ledger_that_nobody_touched_is_recomputed_whole_beside_its_use(
    marked: Path, path: Path
) -> None:
    copy_marked(marked, path)
    with Database.open(path) as database:
        async with await open_marked(database, ("consent",)) as ledger:
            assert ledger.audit_under_way is not None
            position = await ledger.append(consent(10))
            await ledger.audit_under_way
    mark = read_mark(path, ORIGIN, KEY.verify_key)
    assert mark is not None
    assert mark.size == position.size


@pytest.mark.parametrize(("rewriting", "place"), REWRITINGS)
async def test_a_rewritten_row_of_a_marked_ledger_is_noticed_at_start_or_soon_after(
    marked: Path, path: Path, rewriting: str, place: str
) -> None:
    copy_marked(marked, path)
    with attacker(path) as raw:
        assert raw.execute(rewriting).rowcount > 0
    with Database.open(path) as database, pytest.raises(SafeRoomError) as refusal:
        await open_and_wait(database)
    assert refusal.value.reason is Reason.BAD_PROOF
    found = refusal.value.detail.split(": ")[0]
    # A place before the mark may be found by the tree above it first.
    assert place in found or found in ("entry 7", "node 0/10", "checkpoint"), refusal.value.detail
    # Whatever was found beside the room's work, the next start finds before it.
    with Database.open(path) as database, pytest.raises(SafeRoomError):
        await (await open_marked(database)).close()


@pytest.mark.parametrize(
    "rewriting",
    [
        f"UPDATE statement SET payload = x'7b7d' WHERE digest = '{DIGESTS[2]}'",
        f"UPDATE entry SET statement_digest = '{DIGESTS[5]}' WHERE idx = 2",
        f"UPDATE statement SET entry_idx = 1 WHERE digest = '{DIGESTS[2]}'",
        "UPDATE entry SET commitment = randomblob(32) WHERE idx = 2",
        "UPDATE salt SET salt = randomblob(32) WHERE entry_idx = 2",
        "UPDATE node SET hash = randomblob(32) WHERE level = 0 AND idx = 3",
        "UPDATE node SET hash = randomblob(32) WHERE level = 3 AND idx = 0",
        "DELETE FROM entry WHERE idx = 9",
        "UPDATE entry SET commitment = randomblob(32) WHERE idx = 8",
        "UPDATE stream SET running = 'none' WHERE owner = 'tax' AND sequence = 6",
    ],
)
async def test_what_the_room_goes_by_and_what_came_since_is_checked_before_it_opens(
    marked: Path, path: Path, rewriting: str
) -> None:
    copy_marked(marked, path)
    with attacker(path) as raw:
        assert raw.execute(rewriting).rowcount > 0
    with Database.open(path) as database, pytest.raises(SafeRoomError) as refusal:
        await (await open_marked(database, ("consent",))).close()
    assert refusal.value.reason is Reason.BAD_PROOF


@pytest.mark.parametrize("by", ["nobody", "another key", "another room"])
async def test_a_mark_that_the_room_did_not_sign_marks_nothing(
    marked: Path, path: Path, by: str
) -> None:
    copy_marked(marked, path)
    mark = read_mark(marked, ORIGIN, KEY.verify_key)
    assert mark is not None
    if by == "nobody":
        spoil(Path(f"{path}.audited"))
    elif by == "another key":
        write_mark(path, mark, SigningKey.generate())
    else:
        write_mark(path, make_mark("other.example/log", 8, mark.root_hash, {}), KEY)
    with attacker(path) as raw:
        raw.execute("UPDATE entry SET commitment = randomblob(32) WHERE idx = 0")
    with Database.open(path) as database, pytest.raises(SafeRoomError, match="entry 0"):
        await open_marked(database)


async def test_a_room_whose_log_turns_out_to_be_altered_ends_at_once(
    marked: Path, path: Path
) -> None:
    copy_marked(marked, path)
    with attacker(path) as raw:
        raw.execute("UPDATE entry SET commitment = randomblob(32) WHERE idx = 2")
    with Database.open(path) as database:
        async with await open_marked(database) as ledger, asyncio.timeout(20):
            with pytest.raises(SafeRoomError, match="entry 2"):
                await until_stopped(ledger.audit_under_way, asyncio.Event())


async def test_a_room_whose_log_is_whole_goes_on_until_it_is_stopped(
    marked: Path, path: Path
) -> None:
    copy_marked(marked, path)
    stop = asyncio.Event()
    with Database.open(path) as database:
        async with await open_marked(database) as ledger, asyncio.timeout(20):
            assert ledger.audit_under_way is not None
            serving = asyncio.create_task(until_stopped(ledger.audit_under_way, stop))
            await ledger.audit_under_way
            assert not serving.done()
            stop.set()
            await serving
