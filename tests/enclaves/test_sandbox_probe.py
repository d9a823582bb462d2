"""The real enclave, at work with its keys and records, probed from inside and from outside."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from saferoom_enclaves.journal import Judged
from saferoom_enclaves.sandbox.numbers import MACHINES
from saferoom_proto.answer import Truth
from simulator import Clock, Sample, sample, tax_csv
from simulator.attended import Attended
from simulator.process import EnclaveProcess
from tests.enclaves.test_sandbox import (
    FILES,
    FORBIDDEN_CALLS,
    MACHINE,
    REFUSALS,
    interpreter_for,
    sys_path,
)

PROGRAMS: Final = Path(__file__).parent
OWN, ORDINARY, STRANGER = os.getuid(), 61237, 61238
"""Users that no host has given to anybody: Debian's useradd ends at 60000."""
MOST_CALLS: Final = 600
"""Past the highest number there is: 470 or so, asm-generic/unistd.h."""
FOREIGN: Final = {
    name: both[0 if MACHINE == "x86_64" else 1] for name, both in FORBIDDEN_CALLS.items()
}


@dataclass
class Probed:
    """An enclave at work, whose it is, and what was tried in it."""

    room: Sample
    process: EnclaveProcess
    attended: Attended
    uid: int
    holds: list[str]
    tried: dict[str, str]

    def ask(self) -> Truth:
        """Ask about the first firm."""
        self.attended.follow()
        question = self.room.question(1)
        (outcome,) = self.process.judge([question])
        assert isinstance(outcome, Judged), outcome
        return self.room.bank.open(question, "tax", outcome.sealed).truth

    def seen_by(self, uid: int) -> dict[str, str]:
        """Have a process of a user look at the enclave."""
        task = {"pid": self.process.process.pid, "calls": FOREIGN}
        interpreter = interpreter_for(uid)
        assert interpreter is not None
        other = uid != OWN
        found = subprocess.run(
            [interpreter, "-I", "-B", str(PROGRAMS / "onlooker.py"), json.dumps(task)],
            check=True,
            capture_output=True,
            cwd="/",
            timeout=60,
            user=uid if other else None,
            group=uid if other else None,
            extra_groups=[] if other else None,
        )
        told: dict[str, str] = json.loads(found.stdout)
        return told


@pytest.fixture(scope="module", params=[OWN, ORDINARY], ids=["own uid", "ordinary uid"])
def probed(request: pytest.FixtureRequest) -> Iterator[Probed]:
    uid: int = request.param
    if OWN not in {uid, 0}:
        pytest.skip("only root can start a process as another user")
    interpreter = interpreter_for(uid)
    if interpreter is None:
        pytest.skip(f"uid {uid} can start no interpreter of this version")
    base = Path(tempfile.mkdtemp(prefix="saferoom-probe-"))
    base.chmod(0o711)
    try:
        room = sample(clock=Clock())
        with started(base, room, uid, interpreter) as process:
            yield at_work(base, room, process, uid)
    finally:
        shutil.rmtree(base)


def started(base: Path, room: Sample, uid: int, interpreter: str) -> EnclaveProcess:
    """Start the enclave, another owner's store beside it."""
    named = {name: base / name for name in ("enclave", "outside", "neighbour")}
    for folder in named.values():
        folder.mkdir()
    (named["outside"] / "secret").write_text("canary")
    (named["neighbour"] / "state.db").write_text("canary")
    for folder in (named["outside"], named["neighbour"]):
        folder.chmod(0o777)  # so that nothing but the sandbox is in the way
    task = {
        "state": str(named["enclave"] / "state"),
        "outside": str(named["outside"]),
        "neighbour": str(named["neighbour"]),
        "sys_path": sys_path(interpreter),
        "calls": MACHINES[MACHINE],
        "forbidden_calls": FOREIGN,
        "most_calls": MOST_CALLS,
    }
    return EnclaveProcess(
        room.tax,
        named["enclave"],
        {"sandbox": True},
        command=(interpreter, "-I", "-B", str(PROGRAMS / "probed.py"), json.dumps(task)),
        user=None if uid == OWN else uid,
    )


def at_work(base: Path, room: Sample, process: EnclaveProcess, uid: int) -> Probed:
    """Give it keys and records, let it answer, and then let what is inside try everything."""
    attended = Attended(process.owner, process)
    attended.unlock()
    attended.follow()
    assert process.load({"firms": tax_csv(room.world)}).snapshot is not None
    room.consent(1)
    state = base / "enclave" / "state"
    made = Probed(room, process, attended, uid, [], {})
    assert made.ask() is Truth.YES
    (state / "go").touch()
    deadline = time.monotonic() + 120
    while not (state / "tried").exists():
        assert time.monotonic() < deadline, process.log.read_text()
        time.sleep(0.05)
    told = json.loads((state / "tried").read_text())
    made.holds, made.tried = told["holds"], told["tried"]
    return made


def test_nothing_inside_gets_out(probed: Probed) -> None:
    beyond: set[str] = set() if "landlock-files" in probed.holds else FILES
    ended = {way: end for way, end in probed.tried.items() if way not in beyond}
    assert {way: end for way, end in ended.items() if end not in REFUSALS | {"ENOSYS"}} == {}
    # A call that the kernel does not have can only be refused so by the filter's own choice.
    assert {way for way, end in ended.items() if end == "ENOSYS"} <= {"clone3"}
    assert len(probed.tried) > 600


def test_it_goes_on_answering_afterwards(probed: Probed) -> None:
    assert probed.process.process.poll() is None
    assert probed.ask() is Truth.YES
    children = Path(f"/proc/{probed.process.process.pid}/task").glob("*/children")
    assert sum(len(each.read_text().split()) for each in children) == 1  # its fork server
    assert not (probed.process.folder / "state" / "link").is_symlink()


def test_no_other_process_reads_its_keys(probed: Probed) -> None:
    """Neither one of its own user's, where that is not root, nor a stranger's."""
    if probed.uid == OWN == 0:
        onlookers = {STRANGER}
        if interpreter_for(STRANGER) is None:
            pytest.skip("a stranger can start no interpreter of this version")
    else:
        onlookers = {probed.uid} if OWN else {probed.uid, STRANGER}
    for uid in onlookers:
        found = probed.seen_by(uid)
        assert {name: end for name, end in found.items() if end not in REFUSALS} == {}
        assert len(found) > 20
