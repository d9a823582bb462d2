"""Room and premises in two networks, joined by one line that is cut in mid-call."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest

from saferoom_client import Truth
from saferoom_client.question import Question
from saferoom_client.values import CheckAnswer
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Release, load
from tests.flow.namespace import Apart, apart, permitted
from tests.flow.offers import CURIOUS, POOR, STEADY
from tests.flow.premises import Premises

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(not permitted(), reason="no network namespaces for this user or host"),
]

LEAST: Final = {"least": "5000"}
LISTENS: Final = "0A"
"""TCP_LISTEN, proc(5)."""
BLINK_SECONDS: Final = 2.0
OUTAGE_SECONDS: Final = 22.0
"""Longer than a relay takes to give a silent line up."""


@pytest.fixture(scope="module")
def line() -> Iterator[Apart]:
    with apart("flow") as made:
        yield made


@pytest.fixture(scope="module")
def room(line: Apart, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Premises]:
    """Give a room here, and its owner's key agent and relay in the other network.

    Supervisor and enclave have no network at all, as their unit has it.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("no_grpc_proxy", line.here)
        made = Premises(
            tmp_path_factory.mktemp("apart"),
            owners=("tax",),
            host=line.here,
            prefix=line.prefix,
            enclave_prefix=("unshare", "--net"),
        )
        try:
            made.start()
            made.equip_one()
            yield made
        finally:
            made.processes.stop()


def prepare(room: Premises, subject: str) -> Question:
    with room.open("bank-a", "desk") as bank:
        return bank.prepare("paid-enough", subject=subject, purpose="pre-loan", params=LEAST)


def ask(room: Premises, question: Question) -> CheckAnswer | SafeRoomError:
    try:
        with room.open("bank-a", "desk") as bank:
            return bank.ask(question)
    except SafeRoomError as error:
        return error


def asked_again(room: Premises, question: Question) -> CheckAnswer:
    """Ask until there is an answer: what a bank's system does after a break."""
    answers: list[CheckAnswer] = []

    def answered() -> bool:
        answers.extend(one for one in [ask(room, question)] if isinstance(one, CheckAnswer))
        return bool(answers)

    room.processes.wait_for(answered, "no answer", 60)
    return answers[0]


def releases_of(room: Premises, question: Question) -> int:
    """Count how often the log holds a word on a question, having verified all of it."""
    with room.open("auditor", "desk") as auditor:
        auditor.verify_log(whole=True)
        entries = auditor.entries(0, 1000)
    said = [each.statement for each in entries if each.statement is not None]
    kind = Release.payload_type()
    words = [load(each, Release) for each in said if each.payload_type == kind]
    return sum(word.request == question.request_id for word in words)


def test_a_check_is_answered_across(room: Premises) -> None:
    for subject, truth in ((STEADY, Truth.YES), (POOR, Truth.NO)):
        answer = ask(room, prepare(room, subject))
        assert isinstance(answer, CheckAnswer)
        assert answer.truth is truth


def test_the_premises_have_no_way_in(room: Premises) -> None:
    """Everything is dialled from there: nothing listens but on paths."""
    relay = room.processes.running["relay tax"].pid
    states = [
        line.split()[3]
        for family in ("tcp", "tcp6")
        for line in Path(f"/proc/{relay}/net/{family}").read_text("ascii").splitlines()[1:]
    ]
    assert states  # the relay's line, and the key agent's
    assert LISTENS not in states


def test_supervisor_and_enclave_have_no_network(room: Premises) -> None:
    for pid in (room.processes.running["enclave tax"].pid, room.pid("tax")):
        lines = Path(f"/proc/{pid}/net/dev").read_text("ascii").splitlines()[2:]
        assert [line.split(":")[0].strip() for line in lines] == ["lo"]


@pytest.mark.parametrize(
    "seconds", [BLINK_SECONDS, pytest.param(OUTAGE_SECONDS, marks=pytest.mark.soak)]
)
def test_a_line_that_is_cut_in_mid_call_is_taken_up_again(
    room: Premises, line: Apart, seconds: float
) -> None:
    question, pid = prepare(room, CURIOUS), room.pid("tax")
    late = room.processes.log("server").count("recorded late")
    with ThreadPoolExecutor(1) as thread:
        # The enclave has the question and can't answer before the line is cut.
        os.kill(pid, signal.SIGSTOP)
        asking = thread.submit(ask, room, question)
        time.sleep(0.5)
        line.cut()
        os.kill(pid, signal.SIGCONT)
        try:
            time.sleep(seconds)
        finally:
            line.mend()
        first = asking.result()
    room.until("tax", "serving")
    answer = asked_again(room, question)
    assert answer.truth is Truth.YES
    assert asked_again(room, question).receipt.to_json() == answer.receipt.to_json()
    assert releases_of(room, question) == 1
    assert room.pid("tax") == pid
    if seconds > BLINK_SECONDS:
        assert isinstance(first, SafeRoomError)
        assert first.reason in {Reason.UNAVAILABLE, Reason.DEADLINE}
        assert room.processes.log("server").count("recorded late") == late + 1
    elif isinstance(first, CheckAnswer):
        assert first.receipt.to_json() == answer.receipt.to_json()


@pytest.mark.soak
def test_without_the_line_a_question_is_refused_and_not_charged(
    room: Premises, line: Apart
) -> None:
    question = prepare(room, STEADY)
    line.cut()
    try:
        refusal = ask(room, question)
        assert isinstance(refusal, SafeRoomError)
        assert refusal.reason in {Reason.UNAVAILABLE, Reason.DEADLINE}
    finally:
        line.mend()
    assert asked_again(room, question).truth is Truth.YES
    assert releases_of(room, question) == 1
