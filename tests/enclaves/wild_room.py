"""A fork server whose children do wild jobs too (`wild_work.py`)."""

from __future__ import annotations

import json
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from saferoom_enclaves.children.bounds import Bounds
from saferoom_enclaves.children.frames import Frame
from saferoom_enclaves.children.workshop import ChildError, Job, Workshop
from simulator.children import start

BOUNDS: Final = Bounds(
    address_space_bytes=1 << 30, cpu_seconds=60, wall_seconds=60.0, output_bytes=1 << 20
)
CANARY: Final = "canary-4711"


@dataclass
class Room:
    """A fork server whose children do wild jobs too."""

    process: subprocess.Popen[bytes]
    workshop: Workshop
    scratch: Path

    def run(self, do: str, *files: int, bounds: Bounds = BOUNDS, **task: Any) -> Any:
        """Have a wild job done, and give what the child answered."""
        frame = self.frame(do, *files, bounds=bounds, **task)
        frame.close()
        return json.loads(frame.message)

    def frame(
        self,
        do: str,
        *files: int,
        bounds: Bounds = BOUNDS,
        quiet_seconds: float | None = None,
        **task: Any,
    ) -> Frame:
        message = b"wild:" + json.dumps({"do": do, **task}).encode()
        return self.workshop.run(Job(message, files, bounds, quiet_seconds))

    def fails(self, do: str, *files: int, bounds: Bounds = BOUNDS, **task: Any) -> ChildError:
        with pytest.raises(ChildError) as caught:
            self.frame(do, *files, bounds=bounds, **task)
        assert CANARY not in str(caught.value)
        return caught.value

    def answers(self) -> bool:
        """Tell whether the next child is there, within the two seconds that are promised."""
        start = time.monotonic()
        well = self.run("environment") is not None
        return well and time.monotonic() - start < 2.0

    @property
    def children(self) -> list[int]:
        """Name the children under way."""
        pid = self.process.pid
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def childless(room: Room) -> bool:
    """Wait until no child is left: the fork server buries one only after it has told of its end."""
    end = time.monotonic() + 10
    while room.children and time.monotonic() < end:
        time.sleep(0.01)
    return not room.children


def opened(folder: Path, *, sandbox: bool) -> Room:
    process, workshop = start(folder, work="wild_work", sandbox=sandbox)
    return Room(process, workshop, folder)
