"""Whoever runs the host puts an older copy of an enclave's folder back, to spend budgets twice.

The enclave cannot know. The honest server does, by the log; where the server plays along, the log
that it must keep for its receipts shows two histories to every auditor.
"""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from saferoom_client.chains import Chains
from saferoom_client.cli import app
from saferoom_client.profile import Profile
from saferoom_proto.answer import Truth
from saferoom_proto.reasons import Reason, SafeRoomError
from simulator import EnclaveHarness, Sample
from simulator.harness import Verdict
from tests.attacks.smallroom import small_room
from tests.flow.live import LiveRoom, succeeds
from tests.flow.offers import APPROVERS, STEADY


def turned_back(room: Sample, enclave: EnclaveHarness) -> list[Verdict]:
    """Ask, put an older copy of the enclave's folder back, and ask something else."""
    copy = enclave.folder.with_name("older")
    first = enclave.ask(room.question(1, "50000"))
    enclave.enclave.close()
    shutil.copytree(enclave.folder, copy)
    enclave.restart()
    second = enclave.ask(room.question(1, "100000"))
    enclave.enclave.close()
    enclave.folder = copy
    enclave.restart()
    third = enclave.ask(room.question(1, "500000"))
    return [first, second, third]


def test_by_itself_an_older_copy_spends_again(room: Sample, enclave: EnclaveHarness) -> None:
    # The attack, with nobody looking: the second question was charged, and is forgotten.
    first, second, third = turned_back(room, enclave)
    assert {verdict.truth for verdict in (first, second, third)} <= {Truth.YES, Truth.NO}
    assert second.release.chain.index == third.release.chain.index
    assert second.release.charges[0].cells_before == third.release.charges[0].cells_before


def test_the_log_shows_two_histories_to_whoever_reads_it(
    room: Sample, enclave: EnclaveHarness
) -> None:
    honest, forgotten, again = (each.judged.entry.statement for each in turned_back(room, enclave))
    chains = Chains()
    chains.take(honest)
    chains.take(forgotten)
    chains.take(forgotten)  # the same word twice is one
    chains.require_linked()
    with pytest.raises(SafeRoomError) as refused:
        chains.take(again)
    assert refused.value.reason is Reason.STORE_ROLLED_BACK
    assert "tax" in refused.value.detail


def test_a_history_that_hides_its_beginning_is_noticed_where_it_goes_on(
    room: Sample, enclave: EnclaveHarness
) -> None:
    _, forgotten, _ = turned_back(room, enclave)
    later = enclave.ask(room.question(2))
    chains = Chains()
    for verdict in (forgotten, later):  # what was said again in its place is left out
        chains.take(verdict.judged.entry.statement)
    with pytest.raises(SafeRoomError) as refused:
        chains.require_linked()
    assert refused.value.reason is Reason.STORE_ROLLED_BACK


def told(live: LiveRoom, least: str) -> Truth:
    with live.open("bank-a", "desk") as room:
        params = {"least": least}
        asked = room.check("paid-enough", subject=STEADY, purpose="pre-loan", params=params)
        return asked.truth


@pytest.mark.soak
def test_an_honest_server_lets_no_older_copy_serve(tmp_path: Path) -> None:
    with small_room(tmp_path) as live:
        live.say(STEADY)
        folder, copy = live.room / "enclaves" / "tax", tmp_path / "copy"
        live.processes.stop()
        shutil.copytree(folder, copy)
        restarted(live)
        live.processes.wait_for(live.serving, "the enclave does not serve")
        assert told(live, "5000") is Truth.YES
        live.processes.stop()
        shutil.rmtree(folder)
        shutil.copytree(copy, folder)
        restarted(live)
        live.processes.wait_for(
            lambda: "STORE_ROLLED_BACK" in live.processes.log("server"), "nobody notices"
        )
        assert not succeeds(lambda: told(live, "50000"))
        assert not live.serving()


