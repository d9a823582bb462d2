"""An enclave's process and its children: whatever befalls them, it goes on answering."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final, cast

import grpc
import pytest

from saferoom_enclaves.features.computed import FeatureRule
from saferoom_enclaves.journal import Judged
from saferoom_proto.answer import Truth
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import ColumnType, Outcome, Release, load
from simulator import Clock, Sample, sample, tax_csv
from simulator.attended import Attended
from simulator.process import EnclaveProcess
from simulator.sample import TAX_TABLES, Approved, column, ordered, schema, table

ENDLESS: Final = (
    "SELECT a.uscc AS subject, max(a.n - b.n - c.n) AS value FROM filings a"
    " JOIN filings b ON a.uscc = b.uscc JOIN filings c ON a.uscc = c.uscc GROUP BY a.uscc"
)
"""It passes the allow-list. Of 20,000 rows about one subject it makes eight trillion."""
FEATURE_SECONDS: Final = 6.0
PROMISED_SECONDS: Final = 2.0
"""Within which the next question is answered, whatever a child does."""


class Running:
    """The tax office's enclave as a process, with its data and the consents to ask about it."""

    def __init__(self, room: Sample, folder: Path) -> None:
        self.room = room
        config = {"sandbox": True, "max_feature_seconds": FEATURE_SECONDS}
        self.process = EnclaveProcess(room.tax, folder, config)
        self.attended = Attended(room.tax, self.process)
        self.attended.unlock()
        self.attended.follow()

    def load(self) -> None:
        subject = self.room.world.subject(1).uscc
        rows = "".join(f"{subject},{at}\n" for at in range(20_000))
        tables = {"firms": tax_csv(self.room.world), "filings": f"uscc,n\n{rows}".encode()}
        assert self.process.load(tables).snapshot is not None

    def ask(self, asked: Approved | None = None) -> Truth | Reason:
        """Ask about the first firm, and hold the enclave to its promise of time."""
        self.attended.follow()
        question = self.room.question(1, asked=asked)
        start = time.monotonic()
        (outcome,) = self.process.judge([question])
        assert time.monotonic() - start < PROMISED_SECONDS
        if isinstance(outcome, Judged):
            return self.room.bank.open(question, "tax", outcome.sealed).truth
        assert isinstance(outcome, SafeRoomError)
        return outcome.reason

    def epoch_of_an_answer(self) -> int:
        """Ask something, which must be answered, and give the snapshot it was answered from."""
        self.attended.follow()
        (outcome,) = self.process.judge([self.room.question(1)])
        assert isinstance(outcome, Judged), outcome
        release = load(outcome.entry.statement, Release)
        assert release.outcome is Outcome.ANSWERED
        assert release.store is not None
        return release.store.epoch

    def store_epoch(self) -> int:
        store = self.process.store
        assert store is not None
        return store.epoch

    @property
    def keeper(self) -> int:
        """The process that makes the fork server anew."""
        (child,) = children_of(self.process.process.pid)
        return child

    @property
    def fork_server(self) -> int:
        (child,) = children_of(self.keeper)
        return child

    def another_fork_server(self, before: int) -> bool:
        """Tell whether there is another one than before."""
        return children_of(self.keeper) not in ([], [before])

    def wait_for(self, happened: Callable[[], bool], seconds: float = 30.0) -> None:
        deadline = time.monotonic() + seconds
        while not happened():
            assert time.monotonic() < deadline, self.process.log.read_text()
            time.sleep(0.05)

    def logged(self, *words: str) -> bool:
        lines = self.process.log.read_text().splitlines()
        return any(all(word in line for word in words) for line in lines)


