"""Which files of tests go to one worker: those that ask the same room of processes."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

FLOW: Final = Path(__file__).parent / "flow"


class Together(LoadFileScheduling):
    """Gives each file to one worker, and all files with the fixture `live` to the same one.

    Else every worker starts a room of processes of its own, at nine seconds of a processor each.
    """

    def __init__(self, config: pytest.Config, log: Producer | None = None) -> None:
        super().__init__(config, log)
        paths = (each for each in FLOW.glob("test_*.py") if asks_the_room(each.read_text("utf-8")))
        self._asking: Final = {each.relative_to(config.rootpath).as_posix() for each in paths}

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return "live" if file in self._asking else file


def asks_the_room(text: str) -> bool:
    """Tell whether a file asks the room that is there, and starts none of its own."""
    return "live: LiveRoom" in text and "LiveRoom(" not in text
