"""A training in the room whose child, enclave, server or asker is killed while it is made."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from saferoom_client.cli import app
from saferoom_client.fits.asking import FitAnswer
from saferoom_client.refused import Refused
from saferoom_client.training.states import JobState
from saferoom_proto.reasons import Reason
from saferoom_proto.uscc import make_uscc
from tests.flow.live import LiveRoom
from tests.flow.offers import VAT
from tests.flow.trainings import LATE, fit_of, have_approved, late

pytestmark = pytest.mark.soak

FIRMS = 90_000
"""So many that 200 trees take some seconds."""
CHILD_DEPTH = 3
"""Below an enclave: who makes its fork server anew, the fork server, a child."""


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveRoom]:
    """Give a room whose tax office lets trees be trained."""
    folder = tmp_path_factory.mktemp("killed")
    live = LiveRoom(folder, owners=("tax",))
    try:
        live.start()
        live.define()
        rows = "".join(f"{make_uscc(n)},{37 * (n % 2897)}\n" for n in range(FIRMS))
        (folder / "vat.csv").write_text("uscc,paid\n" + rows, "utf-8")
        with live.open("tax", "li") as office:
            office.put_feature(late("paid % 9000 < 1500"))
            office.load_data(live.schemas["tax"], {"vat": folder / "vat.csv"})
        live.agree("tax", "bank-a")
        yield live
    finally:
        live.processes.stop()


def propose(live: LiveRoom, name: str) -> None:
    """Have a bank propose a training, and the tax office approve it."""
    fields: dict[str, object] = {
        "algorithm": "boosting-1",
        "features": [VAT],
        "label": LATE,
        "trees": 200,
        "leaves": 31,
        "least_rows": 83_000,
        "least_events": 50,
        "releases": ["rows", "auc", "ks"],
        "runs": {"most": 20, "days": 30},
    }
    have_approved(live, name, fit_of(fields))


def below(pid: int) -> list[int]:
    """Give a process's children."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(one) for task in tasks for one in (task / "children").read_text().split()]
    except OSError:
        return []


def enclaves(live: LiveRoom) -> list[int]:
    """Give the processes of enclaves."""
    server = live.processes.running["server"].pid
    return [
        pid
        for pid in below(server)
        if b"saferoom_enclaves" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]


def fitting(live: LiveRoom) -> list[int]:
    """Give the children of enclaves."""
    found = enclaves(live)
    for _ in range(CHILD_DEPTH):
        found = [child for pid in found for child in below(pid)]
    return found


def wait_for(ready: Callable[[], bool], seconds: float = 90) -> None:
    until = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < until, "in vain"
        time.sleep(0.05)


def under_way(live: LiveRoom) -> bool:
    """Tell whether a model is trained, by a child that is at work."""
    with live.open("bank-a", "desk") as bank:
        trains = any(each.state is JobState.TRAINING for each in bank.list_jobs())
    return trains and bool(fitting(live))


class Asked:
    """A bank that waits for its model, in a thread."""

    def __init__(self, live: LiveRoom, template: str) -> None:
        self._live = live
        self._template = template
        self.answer: FitAnswer | None = None
        self.refused: Refused | None = None
        self._thread = threading.Thread(target=self._ask)
        self._thread.start()
        wait_for(lambda: under_way(live))

    def _ask(self) -> None:
        with self._live.open("bank-a", "desk") as bank:
            try:
                self.answer = bank.train_in_room(self._template, purpose="product-design")
            except Refused as refused:
                self.refused = refused

    def over(self) -> FitAnswer:
        """Wait for what it is told."""
        self._thread.join(120)
        assert self.answer is not None
        return self.answer

    def cut_off(self) -> str:
        """Wait until it is told that the line broke; gives the job that it may ask for again."""
        self._thread.join(120)
        assert self.refused is not None
        assert self.refused.reason in {Reason.UNAVAILABLE, Reason.LOCKED}
        (note,) = self.refused.__notes__
        command, _, job = note.rpartition(" ")
        assert command == "saferoom job resume"
        return job


