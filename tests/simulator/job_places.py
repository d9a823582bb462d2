"""What tests of jobs share: a place for all of a module's, and in it each one's own template."""

from __future__ import annotations

import zlib
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from saferoom_proto.statements import Runs
from simulator.harness import EnclaveHarness
from simulator.job import job_enclave
from simulator.sample import Sample, sample

MANY: Final = Runs(most=100, days=30)
"""So many jobs that none is one too many."""

OneOwner = tuple[Sample, EnclaveHarness]
"""A room, and the enclave of the tax office in it."""


def own_template(test: str) -> str:
    """Name the template of one test, among those of others in the same place."""
    return f"t-{zlib.crc32(test.encode())}"


@contextmanager
def one_owner(folder: Path, seed: str) -> Generator[OneOwner]:
    """Give a room with the tax office's firms, until the context ends."""
    said = sample(seed)
    with closing(job_enclave(said, folder)) as enclave:
        yield said, enclave
