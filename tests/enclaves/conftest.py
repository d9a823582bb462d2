"""A sample room, and the tax office's enclave in it, with its data and its subjects' consents."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from simulator import FIRMS, EnclaveHarness, Sample, sample, tax_csv


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
