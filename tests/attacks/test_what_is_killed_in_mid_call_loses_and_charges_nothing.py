"""Enclaves and servers are killed while questions are under way, and callers give up.

Whatever instant it hits: a question that was acknowledged stands in the ledger and is answered
again byte for byte, one that was not may be asked again, and each is charged once.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest

from saferoom_client.question import Question
from saferoom_client.room import Room
from saferoom_client.session import DEADLINE_SECONDS
from saferoom_client.values import CheckAnswer, LogEntry
from saferoom_proto.reasons import SafeRoomError
from saferoom_proto.statements import Release, load
from tests.attacks.smallroom import small_room
from tests.flow.live import LiveRoom
from tests.flow.offers import FICKLE, LISTED, POOR, STEADY, UNKNOWN

ASKED: Final = (STEADY, POOR, LISTED, UNKNOWN, FICKLE)
ROUNDS: Final = (
    ("caller", 0.02),
    ("held enclave", 0.1),
    ("enclave", 0.004),
    ("server", 0.004),
    ("enclave", 0.03),
    ("server", 0.03),
)
"""Who is killed, and how many seconds after the questions were sent: before, within and after the
commits. An enclave that is held does not get to judge any; a caller hangs up after its deadline."""


SOAK_KILLS: Final = int(os.environ.get("SAFEROOM_SOAK_KILLS", "1000"))
PAGE: Final = 1000
"""The most entries of the log that one call gives."""


@pytest.fixture
def live(tmp_path: Path) -> Iterator[LiveRoom]:
    """Open a room with one owner, in which a bank may ask about five firms."""
    with small_room(tmp_path) as live:
        live.say(*ASKED)
        yield live


def prepared(live: LiveRoom) -> list[Question]:
    """Sign a question about each firm; all name the same cut, which is charged once a firm."""
    with live.open("bank-a", "desk") as room:
        return [
            room.prepare("paid-enough", subject=each, purpose="pre-loan", params={"least": "5000"})
            for each in ASKED
        ]


def ask(
    live: LiveRoom, question: Question, deadline: float = DEADLINE_SECONDS
) -> CheckAnswer | SafeRoomError:
    """Ask once; give the answer, or how it failed."""
    desk = live.member("bank-a", "desk")
    try:
        with Room.open(desk, deadline_seconds=deadline) as room:
            return room.ask(question)
    except SafeRoomError as error:
        return error


def enclaves(live: LiveRoom) -> list[int]:
    """Give the processes of the room's enclaves: the server has no other children."""
    server = live.processes.running["server"].pid
    children = Path(f"/proc/{server}/task/{server}/children").read_text("ascii").split()
    return [int(pid) for pid in children]


def kill(live: LiveRoom, victim: str) -> None:
    """Kill without warning, and see to it that it comes back."""
    if victim == "caller":
        return
    gone = enclaves(live)
    if victim == "server":
        live.processes.kill("server")  # its enclaves die with it
        live.start_server()
    else:
        for pid in gone:
            os.kill(pid, signal.SIGKILL)
    live.processes.wait_for(live.answers, "the server does not come back")
    # Until it has noticed the death, the room takes the dead one for serving.
    live.processes.wait_for(lambda: not {*gone} & {*enclaves(live)}, "the dead one is still there")
    live.processes.wait_for(lambda: bool(enclaves(live)) and live.serving(), "no enclave serves")


def entries(live: LiveRoom) -> list[LogEntry]:
    """Have the auditor verify the whole log, from what it saw last, and read it."""
    with live.open("auditor", "desk") as room:
        report = room.verify_log(whole=True)
        assert report.opened == report.entries
        return [
            entry for start in range(0, report.entries, PAGE) for entry in room.entries(start, PAGE)
        ]


def releases(live: LiveRoom) -> list[Release]:
    """Give every release that stands in the log."""
    kind = Release.payload_type()
    statements = [entry.statement for entry in entries(live)]
    return [load(each, Release) for each in statements if each and each.payload_type == kind]


def cut_off(live: LiveRoom, victim: str, delay: float) -> None:
    """Ask about every firm at once, kill in the middle, and hold everybody to their word."""
    questions = prepared(live)
    if victim == "held enclave":
        for pid in enclaves(live):
            os.kill(pid, signal.SIGSTOP)
    with ThreadPoolExecutor(len(questions)) as threads:
        patience = delay if victim == "caller" else DEADLINE_SECONDS
        asking = [threads.submit(ask, live, question, patience) for question in questions]
        time.sleep(delay)
        kill(live, victim)
        first = [each.result() for each in asking]
    # Acknowledged answers stand in the log before anybody asks again.
    recorded = {release.request for release in releases(live)}
    again = [ask(live, question) for question in questions]
    for question, before, after in zip(questions, first, again, strict=True):
        assert isinstance(after, CheckAnswer), after
        if isinstance(before, CheckAnswer):
            assert question.request_id in recorded
            assert before.receipt.to_json() == after.receipt.to_json()


def killed(live: LiveRoom, rounds: Sequence[tuple[str, float]]) -> int:
    """Cut questions off in each of these ways; give how many verdicts the log holds in the end.

    They are held to be one for each question, and to charge each firm once.
    """
    for victim, delay in rounds:
        cut_off(live, victim, delay)
    said = releases(live)
    assert set(Counter(release.request for release in said).values()) == {1}
    first = [each for each in said if [charge.cells_before for charge in each.charges] == [1]]
    assert len(first) == len(ASKED)  # each firm's cut was charged in one of them
    assert {charge.cells_after for each in said for charge in each.charges} == {3}
    places = [release.chain.index for release in said]
    assert len(set(places)) == len(places)  # no enclave has two histories
    assert len({release.endorsement for release in said}) > 1  # it was started anew
    return len(said)


@pytest.mark.soak
def test_killed_at_any_instant(live: LiveRoom) -> None:
    assert killed(live, ROUNDS) == len(ROUNDS) * len(ASKED)


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_killed_at_random_instants_for_long(live: LiveRoom) -> None:
    """A fifth of the soak's kills: server and enclave in turn, each round with a room around it."""
    chance = random.Random(0)
    rounds = [
        (chance.choice(("enclave", "server")), chance.uniform(0, 0.1))
        for _ in range(max(1, SOAK_KILLS // 5))
    ]
    assert killed(live, rounds) == len(rounds) * len(ASKED)