def children_of(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def libraries(pid: int) -> set[str]:
    maps = Path(f"/proc/{pid}/maps").read_text()
    return {name for name in ("duckdb", "libcrypto", "_rust", "cygrpc", "numpy") if name in maps}


def begun(folder: Path) -> Running:
    """Start one, with filings in its schema and a consent; nothing is loaded yet."""
    room = sample(clock=Clock())
    filings = table("filings", column("n", ColumnType.BIGINT, 3))
    room.tax.publish_schema(schema("tax", *TAX_TABLES, filings, version=2))
    room.consent(1)
    return Running(room, folder)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    own = begun(tmp_path)
    with own.process:
        own.load()
        yield own


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Give one that goes on after each test as before it."""
    own = begun(tmp_path_factory.mktemp("lasting"))
    with own.process:
        own.load()
        yield own


def test_the_database_is_in_neither_process_that_stays(lasting: Running) -> None:
    assert lasting.ask() is Truth.YES
    assert libraries(lasting.fork_server) == set()
    assert "duckdb" not in libraries(lasting.process.process.pid)
    assert "cygrpc" in libraries(lasting.process.process.pid)
    level = lasting.process.whereabouts().sandbox_level
    assert level == lasting.process.greeting["sandbox_level"]


def test_a_feature_without_end_is_stopped_and_named_and_answers_go_on(running: Running) -> None:
    running.room.tax.define(ordered("tax", "endless", ENDLESS, ["1"]))
    start = time.monotonic()
    assert running.ask() is Truth.YES
    assert time.monotonic() - start < FEATURE_SECONDS  # it is being computed meanwhile
    while not running.logged("feature not computed", "tax.endless", FeatureRule.TIME):
        assert running.ask() is Truth.YES
        assert time.monotonic() - start < 10 * FEATURE_SECONDS
    assert running.ask() is Truth.YES


def test_a_changed_feature_is_answered_from_no_older_index(running: Running) -> None:
    room = running.room
    assert running.ask() is Truth.YES
    os.kill(running.fork_server, signal.SIGSTOP)
    rows = "SELECT uscc AS subject, count(uscc) AS value FROM firms GROUP BY uscc"
    room.tax.define(ordered("tax", "rows", rows, ["2"], level=1))
    asked = room.approved("rows", "tax.rows >= 2")
    assert running.ask() is Truth.YES  # of what did not change
    assert running.ask(asked) is Reason.NO_DATA
    os.kill(running.fork_server, signal.SIGCONT)
    running.wait_for(lambda: running.ask(asked) is not Reason.NO_DATA)


def test_a_load_under_way_holds_no_question_up(lasting: Running) -> None:
    os.kill(lasting.fork_server, signal.SIGSTOP)
    with ThreadPoolExecutor(1) as pool:
        loading = pool.submit(lasting.load)
        for _ in range(3):
            assert lasting.ask() is Truth.YES
        assert not loading.done()
        os.kill(lasting.fork_server, signal.SIGCONT)
        loading.result(60)
    assert lasting.ask() is Truth.YES


def test_no_question_is_refused_while_a_load_takes_the_place_of_another(running: Running) -> None:
    bad = {"firms": b"uscc,vat,arrears,rating\nno code,1,true,A\n", "filings": b"uscc,n\n"}
    epochs: list[int] = []
    with ThreadPoolExecutor(1) as pool:
        for load_one, is_taken in (
            (running.load, True),
            (partial(running.process.load, bad), False),
        ):
            before = running.store_epoch()
            loading, asked = pool.submit(load_one), len(epochs)
            while not loading.done() or len(epochs) - asked < 3:
                epochs.append(running.epoch_of_an_answer())
            loading.result()
            assert running.store_epoch() == before + is_taken
            epochs.append(running.epoch_of_an_answer())
    # Every answer is of one whole snapshot, and the new one took the old one's place once.
    assert epochs == sorted(epochs)
    assert set(epochs) == {1, 2}
    assert epochs[-1] == 2


def test_a_killed_fork_server_comes_back_by_itself(lasting: Running) -> None:
    for _ in range(3):
        before = lasting.fork_server
        os.kill(before, signal.SIGKILL)
        assert lasting.ask() is Truth.YES
        lasting.wait_for(lambda before=before: lasting.another_fork_server(before))
        lasting.load()
        assert lasting.ask() is Truth.YES
    assert lasting.process.whereabouts().sandbox_missing == tuple(
        cast("list[str]", lasting.process.greeting["sandbox_missing"])
    )


def test_a_load_under_way_fails_with_its_fork_server_and_the_next_does_not(
    lasting: Running,
) -> None:
    before = lasting.fork_server
    os.kill(before, signal.SIGSTOP)
    with ThreadPoolExecutor(1) as pool:
        loading = pool.submit(lasting.load)
        assert lasting.ask() is Truth.YES
        os.kill(before, signal.SIGKILL)
        with suppress(grpc.RpcError):  # the order was taken by the next one, or died with this one
            loading.result(60)
    lasting.wait_for(lambda: lasting.another_fork_server(before))
    lasting.load()
    assert lasting.ask() is Truth.YES


def test_features_that_a_killed_fork_server_did_not_compute_are_computed_by_the_next(
    running: Running,
) -> None:
    rows = "SELECT uscc AS subject, count(uscc) AS value FROM firms GROUP BY uscc"
    before = running.fork_server
    os.kill(before, signal.SIGSTOP)
    running.room.tax.define(ordered("tax", "rows", rows, ["2"], level=1))
    asked = running.room.approved("rows", "tax.rows >= 2")
    assert running.ask(asked) is Reason.NO_DATA
    os.kill(before, signal.SIGKILL)
    running.wait_for(lambda: running.ask(asked) is Truth.NO)


def test_an_enclave_that_can_have_no_fork_server_ends_and_goes_on_when_started_anew(
    running: Running, tmp_path: Path
) -> None:
    os.kill(running.keeper, signal.SIGKILL)
    assert running.process.process.wait(30) == 1
    assert running.logged("its fork server is gone")
    again = Running(running.room, tmp_path)
    with again.process:
        assert again.process.whereabouts().has_data
        assert again.ask() is Truth.YES
        again.load()
        assert again.ask() is Truth.YES


def test_a_killed_enclave_leaves_no_process_behind(running: Running) -> None:
    left = (running.keeper, running.fork_server)
    running.process.kill()
    running.wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in left))
    assert running.process.process.returncode == -signal.SIGKILL