@pytest.mark.soak
def test_put_back_together_with_the_log_it_gets_no_key(tmp_path: Path) -> None:
    # The log agrees with the copy, and so does the server; only who looked before knows better.
    with small_room(tmp_path) as live:
        live.say(STEADY)
        room, copy = live.room, tmp_path / "copy"
        live.processes.stop()
        shutil.copytree(room, copy)
        again(live)
        assert told(live, "5000") is Truth.YES
        grown = grown_to(live)
        profile = live.agents["tax"].profile_folder
        live.processes.wait_for(lambda: looked_to(profile) >= grown, "the agent does not look")
        live.processes.stop()
        shutil.rmtree(room)
        shutil.copytree(copy, room)
        restarted(live)
        live.processes.wait_for(
            lambda: "refused: BAD_PROOF: the log had" in live.processes.log("agent tax"),
            "the agent does not notice",
        )
        assert "STORE_ROLLED_BACK" not in live.processes.log("server")
        assert not succeeds(lambda: told(live, "50000"))
        assert not live.serving()


def grown_to(live: LiveRoom) -> int:
    with live.open("auditor", "desk") as auditor:
        return auditor.verify_log().checkpoint.size


def looked_to(profile: Path) -> int:
    """Give how far a member saw the log."""
    seen = Profile.load(profile).log.read()
    return 0 if seen is None else seen.head.size


def restarted(live: LiveRoom) -> None:
    live.start_server()
    live.start_agent("tax")
    live.processes.wait_for(live.answers, "the server does not answer")


def again(live: LiveRoom) -> None:
    restarted(live)
    live.processes.wait_for(live.serving, "the enclave does not serve")


def refused(live: LiveRoom, process: str) -> None:
    """Wait until a process refuses the enclave since its start; it does not serve then."""
    log = live.processes.log(process)
    live.processes.wait_for(
        lambda: "STORE_ROLLED_BACK" in live.processes.log(process)[len(log) :], "nobody notices"
    )
    assert not live.serving()


def decide(live: LiveRoom, approver: str, *options: str) -> dict[str, object]:
    """Have an approver say on the command line that the copy goes on."""
    command = [
        "enclave",
        "recover",
        "-p",
        str(live.member("tax", approver)),
        "--why",
        "a dead disk",
    ]
    said = CliRunner().invoke(app, [*command, *options, "--json"])
    assert said.exit_code == 0, said.output
    document: dict[str, object] = json.loads(said.output)
    return document


def asked(live: LiveRoom, least: str) -> Truth | Reason:
    with live.open("bank-a", "desk") as room:
        try:
            return room.check(
                "paid-enough", subject=STEADY, purpose="pre-loan", params={"least": least}
            ).truth
        except SafeRoomError as error:
            return error.reason


def later(live: LiveRoom, least: str) -> Truth | Reason:
    """Ask a while later: every question stands in the log."""
    time.sleep(3)
    return asked(live, least)


@pytest.mark.soak  # it waits a minute: banks date their questions back by one
@pytest.mark.timeout(600)
def test_its_approvers_let_it_go_on_without_a_bit_and_the_auditor_sees_it(tmp_path: Path) -> None:
    """Put back, and lost whole: twice, in one room."""
    with small_room(tmp_path) as live:
        live.say(STEADY)
        folder, copy = live.room / "enclaves" / "tax", tmp_path / "copy"
        first, second = APPROVERS[:2]
        live.processes.stop()
        shutil.copytree(folder, copy)
        again(live)
        assert asked(live, "5000") is Truth.YES
        # 1: the copy is put back.
        live.processes.stop()
        shutil.rmtree(folder)
        shutil.copytree(copy, folder)
        restarted(live)
        refused(live, "server")
        one = decide(live, first)
        assert (one["goes_on"], one["said_so"]) == (False, [first])
        assert not live.serving()
        assert decide(live, second)["goes_on"] is True
        live.processes.wait_for(live.serving, "the enclave does not go on")
        # A bank dates its questions back by a minute, and of that minute nobody knows.
        live.processes.wait_for(
            lambda: later(live, "50000") is Reason.OVER_BUDGET, "it gives budget back", 180
        )
        live.load()
        assert asked(live, "50000") in {Truth.YES, Truth.NO}
        # 2: the folder is lost.
        live.processes.stop()
        shutil.rmtree(folder)
        folder.mkdir(mode=0o700)
        restarted(live)
        refused(live, "agent tax")
        assert decide(live, second)["found"] == 0
        assert decide(live, first)["goes_on"] is True
        live.processes.wait_for(live.serving, "the enclave does not go on")
        live.load()
        with live.open("auditor", "desk") as auditor:
            report = auditor.audit_log()
        assert report.violations == ()
        assert [each.closed_epoch for each in report.recovered] == [1, 2]
