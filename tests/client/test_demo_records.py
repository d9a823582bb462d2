"""The demo: its records, in a checkout only, and its folder, which it makes anew."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest

from saferoom_client.demo import data, run
from saferoom_proto.reasons import Reason, SafeRoomError


def test_without_them_the_demo_says_where_they_are(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert len(data.read_records().borrowers) == 30_000

    def installed(package: str) -> Path:
        return tmp_path / package

    monkeypatch.setattr(data, "files", installed)
    with pytest.raises(SafeRoomError, match="not installed") as refused:
        data.read_records()
    assert refused.value.reason is Reason.BAD_CONFIG
    assert "checkout" in str(refused.value.__notes__)


def test_a_demo_whose_room_runs_is_not_removed(tmp_path: Path) -> None:
    (tmp_path / "demo.txt").write_text("a demo's")
    (tmp_path / "room").mkdir()
    with (tmp_path / "room" / "state.db.lock").open("w") as lock:  # as its server holds it
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with pytest.raises(SafeRoomError, match="is open already, in another window") as refused:
            run(tmp_path)
    assert refused.value.reason is Reason.CONFLICT
    assert (tmp_path / "demo.txt").read_text() == "a demo's"
