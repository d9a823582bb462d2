"""What killed commands leave in a room's folder goes with the next one; nobody else's does."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from saferoom.backup import backup_room, new_backup_key
from saferoom.scratch import AUDIT, BACKUP, RESTORE, scratch
from saferoom.whole import audit_room
from simulator import sample
from tests.server.conftest import make_ready
from tests.server.room.opened import opened

SECONDS = 60.0
BACKING_UP = """
import sys, time
from datetime import UTC, datetime
from pathlib import Path
from saferoom import backup

def stand_still(*_):
    print("sealing", flush=True)
    time.sleep(600)

backup._seal = stand_still
backup.backup_room(Path(sys.argv[1]), Path(sys.argv[2]), [sys.argv[3]], datetime.now(UTC))
"""
"""Backs a room up, and stands still where its files lie packed and not sealed yet."""


@contextmanager
def backing_up(folder: Path, to: Path) -> Generator[subprocess.Popen[str]]:
    """Back a room up in a process of its own, as far as its keys lie packed in a scratch folder."""
    _, public = new_backup_key()
    command = [sys.executable, "-c", BACKING_UP, str(folder), str(to), public]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "sealing\n"
            yield process
        finally:
            process.kill()


@pytest.fixture
async def folder(tmp_path: Path) -> Path:
    """Give a room's folder, with a log."""
    said = sample("scratch")
    async with opened(tmp_path / "room", said.world) as room:
        await make_ready(room, said)
    return tmp_path / "room"


def left_in(folder: Path) -> list[Path]:
    return sorted([*folder.glob(f"{BACKUP}*"), *folder.glob(f"{AUDIT}*")])


@pytest.mark.parametrize("next_command", ["backup", "audit"])
async def test_what_a_killed_backup_leaves_goes_with_the_next_command_and_a_living_ones_stays(
    folder: Path, tmp_path: Path, next_command: str
) -> None:
    with backing_up(folder, tmp_path / "killed.tar.age") as killed:
        (leftover,) = left_in(folder)
        assert (leftover / "plain.tar").exists()  # the room's keys
        killed.kill()
        killed.wait(SECONDS)
    assert left_in(folder) == [leftover]
    with backing_up(folder, tmp_path / "living.tar.age") as living:
        (lives,) = left_in(folder)
        assert lives != leftover
        if next_command == "backup":
            _, public = new_backup_key()
            backup_room(folder, tmp_path / "next.tar.age", [public], datetime.now(UTC))
        else:
            audit_room(folder)
        assert left_in(folder) == [lives]
        assert (lives / "plain.tar").exists()
        living.kill()
        living.wait(SECONDS)
    audit_room(folder)
    assert left_in(folder) == []


def test_what_is_not_a_leftover_stays(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "mine").write_text("x")
    (tmp_path / f"{BACKUP}link").symlink_to(elsewhere)
    (tmp_path / f"{BACKUP}file").write_text("x")
    (tmp_path / f"{RESTORE}other").mkdir()
    (tmp_path / f"{AUDIT}left").mkdir()
    before = set(tmp_path.iterdir())
    with scratch(tmp_path, BACKUP) as own:
        assert set(tmp_path.iterdir()) == before - {tmp_path / f"{AUDIT}left"} | {own}
        assert own.stat().st_mode & 0o777 == 0o700
    with scratch(tmp_path, RESTORE):
        assert not (tmp_path / f"{RESTORE}other").exists()
    assert (elsewhere / "mine").read_text() == "x"


def test_commands_that_begin_together_never_sweep_each_other(tmp_path: Path) -> None:
    lost: list[Path] = []

    def work() -> None:
        for _ in range(100):
            with scratch(tmp_path, AUDIT) as own:
                (own / "here").touch()
                if not (own / "here").exists():
                    lost.append(own)

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(work) for _ in range(8)]:
            done.result(SECONDS)
    assert lost == []
    assert left_in(tmp_path) == []
