"""What a killed child left behind is removed, and harms nothing, whatever its shape."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.enclaves.wild_room import BOUNDS, CANARY, Room, childless


def store(scratch: Path) -> None:
    (scratch / "build-killed").mkdir()
    (scratch / "build-killed" / "store").write_text(CANARY)


def nested(scratch: Path) -> None:
    (scratch / "build-killed" / "deeper").mkdir(parents=True)
    (scratch / "build-killed" / "deeper" / "store").write_text(CANARY)


def plain(scratch: Path) -> None:
    (scratch / "store").write_text(CANARY)


def bottomless(scratch: Path) -> None:
    """Make more folders in each other than Python calls itself."""
    deepest = scratch
    for _ in range(sys.getrecursionlimit() + 200):
        deepest /= "x"
        deepest.mkdir()
    (deepest / "store").write_text(CANARY)


@pytest.mark.parametrize("leave", [store, nested, plain, bottomless])
def test_what_a_killed_build_left_in_memory_is_removed(
    closed: Room, leave: Callable[[Path], None]
) -> None:
    leave(closed.scratch)
    closed.fails("crash", bounds=replace(BOUNDS, scratch=True))
    deadline = time.monotonic() + 5
    while list(closed.scratch.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert list(closed.scratch.iterdir()) == []
    assert closed.answers()


def test_what_a_killed_build_left_is_not_followed_out_of_its_folder(
    closed: Room, tmp_path: Path
) -> None:
    (tmp_path / "kept").write_text("of somebody else")
    (closed.scratch / "build-killed").symlink_to(tmp_path)
    closed.fails("crash", bounds=replace(BOUNDS, scratch=True))
    assert childless(closed)
    assert closed.answers()
    assert (list(closed.scratch.iterdir()), (tmp_path / "kept").exists()) == ([], True)
