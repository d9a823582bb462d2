"""The sandbox, opened as an integrator opens it: every code ends in what the table says."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from saferoom_client import Refused, Room
from saferoom_client.advice import Again
from saferoom_client.cli import app
from saferoom_client.sandbox.codes import (
    CHECK,
    CODES,
    DESK,
    LEAST,
    MISTYPED,
    SLOW,
    SPENT,
    YES,
    SandboxCode,
)
from saferoom_client.sandbox.leftovers import end_leftovers, running_in
from saferoom_client.sandbox.line import LATE_SECONDS
from saferoom_proto.answer import Truth
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.uscc import parse_uscc
from tests.flow.processes import Processes

NAME = "sandbox"
SECONDS = 120.0


def spawn(processes: Processes, folder: Path) -> None:
    """Open the sandbox and wait until it says so."""
    processes.spawn(NAME, "-m", "saferoom_client", "sandbox", "--out", str(folder))
    opened = processes.log(NAME).count("the sandbox is open")
    processes.wait_for(
        lambda: processes.log(NAME).count("the sandbox is open") > opened, "it is not open", SECONDS
    )


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Processes, Path]]:
    """Give an open sandbox, and its folder."""
    folder = tmp_path_factory.mktemp("sandbox")
    processes = Processes(folder / "logs of the test")
    try:
        spawn(processes, folder / "room")
        yield processes, folder / "room"
    finally:
        processes.stop()
        end_leftovers(folder / "room")


def ended(bank: Path, code: SandboxCode) -> Truth | Reason:
    """Ask a code's question, and give what it ended in."""
    with Room.open(bank, deadline_seconds=code.deadline_seconds or PATIENT_SECONDS) as room:
        try:
            return room.check(
                code.template,
                subject=code.subject,
                purpose=code.purpose,
                params=code.params,
                valid_for=code.valid_for,
            ).truth
        except SafeRoomError as error:
            return error.reason


PATIENT_SECONDS = 60.0
"""The machine may have much else to do."""


@pytest.mark.parametrize("code", CODES, ids=lambda code: f"{code.ends_in}: {code.why}")
def test_every_code_ends_in_what_the_table_says(
    sandbox: tuple[Processes, Path], code: SandboxCode
) -> None:
    bank = sandbox[1] / "members" / "bank-a" / code.member
    began = time.monotonic()
    assert ended(bank, code) == code.ends_in
    assert code.member == DESK or time.monotonic() - began > 2 * LATE_SECONDS
    if isinstance(code.ends_in, Reason) and code.deadline_seconds is None:
        assert ended(bank, code) == code.ends_in  # and again, however often


@pytest.mark.soak
def test_over_the_slow_line_a_deadline_passes_and_the_same_question_is_answered_later(
    sandbox: tuple[Processes, Path],
) -> None:
    desk, slow = (sandbox[1] / "members" / "bank-a" / member for member in (DESK, SLOW))
    with Room.open(desk) as room:
        question = room.prepare(CHECK, subject=YES, purpose="pre-loan", params={"least": LEAST})
    with Room.open(slow, deadline_seconds=LATE_SECONDS) as room, pytest.raises(Refused) as late:
        room.ask(question)
    assert late.value.reason in (Reason.DEADLINE, Reason.UNAVAILABLE)
    assert late.value.again is Again.SAME
    with Room.open(slow, deadline_seconds=PATIENT_SECONDS) as room:
        assert room.ask(question).truth is Truth.YES


def test_the_codes_are_nobodys_and_are_written_down_for_programs(
    sandbox: tuple[Processes, Path],
) -> None:
    for code in CODES:
        if code.subject == MISTYPED:
            continue
        assert parse_uscc(code.subject)[2:8] == "990000"
    written = json.loads((sandbox[1] / "codes.json").read_text())
    assert [each["ends_in"] for each in written] == [str(code.ends_in) for code in CODES]
    assert len({(each.ends_in, each.why) for each in CODES}) == len(CODES)


def test_a_second_one_in_the_same_folder_is_refused_and_the_first_goes_on(
    sandbox: tuple[Processes, Path],
) -> None:
    second = CliRunner().invoke(app, ["sandbox", "--out", str(sandbox[1])])
    assert second.exit_code == 1
    assert "is open already" in second.output
    assert ended(sandbox[1] / "members" / "bank-a" / "desk", CODES[0]) == CODES[0].ends_in


def test_a_folder_of_anybody_elses_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    refused = CliRunner().invoke(app, ["sandbox", "--out", str(tmp_path)])
    assert refused.exit_code == 1
    assert "no sandbox" in refused.output
    assert [each.name for each in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.soak
def test_killed_it_opens_again_as_it_was_and_stopped_it_leaves_nothing_running(
    sandbox: tuple[Processes, Path],
) -> None:
    processes, folder = sandbox
    bank = folder / "members" / "bank-a" / "desk"
    os.kill(processes.running[NAME].pid, signal.SIGKILL)
    processes.running.pop(NAME).wait()
    spawn(processes, folder)
    assert ended(bank, CODES[0]) is Truth.YES
    spent = next(code for code in CODES if code.subject == SPENT)
    assert ended(bank, spent) is Reason.OVER_BUDGET
    with Room.open(bank) as room:
        kept = room.prepare(
            CODES[0].template, subject=YES, purpose="pre-loan", params=dict(CODES[0].params)
        )
        # Not SIGINT, which a shell has its background jobs ignore.
        processes.running[NAME].send_signal(signal.SIGTERM)
        assert processes.running.pop(NAME).wait(30) == 0
        with pytest.raises(Refused) as refusal:
            room.ask(kept)
        assert refusal.value.reason is Reason.UNAVAILABLE
    assert running_in(folder) == []
