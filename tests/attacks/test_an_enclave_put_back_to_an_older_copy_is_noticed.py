"""Whoever runs the host puts an older copy of an enclave's folder back, to spend budgets twice.

The enclave cannot know. The honest server does, by the log; where the server plays along, the log
that it must keep for its receipts shows two histories to every auditor.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from saferoom_client.chains import Chains
from saferoom_proto.answer import Truth
from saferoom_proto.reasons import Reason, SafeRoomError
from simulator import EnclaveHarness, Sample
from simulator.harness import Verdict
from tests.attacks.smallroom import small_room
from tests.flow.live import LiveRoom, succeeds
from tests.flow.offers import STEADY


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


def restarted(live: LiveRoom) -> None:
    live.start_server()
    live.start_agent("tax")
    live.processes.wait_for(live.answers, "the server does not answer")
