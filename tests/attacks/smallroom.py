"""A real room with one owner, made to have its processes killed: it leaves nothing in memory."""

from __future__ import annotations

import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import Final

from tests.flow.live import LiveRoom
from tests.flow.processes import free_port

MEMORY: Final = Path("/dev/shm")


class SmallRoom(LiveRoom):
    """A room of processes whose enclave builds stores in a folder that the test removes."""

    scratch: Path
    metrics: str

    def make(self) -> None:
        """Make the folders, and a place in memory for the enclave."""
        LiveRoom.make(self)
        self.scratch = Path(mkdtemp(prefix="saferoom-test-", dir=MEMORY))
        config = self.room / "room.toml"
        text = config.read_text("utf-8")
        assert "[enclaves]\n" in text
        place = f'[enclaves]\nscratch = "{self.scratch}"\n'
        self.metrics = f"127.0.0.1:{free_port()}"
        page = f'[metrics]\naddress = "{self.metrics}"\n'
        assert "[metrics]\n" in text
        text = text.replace('scratch = "/dev/shm"\n', "").replace("[metrics]\n", page)
        config.write_text(text.replace("[enclaves]\n", place), "utf-8")

    def say(self, *subjects: str) -> None:
        """Bring what a check needs: records, a template, an agreement, and consents."""
        self.define()
        self.load()
        self.approve(self.propose("paid-enough"))
        self.agree("tax", "bank-a")
        for subject in subjects:
            self.consent(subject, "bank-a")


@contextmanager
def small_room(folder: Path) -> Generator[SmallRoom]:
    """Start a room; in the end stop what still runs, and remove what lies in memory."""
    live = SmallRoom(folder, owners=("tax",))
    try:
        live.start()
        yield live
    finally:
        live.processes.stop()
        shutil.rmtree(live.scratch, ignore_errors=True)
