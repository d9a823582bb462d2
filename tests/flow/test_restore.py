"""A room put back from its backup, with real enclaves: what goes on, and what is refused."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from saferoom.backup import Backup, backup_room, new_backup_key
from saferoom.restore import Restored, confirm_restored, restore_room
from saferoom_client.question import Question
from saferoom_proto.reasons import Reason, SafeRoomError
from tests.attacks.smallroom import SmallRoom, small_room
from tests.flow.offers import POOR, STEADY

LEAST: Final = {"least": "5000"}


class Kept:
    """A room that was backed up in the midst of its work."""

    def __init__(self, live: SmallRoom, folder: Path) -> None:
        self.live: Final = live
        self.key: Final = folder / "backup.key"
        self.card: Final = folder / "card.json"
        self.old: Final = folder / "old-disk"
        private, self.public = new_backup_key()
        self.key.write_text(private)
        shutil.copy(live.room / "room-card.json", self.card)
        with live.open("bank-a", "desk") as room:
            self.question: Final[Question] = room.prepare(
                "paid-enough", subject=STEADY, purpose="pre-loan", params=LEAST
            )
            self.before: Final = room.ask(self.question)
            room.verify_log()
        self.receipt: Final = folder / "receipt.json"
        self.receipt.write_bytes(self.before.receipt.to_json())
        self.backup: Final[Backup] = backup_room(
            live.room, folder / "room.tar.age", [self.public], datetime.now(UTC)
        )

    @property
    def log(self) -> Path:
        """The newest checkpoint that the bank has verified."""
        return self.live.member("bank-a", "desk") / "log.json"

    def lose_the_disk(self) -> None:
        """Kill the server, and take its folder away; the enclave's own is on another disk."""
        self.live.processes.kill("server")
        self.live.room.rename(self.old)

    def restore(self, *seen: Path) -> Restored:
        """Put the backup back where the room was."""
        restored = restore_room(self.backup.path, self.live.room, self.card, self.key, seen)
        (self.live.room / "enclaves").rmdir()
        (self.old / "enclaves").rename(self.live.room / "enclaves")
        return restored

    def is_refused(self) -> bool:
        """Tell whether the key agent, or the enclave, refused the log.

        The agent looked at it every few seconds. Of an enclave that has its key the room sees that
        it is behind; once it has grown past the enclave's checkpoint by its own entries, the
        enclave finds that it does not extend it.
        """
        if "refused: BAD_PROOF: the log" in self.live.processes.log("agent tax"):
            return True
        log = self.live.processes.log("server")
        down = [json.loads(line) for line in log.splitlines() if '"enclave down"' in line]
        return any(each.get("reason") in ("BROKEN_STREAM", "BAD_PROOF") for each in down)

    def serve(self) -> None:
        """Serve what was restored."""
        self.live.start_server()
        self.live.processes.wait_for(self.live.answers, "the server answers no call")


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    """Give a room with a backup; its processes run."""
    with small_room(tmp_path / "live") as live:
        live.say(STEADY, POOR)
        yield Kept(live, tmp_path)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path) -> None:
    (tmp_path / "live").mkdir()


@pytest.mark.soak
def test_where_nothing_was_lost_everything_goes_on_byte_for_byte(kept: Kept) -> None:
    kept.lose_the_disk()
    restored = kept.restore(kept.log, kept.receipt)
    assert restored.behind.entries == 0
    assert restored.behind.seen == restored.manifest.size
    # It is served only once somebody said that nobody saw more.
    kept.live.start_server()
    kept.live.processes.running["server"].wait(30)
    assert "saferoom room confirm" in kept.live.processes.log("server")
    del kept.live.processes.running["server"]
    confirm_restored(kept.live.room, [kept.log, kept.receipt], nobody_saw_more=False)
    kept.serve()
    kept.live.processes.wait_for(kept.live.serving, "the enclave does not serve")
    with kept.live.open("bank-a", "desk") as room:
        again = room.ask(kept.question)
        assert again.receipt.to_json() == kept.before.receipt.to_json()
        fresh = room.check("paid-enough", subject=POOR, purpose="pre-loan", params=LEAST)
        assert str(fresh.truth) == "no"
        assert room.verify_log().since is not None


def test_a_loss_is_told_and_is_refused_by_enclaves_and_members_alike(kept: Kept) -> None:
    with kept.live.open("bank-a", "desk") as room:
        later = room.check("paid-enough", subject=POOR, purpose="pre-loan", params=LEAST)
        room.verify_log()
    # Until the next head the enclave has seen no more than the backup, and would go on with it.
    time.sleep(2.5)
    receipt = kept.receipt.with_name("later.json")
    receipt.write_bytes(later.receipt.to_json())
    kept.lose_the_disk()
    # What others hold shows what is lost.
    behind = kept.restore(kept.log, kept.receipt, receipt).behind
    assert behind.entries >= 1
    assert [one.where for one in behind.held] == [receipt]
    assert behind.held[0].index >= behind.size
    with pytest.raises(SafeRoomError, match="seen and are lost") as refusal:
        confirm_restored(kept.live.room, [receipt], nobody_saw_more=True)
    assert refusal.value.reason is Reason.BAD_PROOF
    # An operator who does not ask is found out at once: the enclave answers nothing ...
    confirm_restored(kept.live.room, [], nobody_saw_more=True)
    kept.serve()
    kept.live.processes.wait_for(kept.is_refused, "the enclave takes the log")
    assert not kept.live.serving()
    with kept.live.open("bank-a", "desk") as room:
        with pytest.raises(SafeRoomError) as refusal:
            room.check("paid-enough", subject=STEADY, purpose="pre-loan", params=LEAST)
        assert refusal.value.reason in (Reason.LOCKED, Reason.UNAVAILABLE)
        # ... and every member who looked before can prove it.
        with pytest.raises(SafeRoomError) as refusal:
            room.verify_log()
        assert refusal.value.reason is Reason.BAD_PROOF
