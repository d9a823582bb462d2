"""A room under load whose server and enclaves are killed again and again, as by power cuts.

`make soak` kills it a thousand times; `SAFEROOM_KILLS` names another number. What a bank was told
is held against the log that is left: every answer has its entry, no answer has two, no answer
changed, and every head that an answer came with is one that the log once had.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from saferoom_client.question import Question
from saferoom_client.room import Room
from saferoom_client.values import CheckAnswer
from saferoom_proto import merkle
from saferoom_proto.checkpoint import Checkpoint, Note, parse_proof
from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.receipt import Receipt
from saferoom_proto.statements import Outcome, Release, load
from tests.flow.live import LiveRoom
from tests.flow.offers import LISTED, POOR, STEADY

KILLS: Final = int(os.environ.get("SAFEROOM_KILLS", "1000"))
ASKERS: Final = 8
LONGEST_SECONDS: Final = 1.0
"""A life of the server under load: from nothing asked yet to some hundred answers."""
CUT_OFF: Final = {Reason.UNAVAILABLE, Reason.DEADLINE, Reason.LOCKED, Reason.STALE_HEAD}
"""What a caller is told while the room is down or just up; it says nothing of the question."""
PAGE: Final = 1000
RECENT: Final = 200
ASKED_AGAIN: Final = 0.3
REPORTED: Final = 50
"""Kills between two checks of the whole log."""


@dataclass(frozen=True)
class Word:
    """What is kept of one owner's part of an answer: all that must never change, and its place."""

    release: str
    answer: str | None
    index: int = field(compare=False)
    head: Checkpoint = field(compare=False)


def words(receipt: Receipt) -> tuple[Word, ...]:
    """Give what the enclaves said, the answers, and where they stand."""
    kept: list[Word] = []
    for part in receipt.parts:
        shown = parse_proof(part.proof)
        head = Checkpoint.parse(Note.parse(shown.note).text)
        digest = Envelope.from_json(part.release.encode()).digest
        kept.append(Word(digest, part.answer, shown.index, head))
    return tuple(kept)


@dataclass
class Bank:
    """All that a bank was told, and what it asked without being told."""

    told: dict[str, tuple[Word, ...]] = field(default_factory=dict[str, tuple[Word, ...]])
    untold: dict[str, Question] = field(default_factory=dict[str, Question])
    recent: list[Question] = field(default_factory=list[Question])
    faults: list[str] = field(default_factory=list[str])
    again: int = 0
    rescued: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, question: Question, answer: CheckAnswer) -> None:
        """Keep an answer; one that was told before must be the same to the byte."""
        said, name = words(answer.receipt), question.request_id
        with self.lock:
            self.rescued += self.untold.pop(name, None) is not None
            before = self.told.get(name)
            if before is None:
                self.told[name] = said
                self.recent = [*self.recent[-RECENT:], question]
                return
            self.again += 1
            if before != said:
                self.faults.append(f"another answer to {name}")

    def next(self, room: Room, dice: random.Random) -> Question:
        """Give a new question, or one that was asked before, answered or not."""
        with self.lock:
            if self.untold and dice.random() < ASKED_AGAIN:
                return dice.choice(list(self.untold.values()))
            if self.recent and dice.random() < ASKED_AGAIN:
                return dice.choice(self.recent)
        return room.prepare(
            "steady-payer",
            subject=dice.choice((STEADY, POOR, LISTED)),
            purpose="pre-loan",
            params={"least": "5000"},
        )

    def refused(self, question: Question, error: SafeRoomError) -> None:
        """Keep a question that was cut off, to be asked again; nothing else may be refused."""
        with self.lock:
            if error.reason in CUT_OFF:
                if question.request_id not in self.told:
                    self.untold[question.request_id] = question
            elif error.reason is Reason.EXPIRED:
                self.untold.pop(question.request_id, None)  # asked again too late, by its window
            else:
                self.faults.append(f"{error.reason}: {error.detail}")


