from __future__ import annotations

import json
import random
import resource
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from saferoom.ledger.entries import Position
from saferoom.ledger.ledger import Ledger
from saferoom.state.database import Database
from saferoom_proto.checkpoint import open_checkpoint, parse_proof
from saferoom_proto.merkle import verify_consistency
from saferoom_proto.reasons import Reason, SafeRoomError
from tests.server.ledger.made_up import KEY, ORIGIN, consent, leaf_of, open_ledger, release

KILLS = 6
PER_KILL = 10_000
"""Statements are numbered from here on after each kill, so that none is made twice."""


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """What the killed process told of an entry."""

    number: int
    index: int
    size: int
    note: str


def append_until_killed(path: Path, first: int, acknowledgements: int) -> list[Acknowledged]:
    """Let another process append, and kill it once it has told of so many entries."""
    argv = [sys.executable, "-m", "tests.server.ledger.appending", str(path), str(first)]
    told: list[Acknowledged] = []
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for line in process.stdout:  # what it told before it died is still in the pipe
            told.append(Acknowledged(*json.loads(line)))
            if len(told) == acknowledgements:
                process.kill()
    assert process.returncode == -signal.SIGKILL
    return told


def assert_kept(ledger: Ledger, told: list[Acknowledged]) -> None:
    newest = open_checkpoint(ledger.checkpoint(), ORIGIN, KEY.verify_key)
    for word in told:
        entry = consent(word.number) if word.number % 2 else release(word.number)
        (stored,) = ledger.entries(word.index, 1)
        assert stored.statement_digest == entry.statement_digest
        assert stored.statement is not None
        promised = Position(word.index, word.size, word.note)
        for position in (promised, ledger.position(word.index)):
            proof = parse_proof(ledger.tlog_proof(position))
            proof.verify(leaf_of(entry), ORIGIN, KEY.verify_key)
    for note in {word.note for word in told}:
        earlier = open_checkpoint(note, ORIGIN, KEY.verify_key)
        path = ledger.consistency(earlier.size, newest.size)
        verify_consistency(earlier.size, newest.size, path, earlier.root, newest.root)


async def test_six_kills_lose_nothing_that_was_acknowledged(path: Path) -> None:
    randomness = random.Random(9)
    told: list[Acknowledged] = []
    size = 0
    for kill in range(KILLS):
        new = append_until_killed(path, kill * PER_KILL, randomness.randint(1, 150))
        told += new
        with Database.open(path) as database:
            # Opening recomputes the whole log: entries without a gap, tree, streams, checkpoint.
            async with await open_ledger(database) as ledger:
                assert_kept(ledger, told if kill == KILLS - 1 else new)
                size = ledger.tip().size
    assert len({word.index for word in told}) == len(told) <= size
    with closing(sqlite3.connect(path)) as raw:
        counts = {
            table: raw.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("entry", "salt", "statement", "stream", "request", "answer")
        }
    assert counts["entry"] == counts["salt"] == counts["statement"] == size
    assert counts["request"] == counts["answer"] == size - counts["stream"]


async def test_a_full_disk_refuses_and_loses_nothing(database: Database) -> None:
    async with await open_ledger(database) as ledger:
        await ledger.append(consent(0))
        pages = database.writer.exec_driver_sql("PRAGMA page_count").scalar_one()
        database.writer.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        database.writer.rollback()
        number = 1
        refusal: SafeRoomError | None = None
        while refusal is None:
            try:
                await ledger.append(release(number))
                number += 1
            except SafeRoomError as error:
                refusal = error
        assert refusal.reason is Reason.UNAVAILABLE
        assert ledger.tip().size == number
        database.writer.exec_driver_sql("PRAGMA max_page_count = 100000")
        database.writer.rollback()
        # Nothing had reached the commit, so there is no doubt, and room again is room again.
        assert (await ledger.append(release(number))).index == number
    async with await open_ledger(database) as ledger:
        assert ledger.tip().size == number + 1


@pytest.fixture
def bound_files() -> Iterator[Callable[[int | None], None]]:
    """Give the function that bounds the size of files this process writes; None: as before."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def bound(size: int | None) -> None:
        limits = before if size is None else (size, before[1])
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    yield bound
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_a_commit_that_fails_stops_the_ledger_until_it_is_reopened(
    database: Database, path: Path, bound_files: Callable[[int | None], None]
) -> None:
    log = path.with_name("room.db-wal")
    async with await open_ledger(database) as ledger:
        await ledger.append(consent(0))
        bound_files(log.stat().st_size)
        for number in (1, 2):
            with pytest.raises(SafeRoomError) as refusal:
                await ledger.append(consent(number))
            assert refusal.value.reason is Reason.UNAVAILABLE
        bound_files(None)
        with pytest.raises(SafeRoomError, match="open the ledger again"):
            await ledger.append(consent(3))
        assert ledger.tip().size == 1
    async with await open_ledger(database) as ledger:
        index = (await ledger.append(consent(4))).index
        assert ledger.entries(0, 1)[0].statement_digest == consent(0).statement_digest
        assert ledger.entries(index, 1)[0].statement_digest == consent(4).statement_digest
