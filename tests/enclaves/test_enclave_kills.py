"""An enclave that is killed at any instant has lost nothing that it acknowledged."""

from __future__ import annotations

import os
import random
import threading
import time
from contextlib import suppress
from pathlib import Path

import grpc
import pytest

from saferoom_enclaves.journal import Judged
from saferoom_proto.answer import Truth
from saferoom_proto.dsse import Envelope
from saferoom_proto.statements import Release, load
from simulator import Clock, Firm, Sample, sample, tax_csv
from simulator.attended import Attended
from simulator.process import EnclaveProcess

KILLS = 6
SOAK_KILLS = int(os.environ.get("SAFEROOM_SOAK_KILLS", "1000"))
OPENING = 0.3
"""Of the kills at any instant, how many are followed by one while it opens."""
SUBJECTS = 48
ASKERS = 4
REPEATS_UNDER_ONE_HEAD = 200
"""Seconds even on a loaded machine; a head counts for a minute."""


class Askers:
    """Ask one question after the other, from several threads, until the enclave is gone."""

    def __init__(self, process: EnclaveProcess, questions: list[Envelope]) -> None:
        self._process = process
        self._questions = iter(questions)
        self._lock = threading.Lock()
        self.answered: dict[str, Judged] = {}
        self._threads = [threading.Thread(target=self._ask) for _ in range(ASKERS)]

    def until_killed(self, after: int) -> None:
        """Kill the enclave once so many answers are there, with others under way."""
        for thread in self._threads:
            thread.start()
        while len(self.answered) < after and any(each.is_alive() for each in self._threads):
            self._threads[0].join(0.001)
        self._kill()

    def until_killed_at(self, seconds: float) -> None:
        """Kill the enclave so long after the first question, whatever it does then."""
        for thread in self._threads:
            thread.start()
        time.sleep(seconds)
        self._kill()

    def _kill(self) -> None:
        self._process.kill()
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        while True:
            with self._lock:
                question = next(self._questions, None)
            if question is None:
                return
            (outcome,) = self._process.judge([question])
            if not isinstance(outcome, Judged):
                return
            self.answered[question.digest] = outcome


def started(room: Sample, folder: Path) -> tuple[EnclaveProcess, Attended]:
    process = EnclaveProcess(room.tax, folder)
    attended = Attended(room.tax, process)
    attended.unlock()
    attended.follow()
    return process, attended


def killed_while_it_opens(room: Sample, folder: Path, seconds: float) -> None:
    """Start the enclave and kill it so long after it listens, whatever it does then."""
    process = EnclaveProcess(room.tax, folder)
    attended = Attended(room.tax, process)

    def open_it() -> None:
        with suppress(grpc.RpcError, ValueError):  # it is killed; its channel is closed
            attended.unlock()
            attended.follow()

    opening = threading.Thread(target=open_it)
    opening.start()
    opening.join(seconds)
    process.kill()
    opening.join()


def killed_often(folder: Path, kills: int, *, at_any_instant: bool) -> int:
    """Kill an enclave under load so many times; then hold it to all that it ever answered."""
    room = sample(clock=Clock())
    firms = {serial: Firm("120000", arrears=False, rating="A") for serial in range(1, SUBJECTS + 1)}
    for serial in firms:
        room.consent(serial)
    process, attended = started(room, folder)
    process.load({"firms": tax_csv(room.world, firms)})
    attended.follow()
    chance = random.Random(0)
    acknowledged: dict[str, Judged] = {}
    asked: dict[str, Envelope] = {}
    for _ in range(kills):
        questions = [room.question(serial) for serial in chance.sample(list(firms), 12)]
        if len(asked) < SUBJECTS:  # at first about everybody
            questions = [room.question(serial) for serial in firms]
        asked |= {question.digest: question for question in questions}
        askers = Askers(process, questions)
        if at_any_instant:
            askers.until_killed_at(chance.uniform(0, 0.06))
            if chance.random() < OPENING:
                killed_while_it_opens(room, folder, chance.uniform(0, 0.3))
        else:
            askers.until_killed(after=chance.randrange(SUBJECTS // 2))
        acknowledged |= askers.answered
        process, attended = started(room, folder)
    paid = held_to_its_word(room, attended, process, asked, acknowledged)
    process.stop()
    return paid


def held_to_its_word(
    room: Sample,
    attended: Attended,
    process: EnclaveProcess,
    asked: dict[str, Envelope],
    acknowledged: dict[str, Judged],
) -> int:
    """Hold an enclave to what it acknowledged; give how many prices were paid."""
    # Whatever was acknowledged is repeated byte for byte, across all the kills. Every other
    # question is answered now, if it was not committed unseen; each price is paid once.
    final: dict[str, Judged | Exception] = {}
    for count, (digest, question) in enumerate(asked.items()):
        if count % REPEATS_UNDER_ONE_HEAD == 0:
            attended.follow()
        (final[digest],) = process.judge([question])
    releases = [_release(outcome) for outcome in final.values()]
    indexes = sorted(release.chain.index for release in releases)
    assert len(set(indexes)) == len(indexes)
    assert process.whereabouts().chain_length == indexes[-1] + 1
    paid = [
        release.request
        for release in releases
        if any(charge.cells_before != charge.cells_after for charge in release.charges)
    ]
    assert [digest for digest in acknowledged if final[digest] != acknowledged[digest]] == []
    some = next(iter(acknowledged))
    assert room.bank.open(asked[some], "tax", acknowledged[some].sealed).truth is Truth.YES
    return len(paid)


def test_of_six_kills_none_loses_an_answer_or_charges_twice(tmp_path: Path) -> None:
    assert killed_often(tmp_path, KILLS, at_any_instant=False) == SUBJECTS


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_of_a_thousand_kills_none_loses_an_answer_or_charges_twice(tmp_path: Path) -> None:
    """At random instants: under load, while it starts, and while it opens its state and store."""
    assert killed_often(tmp_path, SOAK_KILLS, at_any_instant=True) == SUBJECTS


def _release(outcome: Judged | Exception) -> Release:
    assert isinstance(outcome, Judged)
    return load(outcome.entry.statement, Release)
