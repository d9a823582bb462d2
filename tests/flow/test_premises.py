"""Enclaves that their owners run: the server is not their parent, and a relay connects them.

Real processes on one machine; `test_premises_apart.py` puts them into two networks.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from typer.testing import CliRunner

from saferoom_client import Truth
from saferoom_client.cli import app
from saferoom_client.files import read_model
from saferoom_client.issuer import Issuer, enrol_member
from saferoom_client.profile import Member, RoomCard
from saferoom_client.question import Question
from saferoom_client.session import utc_now
from saferoom_client.values import CheckAnswer
from saferoom_proto.receipt import Receipt, verify_receipt
from saferoom_proto.statements import seal_statement
from tests.flow.offers import LISTED, POOR, STEADY
from tests.flow.premises import Premises

pytestmark = pytest.mark.timeout(300)

LEAST: Final = {"least": "5000"}


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Premises]:
    """Give a room whose two owners run their enclaves themselves, ready for checks."""
    room = Premises(tmp_path_factory.mktemp("outside"))
    try:
        room.start()
        room.equip()
        yield room
    finally:
        room.processes.stop()


def prepare(room: Premises, subject: str) -> Question:
    with room.open("bank-a", "desk") as bank:
        return bank.prepare("steady-payer", subject=subject, purpose="pre-loan", params=LEAST)


def ask(room: Premises, question: Question) -> CheckAnswer:
    with room.open("bank-a", "desk") as bank:
        return bank.ask(question)


def logged(room: Premises, name: str, words: str, seconds: float = 40.0) -> None:
    """Wait until a process has written something to its log."""
    room.processes.wait_for(lambda: words in room.processes.log(name), words, seconds)


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])


def test_a_check_is_answered_by_enclaves_that_the_server_did_not_start(outside: Premises) -> None:
    for subject, truth in ((STEADY, Truth.YES), (POOR, Truth.NO), (LISTED, Truth.NO)):
        answer = ask(outside, prepare(outside, subject))
        assert (answer.truth, sorted(answer.parts)) == (truth, ["court", "tax"])
        trust = outside.profile("auditor", "desk").trust
        assert verify_receipt(Receipt.from_json(answer.receipt.to_json()), trust).answer is truth
    processes = outside.processes.running
    for owner in outside.owners:
        assert parent_of(outside.pid(owner)) == processes[f"enclave {owner}"].pid
    server = processes["server"].pid
    assert Path(f"/proc/{server}/task/{server}/children").read_text("ascii").split() == []
    assert list((outside.room / "enclaves").iterdir()) == []


def test_the_status_shows_who_runs_an_enclave_and_whether_it_is_connected(
    outside: Premises,
) -> None:
    profile = str(outside.member("operator", "desk"))
    shown = CliRunner().invoke(app, ["room", "status", "-p", profile])
    assert [line.split()[:3] for line in shown.stdout.splitlines()[2:]] == [
        [owner, "owner", "serving"] for owner in outside.owners
    ]
    assert [(one.run_by, one.connected) for one in map(outside.state, outside.owners)] == [
        ("owner", True),
        ("owner", True),
    ]


def test_a_relay_that_is_killed_loses_nothing_and_needs_no_key_agent(outside: Premises) -> None:
    question = prepare(outside, STEADY)
    first, pid = ask(outside, question), outside.pid("tax")
    outside.processes.kill("relay tax")
    outside.until("tax", "away")
    assert not outside.state("tax").connected
    outside.processes.kill("agent tax")
    outside.start_relay("tax")
    outside.until("tax", "serving")
    assert ask(outside, question).receipt.to_json() == first.receipt.to_json()
    assert ask(outside, prepare(outside, STEADY)).truth is Truth.YES
    assert outside.pid("tax") == pid
    outside.start_agent("tax")
    assert '"event": "enclave is back"' in outside.processes.log("server")


def test_a_server_that_is_killed_finds_the_same_enclaves_again(outside: Premises) -> None:
    question = prepare(outside, POOR)
    first = ask(outside, question)
    before = [outside.pid(owner) for owner in outside.owners]
    outside.processes.kill("server")
    outside.start_server()
    outside.processes.wait_for(outside.answers, "the server does not come back")
    for owner in outside.owners:
        outside.until(owner, "serving")
    assert [outside.pid(owner) for owner in outside.owners] == before
    assert ask(outside, question).receipt.to_json() == first.receipt.to_json()
    assert ask(outside, prepare(outside, STEADY)).truth is Truth.YES


def test_an_enclave_that_is_killed_is_started_again_by_its_own_supervisor(
    outside: Premises,
) -> None:
    question = prepare(outside, LISTED)
    first, pid = ask(outside, question), outside.pid("tax")
    os.kill(pid, signal.SIGKILL)
    logged(outside, "enclave tax", "the enclave ended with -9")
    outside.processes.wait_for(lambda: outside.pid("tax") != pid, "it is not started again")
    outside.until("tax", "serving")
    assert ask(outside, question).receipt.to_json() == first.receipt.to_json()
    assert ask(outside, prepare(outside, STEADY)).truth is Truth.YES


@pytest.mark.soak
def test_an_enclave_ends_with_its_supervisor_and_leaves_no_door(outside: Premises) -> None:
    pid = outside.pid("court")
    outside.processes.kill("enclave court")
    outside.processes.wait_for(lambda: not Path(f"/proc/{pid}").exists(), "it outlives its parent")
    outside.until("court", "away")
    outside.start_enclave("court")
    outside.until("court", "serving")
    assert ask(outside, prepare(outside, STEADY)).truth is Truth.YES


def test_of_two_relays_the_newest_wins_and_the_other_keeps_off(outside: Premises) -> None:
    outside.enrol("tax", "spare", spare := outside.member("tax", "spare"))
    outside.start_relay("tax", "spare", spare)
    logged(outside, "relay tax", "replaced: another relay attends")
    outside.until("tax", "serving")
    assert ask(outside, prepare(outside, STEADY)).truth is Truth.YES
    assert "relay replaced by a newer one" in outside.processes.log("server")
    outside.processes.kill("spare tax")
    outside.processes.kill("relay tax")
    outside.start_relay("tax")
    outside.until("tax", "serving")


def test_a_relay_of_another_owner_connects_nothing(outside: Premises) -> None:
    """The court's relay, at the tax office's enclave: the room takes it for the court's."""
    member = outside.member("court", "stray")
    outside.enrol("court", "stray", member)
    outside.start_relay("tax", "stray", member)
    logged(outside, "stray tax", "waiting")
    logged(outside, "enclave tax", "refused: what the relay hands in: BAD_CHARTER")
    assert outside.state("tax").state == "serving"
    assert ask(outside, prepare(outside, STEADY)).truth is Truth.YES
    outside.processes.kill("stray tax")