def ask(live: LiveRoom, bank: Bank, stop: threading.Event, seed: int) -> None:
    """Ask without a pause until the server is gone."""
    dice = random.Random(seed)
    with live.open("bank-a", "desk") as room:
        while not stop.is_set():
            try:
                question = bank.next(room, dice)
            except SafeRoomError:
                return  # killed before the template was fetched
            try:
                bank.take(question, room.ask(question))
            except SafeRoomError as error:
                bank.refused(question, error)
                if error.reason is Reason.UNAVAILABLE:
                    return


def lived(live: LiveRoom, bank: Bank, seed: int) -> None:
    """Let the room be asked for a while, kill it in the middle, and start it again."""
    stop = threading.Event()
    askers = [
        threading.Thread(target=ask, args=(live, bank, stop, seed * ASKERS + at))
        for at in range(ASKERS)
    ]
    for asker in askers:
        asker.start()
    time.sleep(random.Random(seed).uniform(0, LONGEST_SECONDS))  # when to kill, no wait for a thing
    live.processes.kill("server")
    stop.set()
    for asker in askers:
        asker.join(60)
        assert not asker.is_alive()
    live.start_server()
    live.processes.wait_for(live.answers, "the server answers no call", seconds=120)
    live.processes.wait_for(live.serving, "an enclave is not serving", seconds=120)


@pytest.mark.soak
@pytest.mark.timeout(6 * 3600)
def test_no_answer_is_lost_and_the_log_never_forks(tmp_path: Path) -> None:
    live, bank = LiveRoom(tmp_path, owners=("court", "tax")), Bank()
    try:
        live.start()
        live.equip()
        for kill in range(KILLS):
            lived(live, bank, kill)
            assert not bank.faults, (kill, bank.faults)
            if (kill + 1) % REPORTED == 0 or kill + 1 == KILLS:
                entries = hold_against_the_log(live, bank)
                told = f"{len(bank.told):,} answers, {bank.again:,} told again"
                rescued = f"{bank.rescued:,} after a kill had cut them off"
                line = f"{kill + 1:,} kills: {told}, {rescued}; {entries:,} entries"
                print(line, flush=True)  # noqa: T201 - an hour's progress
    finally:
        live.processes.stop()


def hold_against_the_log(live: LiveRoom, bank: Bank) -> int:
    """Check everything that was told against the whole log as it is now; gives its size."""
    leaves, places = list[bytes](), Counter[tuple[str, str]]()
    found: dict[str, int] = {}
    with live.open("auditor", "desk") as room:
        report = room.audit_log()
        assert report.violations == (), report.violations[:5]
        size = report.checkpoint.size
        for start in range(0, size, PAGE):
            for entry in room.entries(start, min(PAGE, size - start)):
                leaves.append(merkle.leaf_hash(entry.leaf))
                statement = entry.statement
                if statement is None or statement.payload_type != Release.payload_type():
                    continue
                said = load(statement, Release)
                if said.outcome is Outcome.ANSWERED:
                    places[said.owner, said.request] += 1
                found[statement.digest] = entry.index
    assert set(places.values()) == {1}, "a question was answered twice"
    heads = {word.head.size for said in bank.told.values() for word in said}
    roots = dict(roots_at(leaves, heads))
    for word in (each for said in bank.told.values() for each in said):
        assert found[word.release] == word.index, "an answer stands elsewhere than its proof says"
        assert roots[word.head.size] == word.head.root, "the log forked"
    return size


def roots_at(leaves: list[bytes], sizes: set[int]) -> Iterator[tuple[int, bytes]]:
    """Give the root that the log had at each of some sizes."""
    nodes: dict[tuple[int, int], bytes] = {}

    def node(level: int, index: int) -> bytes:
        return nodes[level, index]

    for size, leaf in enumerate(leaves, start=1):
        for level, index, hashed in merkle.completed_nodes(size - 1, leaf, node):
            nodes[level, index] = hashed
        if size in sizes:
            yield size, merkle.root(size, node)
