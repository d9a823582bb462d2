"""Throw-away children: they cannot get out, and nothing that they do stops the enclave."""

from __future__ import annotations

import os
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from saferoom_enclaves.children.bounds import Ending
from saferoom_enclaves.children.workshop import ChildError, Workshop
from saferoom_enclaves.vault import freeze
from saferoom_proto.reasons import Reason, SafeRoomError
from simulator.children import MEMORY
from tests.enclaves.test_sandbox import FILES, FORBIDDEN_CALLS, MACHINE, offered
from tests.enclaves.wild_room import BOUNDS, CANARY, Room, childless, opened

soak = pytest.mark.soak


@pytest.fixture(scope="module", params=[True, False], ids=["sandboxed", "no sandbox"])
def room(request: pytest.FixtureRequest) -> Generator[Room]:
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        made = opened(Path(name), sandbox=request.param)
        yield made
        made.workshop.close()
        assert made.process.wait(10) == 0


@pytest.fixture
def memory() -> Generator[int]:
    """Give memory that nobody can write, as a store is."""
    memfd = os.memfd_create("store", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.write(memfd, CANARY.encode())
    freeze(memfd)
    yield memfd
    os.close(memfd)


# What a child cannot do.


def test_every_way_out_of_a_child_is_closed(closed: Room, memory: int, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(CANARY)
    column = 0 if MACHINE == "x86_64" else 1
    found: dict[str, str] = closed.run(
        "escape",
        memory,
        secret=str(secret),
        scratch=str(closed.scratch),
        enclave=os.getpid(),
        forbidden_calls={name: both[column] for name, both in FORBIDDEN_CALLS.items()},
    )
    assert closed.workshop.confinement.level == offered()
    refusals = {"EPERM", "EACCES"}
    beyond = set[str]()
    if offered() < 2:
        beyond = {way for way in found if "of the" in way or "scratch" in way or "folder" in way}
        beyond |= FILES | {"list /proc"}
    open_ways = {way: end for way, end in found.items() if end not in refusals}
    assert {way: end for way, end in open_ways.items() if way not in beyond} == {}
    assert len(found) >= 70
    assert list(closed.scratch.iterdir()) == []
    assert not (tmp_path / "new").exists()


def test_a_child_has_its_channel_and_what_came_with_its_job_and_nothing_else(
    closed: Room, memory: int
) -> None:
    # Input, output and error go nowhere; then its channel; then the store.
    assert len(closed.run("descriptors")) == 4
    assert len(closed.run("descriptors", memory)) == 5


def test_the_fork_server_closes_the_files_of_others_too(closed: Room) -> None:
    status = Path(f"/proc/{closed.process.pid}/status").read_text()
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert (fields["Seccomp"], fields["NoNewPrivs"], fields["Threads"]) == ("2", "1", "1")
    assert int(fields["CapEff"], 16) == int(fields["CapBnd"], 16) == 0


# What bounds it, from outside.


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT range(1000000000)",
        "SELECT repeat('x', 3000000000)",
        "SELECT list(range) FROM range(2000000000)",
        "SELECT string_agg(a.range::VARCHAR, ',') FROM range(100000) a, range(100000) b",
        "SELECT * FROM range(100000000) a ORDER BY random()",
    ],
)
def test_a_bomb_ends_within_its_memory(room: Room, sql: str) -> None:
    tight = replace(BOUNDS, address_space_bytes=768 << 20, wall_seconds=30.0)
    try:
        assert room.run("sql", sql=sql, bounds=tight) in {"OutOfMemoryException", "MemoryError"}
    except ChildError as ended:
        assert ended.ending is Ending.CRASHED
    assert room.answers()


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT sum(a.range % 7 + b.range % 5) FROM range(10000000) a, range(10000000) b",
        "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT max(n) FROM r",
    ],
)
def test_endless_work_is_stopped_by_the_processor_time_it_used(room: Room, sql: str) -> None:
    ended = room.fails("sql", sql=sql, bounds=replace(BOUNDS, cpu_seconds=1))
    assert (ended.reason, ended.ending) == (Reason.DEADLINE, Ending.PROCESSOR_TIME)
    assert ended.detail == "stopped after 1 s of processor time"
    assert room.answers()


@pytest.mark.parametrize("do", ["sleep", "compute", "babble"])
def test_a_child_that_hangs_is_killed_in_time(room: Room, do: str) -> None:
    start = time.monotonic()
    ended = room.fails(do, bounds=replace(BOUNDS, wall_seconds=0.5))
    assert (ended.reason, ended.ending) == (Reason.DEADLINE, Ending.TIME)
    assert time.monotonic() - start < 5
    assert room.answers()
    assert childless(room)


def test_a_child_that_says_nothing_for_too_long_is_given_up_and_killed(room: Room) -> None:
    ended = room.fails("sleep", quiet_seconds=0.2)
    assert (ended.ending, ended.detail) == (Ending.TIME, "stopped after 0.2 s")
    assert room.answers()
    assert childless(room)


def test_a_child_that_answers_and_stays_is_killed(room: Room) -> None:
    assert room.fails("linger").ending is Ending.CANCELLED
    assert room.answers()
    assert childless(room)


def test_output_is_bounded(room: Room) -> None:
    memfd = os.memfd_create("output")
    found = room.run("write", memfd, bytes=(1 << 20) + 1)
    assert (found, os.fstat(memfd).st_size) == ("done", 1 << 20)  # cut short
    assert room.run("write", memfd, bytes=1) == "EFBIG"
    os.close(memfd)


