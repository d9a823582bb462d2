"""What every test may ask for."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from hypothesis import settings
from xdist.remote import Producer

from saferoom_client.tongue import Language, speak
from tests.together import Together

os.environ["SAFEROOM_LANG"] = "en"  # whatever the developer's own locale says

# What was compiled once is read by the hundreds of processes that the tests start, and by the next
# run: some machines say otherwise, and every process would compile for a quarter of a second.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Tests share two cores with each other: a slow example is no finding.
settings.register_profile("shared-machine", deadline=None)
settings.load_profile("shared-machine")


_LONG: Final = ("flow", "promises", "attacks", "enclaves", "server")
"""Folders whose tests take longest, in that order: they are begun first, so that none is left over
for the end. A file's tests go to one worker, which makes what they share once."""


_TESTS: Final = Path(__file__).parent


def pytest_configure(config: pytest.Config) -> None:
    """Have each worker read the files from another one on, if all are asked for.

    Pytest compiles each file anew, with what its assertions show: 15 s the first time. Every worker
    reads all of them, and finds what another has compiled.
    """
    worker = os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw")
    if worker and [config.invocation_params.dir / each for each in config.args] == [_TESTS]:
        files = sorted(map(str, _TESTS.rglob("test_*.py")))
        first = len(files) * int(worker) // int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
        config.args[:] = files[first:] + files[:first]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put what takes longest first, file by file: in the same order, whoever read them."""
    ranks = {name: rank for rank, name in enumerate(_LONG)}
    places = {each.path: each.path.relative_to(_TESTS).parts for each in items}
    items.sort(key=lambda each: (ranks.get(places[each.path][0], len(ranks)), places[each.path]))


def pytest_collection_finish() -> None:
    """Spare the collector what stays to the end: each look at it all took a third of a second."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure() -> None:
    """Let the interpreter clear all away at its end: DuckDB's binding calls the rest leaks."""
    gc.unfreeze()


def pytest_xdist_auto_num_workers() -> int:
    """Run half as many tests more at once as there are processors, for many of them wait.

    Each worker reads all tests, which takes a processor 11 s: with twice as many workers as two
    processors the suite took 574 s, with these 558 s.
    """
    return max(2, 3 * len(os.sched_getaffinity(0)) // 2)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Together | None:
    """Have the files that ask the same room of processes go to one worker."""
    return Together(config, log) if config.getoption("dist") == "loadfile" else None


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
