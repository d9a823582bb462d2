"""Supervisor, enclave and relay as ordinary users: each sees no more than its part."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp
from typing import Final

import pytest

from saferoom_client import Truth
from tests.flow.offers import STEADY
from tests.flow.premises import Premises

ENCLAVE, RELAY, STRANGER, BOTH = 61233, 61234, 61235, 61236
"""Three users and a group that no host has given to anybody: Debian's useradd ends at 60000."""


def as_user(user: int, group: int = BOTH) -> tuple[str, ...]:
    return ("setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups", "--no-new-privs")


def permitted() -> bool:
    """Tell whether another user can be taken on here, and can read this installation."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        return False
    # By way of another program: only then nothing is left of the privileges that read everything.
    program = [*as_user(ENCLAVE), "env", sys.executable, "-I", "-c", "import saferoom_enclaves"]
    return subprocess.run(program, check=False, capture_output=True, cwd="/").returncode == 0


pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.skipif(not permitted(), reason="needs root, and an installation all may read"),
]


class Users(Premises):
    """A room whose tax office runs its enclave as one user and its relay as another."""

    def found(self, owner: str) -> None:
        """Give each its own, and both the exchange."""
        assert self.shared is not None
        self.shared.mkdir()
        Premises.found(self, owner)
        own(self.homes[owner].folder, ENCLAVE)
        own(self.member(owner, "relay"), RELAY)
        own(self.shared, ENCLAVE)
        self.shared.chmod(0o2770)


def own(folder: Path, user: int) -> None:
    for path in (folder, *folder.rglob("*")):
        os.chown(path, user, BOTH)


@pytest.fixture(scope="module")
def room() -> Iterator[Premises]:
    folder = Path(mkdtemp(prefix="saferoom-"))
    folder.chmod(0o711)  # the users pass through
    made = Users(
        folder,
        owners=("tax",),
        enclave_prefix=as_user(ENCLAVE),
        relay_prefix=as_user(RELAY),
        shared=folder / "exchange",
    )
    try:
        made.start()
        made.equip_one()
        yield made
    finally:
        made.processes.stop()
        shutil.rmtree(folder)


def users_of(pid: int) -> set[str]:
    """Give a process's user ids: real, effective, saved and that of files."""
    lines = Path(f"/proc/{pid}/status").read_text("ascii").splitlines()
    (line,) = [each for each in lines if each.startswith("Uid:")]
    return set(line.split()[1:])


def test_an_enclave_of_an_ordinary_user_answers(room: Premises) -> None:
    with room.open("bank-a", "desk") as bank:
        answer = bank.check(
            "paid-enough", subject=STEADY, purpose="pre-loan", params={"least": "5000"}
        )
    assert answer.truth is Truth.YES
    running = room.processes.running
    assert users_of(running["enclave tax"].pid) == {str(ENCLAVE)}
    assert users_of(room.pid("tax")) == {str(ENCLAVE)}
    assert users_of(running["relay tax"].pid) == {str(RELAY)}
    assert room.state("tax").sandbox_level >= 1


@pytest.mark.parametrize(
    ("user", "place"),
    [
        (RELAY, "homes/tax/supervisor.key"),
        (RELAY, "homes/tax/state/state.db"),
        (RELAY, "agents/tax/store.key"),
        (ENCLAVE, "members/tax/relay/tls.key"),
        (ENCLAVE, "agents/tax/store.key"),
        (STRANGER, "exchange/door.json"),
        (STRANGER, "exchange/door/s"),
    ],
)
def test_nobody_reads_what_is_anothers(room: Premises, user: int, place: str) -> None:
    path = room.folder / place
    assert path.exists()
    program = [*as_user(user, BOTH if user in {ENCLAVE, RELAY} else user), "env"]
    reading = "stat" if path.is_socket() else "cat"
    ran = subprocess.run([*program, reading, path], check=False, capture_output=True, cwd="/")
    assert ran.returncode != 0
    assert b"Permission denied" in ran.stderr


PLAIN: Final = b"60000"


def test_nothing_of_a_record_lies_in_what_the_two_share(room: Premises) -> None:
    shared = room.exchange("tax").folder
    files = [path for path in shared.rglob("*") if path.is_file()]
    assert {path.name for path in files} == {"charter.json", "switchboard.json", "door.json"}
    assert not any(PLAIN in path.read_bytes() for path in files)
