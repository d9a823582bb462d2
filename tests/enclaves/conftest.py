"""A sample room, and the tax office's enclave in it, with its data and its subjects' consents."""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from simulator import FIRMS, EnclaveHarness, Sample, sample, tax_csv
from simulator.children import MEMORY
from tests.enclaves.wild_room import Room, opened


@pytest.fixture
def room() -> Sample:
    """Give the sample room."""
    return sample()


@pytest.fixture
def enclave(room: Sample, tmp_path: Path) -> Iterator[EnclaveHarness]:
    """Give the tax office's enclave, loaded, each firm having consented to bank-a's questions."""
    harness = EnclaveHarness(room.tax, tmp_path)
    harness.load({"firms": tax_csv(room.world)})
    for serial in (*FIRMS, 9):
        room.consent(serial)
    harness.follow()
    yield harness
    harness.close()


@pytest.fixture
def folder() -> Generator[Path]:
    """Give a folder in memory."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        yield Path(name)


@pytest.fixture
def closed(folder: Path) -> Generator[Room]:
    """Give a room of its own, in the sandbox, that a test may break."""
    made = opened(folder, sandbox=True)
    yield made
    made.workshop.close()
    made.process.wait(10)