def run_of(live: LiveRoom, template: str) -> int | None:
    """Train again; gives the how manieth run it is."""
    with live.open("bank-a", "desk") as bank:
        answer = bank.train_in_room(template, purpose="product-design")
    assert answer.verified.card is not None
    return answer.verified.release.run


def resumed(live: LiveRoom, job: str) -> FitAnswer:
    live.processes.wait_for(live.answers, "the server answers no call", 90)
    live.processes.wait_for(live.serving, "an enclave is not serving", 90)
    with live.open("bank-a", "desk") as bank:
        return bank.take_up_fit(job)


def test_whose_child_is_killed_is_withheld_and_counts_once(room: LiveRoom) -> None:
    propose(room, "child")
    asked = Asked(room, "child")
    for pid in fitting(room):
        os.kill(pid, signal.SIGKILL)
    answer = asked.over()
    assert (answer.refused, answer.verified.release.run) == (Reason.WITHHELD, 1)
    assert run_of(room, "child") == 2


def test_whose_enclave_is_killed_is_asked_again_and_counts_once(room: LiveRoom) -> None:
    propose(room, "enclave")
    asked = Asked(room, "enclave")
    (before,) = enclaves(room)
    os.kill(before, signal.SIGKILL)
    answer = resumed(room, asked.cut_off())
    assert enclaves(room) != [before]
    assert (answer.refused, answer.verified.release.run) == (None, 1)
    assert run_of(room, "enclave") == 2


def test_whose_server_is_killed_is_asked_again_and_counts_once(room: LiveRoom) -> None:
    propose(room, "server")
    asked = Asked(room, "server")
    room.processes.kill("server")  # and its enclave with it
    room.start_server()
    answer = resumed(room, asked.cut_off())
    assert (answer.refused, answer.verified.release.run) == (None, 1)
    assert run_of(room, "server") == 2


def test_whose_asker_is_killed_is_fetched_afterwards(room: LiveRoom) -> None:
    propose(room, "asker")
    with submits(room, "asker") as command:
        command.kill()
    with room.open("bank-a", "desk") as bank:
        (job,) = [each.job for each in bank.list_jobs() if each.state is JobState.TRAINING]
        bank.watch_job(job, lambda _: None)
        answer = bank.take_up_fit(job)
    assert (answer.refused, answer.verified.release.run) == (None, 1)


def test_ctrl_c_ends_it_and_it_counts(room: LiveRoom) -> None:
    propose(room, "interrupted")
    with submits(room, "interrupted") as command:
        children = fitting(room)
        command.send_signal(signal.SIGINT)
        _, said = command.communicate(timeout=60)
    assert command.returncode == 130
    assert "ending it; Ctrl-C once more leaves it to go on" in said
    assert "cancelled; it had begun, and counts as a run" in said
    assert "run     1 of at most 20" in said
    wait_for(lambda: not set(children) & set(fitting(room)))
    job = re.findall("sha256:[0-9a-f]{64}", said)[0]
    with room.open("bank-a", "desk") as bank:
        (listed,) = [each for each in bank.list_jobs() if each.job == job]
    assert listed.state is JobState.CANCELLED
    assert run_of(room, "interrupted") == 2


def test_nothing_of_it_is_a_violation(room: LiveRoom) -> None:
    with room.open("auditor", "desk") as auditor:
        folder = str(auditor.profile.folder)
    told = json.loads(CliRunner().invoke(app, ["audit", "verify", "-p", folder, "--json"]).output)
    assert (told["violations"], told["unjudged"]) == ([], 0)


def submits(live: LiveRoom, template: str) -> subprocess.Popen[str]:
    """Have a bank's command ask for a training, and give it while that is under way."""
    desk = str(live.member("bank-a", "desk"))
    arguments = ["job", "submit", template, "--purpose", "product-design", "-p", desk]
    command = subprocess.Popen(
        [sys.executable, "-m", "saferoom_client", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"LANG": "C.UTF-8", "LANGUAGE": "en"},
    )
    wait_for(lambda: under_way(live))
    return command
