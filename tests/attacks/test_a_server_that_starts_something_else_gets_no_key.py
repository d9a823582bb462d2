"""A server that starts other code, another charter or an older folder gets no key.

Real processes: the key agent is the owner's and honest, all else is the server's.
"""

from __future__ import annotations

import shutil
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

import saferoom_enclaves
import saferoom_proto
from saferoom_proto.keys import SigningKey
from tests.attacks.smallroom import SmallRoom, small_room
from tests.flow.offers import STEADY

LYING: Final = str(Path(__file__).with_name("lying_server.py"))

pytestmark = pytest.mark.timeout(240)


@contextmanager
def stopped(folder: Path) -> Generator[SmallRoom]:
    """Give a room with one owner, whose records are loaded; its honest server is stopped."""
    with small_room(folder) as made:
        made.say(STEADY)
        made.processes.kill("server")
        yield made


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallRoom]:
    """Give one that tests use one after another."""
    with stopped(tmp_path_factory.mktemp("room")) as made:
        yield made


@pytest.fixture
def live(room: SmallRoom) -> Iterator[SmallRoom]:
    """Give it, and stop the server that the test started."""
    yield room
    room.processes.kill("server")


@pytest.fixture
def apart(tmp_path: Path) -> Iterator[SmallRoom]:
    """Give one whose folder, or whose key agent, the test changes."""
    with stopped(tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give the enclave's code with one line more."""
    folder = tmp_path_factory.mktemp("altered")
    for package in (saferoom_enclaves, saferoom_proto):
        (place,) = package.__path__
        shutil.copytree(place, folder / Path(place).name)
    with (folder / "saferoom_enclaves" / "gate.py").open("a") as module:
        module.write("# and the records go somewhere else too\n")
    return str(folder)


def serve_falsely(live: SmallRoom, *what: str) -> None:
    live.processes.spawn("server", LYING, str(live.room), *what)
    live.processes.wait_for(live.answers, "the server does not answer")


def refused(live: SmallRoom, words: str) -> bool:
    """Wait until the key agent says why it gives no key; tell whether the enclave is without."""
    log = live.processes.log("agent tax")
    told = lambda: words in live.processes.log("agent tax")[len(log) :]  # noqa: E731
    live.processes.wait_for(told, f"the agent does not refuse with {words}")
    return not live.serving()


def test_altered_code_gets_no_key(live: SmallRoom, sources: str) -> None:
    serve_falsely(live, "altered", sources)
    assert refused(live, "refused: BAD_EVIDENCE: code sha256:")


def test_another_charter_gets_no_key(live: SmallRoom) -> None:
    serve_falsely(live, "charter")
    assert refused(live, "refused: BAD_CHARTER: the enclave runs under another charter")


@pytest.mark.soak
def test_an_older_folder_gets_no_key(apart: SmallRoom, tmp_path: Path) -> None:
    folder, copy = apart.room / "enclaves" / "tax", tmp_path / "copy"
    shutil.copytree(folder, copy)
    apart.start_server()
    apart.processes.wait_for(apart.answers, "the server does not answer")
    apart.processes.wait_for(apart.serving, "the enclave does not serve")
    with apart.open("bank-a", "desk") as room:
        room.check("paid-enough", subject=STEADY, purpose="pre-loan", params={"least": "5000"})
    # The agent sees the longer chain at the next start.
    apart.processes.kill("server")
    apart.start_server()
    apart.processes.wait_for(apart.answers, "the server does not answer")
    apart.processes.wait_for(apart.serving, "the enclave does not serve")
    apart.processes.kill("server")
    shutil.rmtree(folder)
    shutil.copytree(copy, folder)
    apart.start_server()
    apart.processes.wait_for(apart.answers, "the server does not answer")
    assert refused(apart, "refused: STORE_ROLLED_BACK")


@pytest.mark.soak
def test_code_that_lies_about_itself_gets_no_key_where_the_owner_starts_its_enclave(
    apart: SmallRoom, sources: str
) -> None:
    """Its evidence is perfect. But the supervisor, which the agent asks for, started nothing."""
    apart.agents["tax"].require([SigningKey.generate().verify_key.public])
    serve_falsely(apart, "disguised", sources)
    assert refused(apart, "refused: BAD_EVIDENCE: no supervisor says that it started this enclave")


def test_software_evidence_alone_is_no_obstacle_to_code_that_lies_about_itself(
    live: SmallRoom, sources: str
) -> None:
    """What the page on security says is not covered: the server is the enclave's parent here."""
    serve_falsely(live, "disguised", sources)
    live.processes.wait_for(live.serving, "the agent was not deceived")
    assert live.serving()