def test_memory_is_bounded(room: Room) -> None:
    assert room.run("allocate", bytes=2 << 30) == "MemoryError"


@pytest.mark.parametrize("nesting", [500, 20_000])
def test_deep_nesting_ends_somehow_and_we_go_on(room: Room, nesting: int) -> None:
    sql = "SELECT " + "(" * nesting + "1" + ")" * nesting
    try:
        room.run("sql", sql=sql)
    except ChildError as ended:
        assert ended.ending in {Ending.CRASHED, Ending.TIME}
    assert room.answers()


# What it may answer.


def descriptors() -> list[Path]:
    """Name our own descriptors; the last is the listing's own."""
    return sorted(Path("/proc/self/fd").iterdir())


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"\0",
        b"\0\0\0\x09short",
        b"\xff\xff\xff\xff",
        (17 << 20).to_bytes(4, "big") + b"x" * 100,
    ],
    ids=["nothing", "part of a length", "cut short", "the longest", "too long"],
)
def test_garbage_is_refused(room: Room, said: bytes) -> None:
    assert room.fails("say", bytes=said.hex()).reason is Reason.INTERNAL
    assert room.answers()


def test_more_descriptors_than_may_come_are_refused_and_closed(room: Room, memory: int) -> None:
    before = descriptors()
    room.frame("files", memory, count=1).close()
    assert room.fails("files", memory, count=2).reason is Reason.INTERNAL
    assert descriptors() == before


def test_an_error_in_a_child_says_nothing_of_it(room: Room) -> None:
    ended = room.fails("exit", code=3)
    assert str(ended) == "INTERNAL: a child's process broke down"
    assert room.fails(CANARY).detail == "a child's process broke down"


# Crashes, and the end of the fork server.


def crash(room: Room, times: int) -> None:
    before = descriptors()
    for _ in range(times):
        assert room.fails("crash").ending is Ending.CRASHED
    assert childless(room)
    assert descriptors() == before


def test_twenty_crashes_leave_us_up(room: Room) -> None:
    crash(room, 20)
    assert room.answers()


@soak
def test_a_thousand_crashes_leave_us_up(room: Room) -> None:
    crash(room, 1000)
    assert room.answers()


def test_a_child_killed_by_somebody_else_is_told_as_such(closed: Room) -> None:
    with pytest.raises(ChildError) as caught:
        in_time(lambda: closed.frame("sleep"), lambda: os.kill(closed.children[0], signal.SIGKILL))
    assert caught.value.ending is Ending.CRASHED
    assert closed.answers()


def test_without_its_fork_server_nothing_is_done_and_it_is_said(closed: Room) -> None:
    pids: list[int] = []

    def kill() -> None:
        pids.extend(closed.children)
        closed.process.kill()

    with pytest.raises(ChildError) as caught:
        in_time(lambda: closed.frame("sleep"), kill)
    assert caught.value.reason is Reason.UNAVAILABLE
    assert not closed.workshop.is_there
    with pytest.raises(SafeRoomError) as gone:
        closed.frame("environment")
    assert str(gone.value).startswith("UNAVAILABLE: the fork server is gone for good")
    deadline = time.monotonic() + 5
    while any(Path(f"/proc/{pid}").exists() for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert [pid for pid in pids if Path(f"/proc/{pid}").exists()] == []  # they ended with it


def in_time(call: Callable[[], object], meanwhile: Callable[[], None]) -> None:
    """Call, and do something once a child is under way."""
    from threading import Timer  # noqa: PLC0415

    timer = Timer(0.5, meanwhile)
    timer.start()
    try:
        call()
    finally:
        timer.join()


def test_the_fork_server_and_its_children_end_with_the_enclave(folder: Path) -> None:
    made = opened(folder, sandbox=True)
    with pytest.raises(ChildError):
        in_time(lambda: made.frame("sleep"), made.workshop.close)
    assert made.process.wait(10) == 0


def test_a_stopped_fork_server_holds_nobody_for_ever(
    closed: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("saferoom_enclaves.children.workshop._SLACK_SECONDS", 0.2)
    os.kill(closed.process.pid, signal.SIGSTOP)
    ended = closed.fails("environment", bounds=replace(BOUNDS, wall_seconds=0.3))
    assert ended.reason is Reason.DEADLINE
    os.kill(closed.process.pid, signal.SIGCONT)
    assert closed.run("environment") is not None


@pytest.mark.parametrize(
    "faulty",
    [
        {"address_space_bytes": 0},
        {"cpu_seconds": -1},
        {"wall_seconds": float("inf")},
        {"output_bytes": 0},
    ],
)
def test_bounds_that_bound_nothing_are_refused(faulty: dict[str, Any]) -> None:
    with pytest.raises(SafeRoomError) as caught:
        replace(BOUNDS, **faulty)
    assert caught.value.reason is Reason.BAD_CONFIG


def test_a_fork_server_that_is_not_there_is_named() -> None:
    from saferoom_enclaves.children.forkserver import Terms  # noqa: PLC0415

    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    theirs.close()
    with ours, pytest.raises(SafeRoomError, match="UNAVAILABLE: the fork server is gone"):
        Workshop(ours, Terms(False, (), "/dev/shm", 1 << 30))