def test_a_relay_whose_certificate_the_room_does_not_know_is_not_let_in(
    outside: Premises,
) -> None:
    member = outside.member("tax", "forged")
    enrol_member(
        Issuer.create("registry", utc_now()),
        member,
        read_model(outside.room / "room-card.json", RoomCard),
        Member(organisation="tax", name="forged"),
        utc_now(),
        charter_roots={},
    )
    outside.start_relay("tax", "forged", member)
    logged(outside, "forged tax", "disconnected: UNAVAILABLE")
    assert ask(outside, prepare(outside, STEADY)).truth is Truth.YES
    outside.processes.kill("forged tax")


def test_a_member_that_is_no_owner_attends_nothing(outside: Premises) -> None:
    outside.start_relay("tax", "bank", outside.member("bank-a", "desk"))
    logged(outside, "bank tax", "disconnected: NOT_ALLOWED")
    outside.processes.kill("bank tax")
    assert outside.state("tax").state == "serving"


@pytest.mark.soak
def test_a_later_charter_has_the_enclave_started_anew_under_it(outside: Premises) -> None:
    with outside.open("tax", "li") as room:
        held = room.get_charter("tax")
        changed = held.charter.model_copy(
            update={"version": held.charter.version + 1, "previous": held.digest}
        )
        room.put_charter(seal_statement(changed, outside.roots["tax"]))
    logged(outside, "enclave tax", "starting: under version 2 of the charter")
    outside.processes.wait_for(
        lambda: outside.processes.log("enclave tax").count("listening: process") >= 2, "no start"
    )
    outside.until("tax", "serving")
    with outside.open("bank-a", "desk") as bank:
        assert bank.get_charter("tax").charter.version == 2
