"""An owner changes its keys in a room at work: banks notice nothing, and former keys are dead."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from saferoom_client.agent.folder import CARD, AgentCard, KeyAgent
from saferoom_client.agent.slots import Slot
from saferoom_client.files import read_model
from saferoom_proto.answer import Truth
from saferoom_proto.reasons import SafeRoomError
from saferoom_proto.statements import seal_statement
from tests.attacks.smallroom import SmallRoom, small_room
from tests.flow.live import succeeds
from tests.flow.offers import APPROVERS, STEADY


class Asking:
    """Asks one question after the other, beside the test, until it is stopped."""

    def __init__(self, live: SmallRoom) -> None:
        self.answers = 0
        self.refused: list[str] = []
        self._live = live
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        """Let the question under way be answered, and ask no more."""
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        with self._live.open("bank-a", "desk") as room:
            while not self._ended.is_set():
                try:
                    params = {"least": "5000"}
                    room.check("paid-enough", subject=STEADY, purpose="pre-loan", params=params)
                    self.answers += 1
                except SafeRoomError as error:
                    self.refused.append(str(error))


def run(*arguments: str, profile: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "saferoom_client", *arguments]
    command += [] if profile is None else ["-p", str(profile)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def answer(live: SmallRoom) -> Truth:
    with live.open("bank-a", "desk") as room:
        params = {"least": "5000"}
        asked = room.check("paid-enough", subject=STEADY, purpose="pre-loan", params=params)
        return asked.truth


def fault(live: SmallRoom) -> str:
    with live.open("operator", "desk") as room:
        (enclave,) = room.describe().enclaves
        return enclave.fault


@pytest.mark.soak
def test_the_stores_key_is_changed_while_banks_ask(tmp_path: Path) -> None:
    with small_room(tmp_path) as live:
        live.say(STEADY)
        folder, copy = live.agents["tax"].folder, tmp_path / "copied-before"
        shutil.copytree(folder, copy)
        asking = Asking(live)
        assert run("agent", "retire", str(folder)).returncode != 0  # there is nothing to retire
        assert run("agent", "rotate", str(folder)).returncode == 0
        # The running agent has the enclave go over; retiring waits for its word in the log.
        live.processes.wait_for(
            lambda: run("agent", "retire", str(folder)).returncode == 0, "no word of it", 90
        )
        live.processes.wait_for(lambda: asking.answers > 3, "nobody is answered")
        asking.stop()
        assert asking.refused == []
        assert not KeyAgent.load(folder).source.has(Slot.STORE_BEFORE)
        judged = run("audit", "verify", profile=live.member("auditor", "desk"))
        assert judged.returncode == 0, judged.stdout + judged.stderr
        # From a start anew the new key opens everything, and a copy of the agent nothing.
        live.processes.stop()
        live.start_server()
        live.processes.spawn("agent tax", "-m", "saferoom_client", "agent", "run", str(copy))
        live.processes.wait_for(live.answers, "the server does not answer")
        told = "STORE_DAMAGED: The sealed store does not open."
        live.processes.wait_for(lambda: fault(live) == told, "nobody says why", 60)
        assert not live.serving()
        live.processes.kill("agent tax")
        live.start_agent("tax")
        live.processes.wait_for(live.serving, "the enclave does not serve", 90)
        assert answer(live) is Truth.YES


@pytest.mark.soak
def test_the_agents_own_keys_are_changed_with_the_next_charter(tmp_path: Path) -> None:
    with small_room(tmp_path) as live:
        live.say(STEADY)
        folder = live.agents["tax"].folder
        before = KeyAgent.load(folder).card
        assert run("agent", "rotate", "--own-keys", str(folder)).returncode == 0
        card = read_model(folder / CARD, AgentCard)
        assert KeyAgent.load(folder).card == before  # until the charter names the new ones
        first = seal_statement(live.charter("tax"), live.roots["tax"])
        changes = {"key_agent": card.key_agent, "pairing": card.pairing}
        charter = live.charter("tax", version=2, previous=first.digest, **changes)
        with live.open("tax", APPROVERS[0]) as room:
            room.put_charter(seal_statement(charter, live.roots["tax"]))
        live.processes.wait_for(
            lambda: KeyAgent.load(folder).card == card, "the agent does not go over", 60
        )
        live.processes.wait_for(live.serving, "the enclave does not serve", 90)
        # Whoever approved did so under the former charter: under the next one they approve anew.
        with live.open("bank-a", "desk") as room:
            (template,) = [each.digest for each in room.list_templates()]
        live.approve(template)
        live.processes.wait_for(lambda: succeeds(lambda: answer(live)), "no answer", 60)
        judged = run("audit", "verify", profile=live.member("auditor", "desk"))
        assert judged.returncode == 0, judged.stdout + judged.stderr
