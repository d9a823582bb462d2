"""One real room, for the tests that only look at it from outside: they go to one worker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.flow.live import LiveRoom


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveRoom]:
    """Give a room with two owners, two banks and five subjects, ready for checks."""
    brokers = {"tax": tmp_path_factory.mktemp("b")}
    room = LiveRoom(tmp_path_factory.mktemp("live"), brokers=brokers)
    try:
        room.start()
        room.equip()
        yield room
    finally:
        room.processes.stop()
