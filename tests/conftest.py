"""What every test may ask for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from hypothesis import settings

from saferoom_client.tongue import Language, speak

os.environ["SAFEROOM_LANG"] = "en"  # whatever the developer's own locale says

# Tests share two cores with each other: a slow example is no finding.
settings.register_profile("shared-machine", deadline=None)
settings.load_profile("shared-machine")


_LONG: Final = ("flow", "promises", "attacks", "enclaves", "server")
"""Folders whose tests take longest, in that order: they are begun first, so that none is left over
for the end. A file's tests go to one worker, which makes what they share once."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put what takes longest first, file by file."""
    root = Path(__file__).parent
    ranks = {name: rank for rank, name in enumerate(_LONG)}
    items.sort(key=lambda each: ranks.get(each.path.relative_to(root).parts[0], len(ranks)))


def pytest_xdist_auto_num_workers() -> int:
    """Run twice as many tests at once as there are processors: half of them wait."""
    return 2 * len(os.sched_getaffinity(0))


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    """Have the next test hear English again, whatever this one spoke."""
    yield
    speak(Language.EN)


@pytest.fixture(scope="session")
def shared() -> Path:
    """Give the folder of real data and vectors beside the project, or skip the test."""
    folder = Path(__file__).resolve().parent.parent.parent / "shared"
    if not folder.is_dir():
        pytest.skip("the folder `shared` does not lie beside the project")
    return folder
