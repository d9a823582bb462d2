"""A server killed in the middle of calls: nothing acknowledged is lost, nothing recorded twice."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from pathlib import Path

import grpc
import pytest

from saferoom_proto.dsse import Envelope
from saferoom_proto.statements import Release, load
from saferoom_proto.v1 import check_pb2, identity_pb2, ledger_pb2
from saferoom_proto.wire import envelope_from_proto
from simulator import World, sample
from tests.server.conftest import Ready, make_ready
from tests.server.room.opened import SECONDS, OpenedRoom, make_room
from tests.server.room.served import served

Answers = dict[str, check_pb2.CheckResponse]


async def ask_all(room: OpenedRoom, questions: list[Envelope]) -> Answers:
    """Ask at once; gives the answers that came."""
    answers: Answers = {}

    async def ask(question: Envelope) -> None:
        try:
            answers[question.digest] = await room.ask("bank-a", question)
        except grpc.aio.AioRpcError as error:
            assert error.code() is grpc.StatusCode.UNAVAILABLE, error

    await asyncio.gather(*(ask(question) for question in questions))
    return answers


async def releases(room: OpenedRoom) -> list[str]:
    """List the requests of all releases in the log, as an auditor sees them."""
    await room.enrol("auditor", identity_pb2.ROLE_AUDITOR)
    told = await room.calls("auditor").ledger.ListEntries(
        ledger_pb2.ListEntriesRequest(start=0, limit=1000), timeout=SECONDS
    )
    statements = [envelope_from_proto(entry.statement) for entry in told.entries]
    return [
        load(each, Release).request
        for each in statements
        if each.payload_type == Release.payload_type()
    ]


@pytest.mark.parametrize(
    "after_seconds",
    [0.0, *(pytest.param(seconds, marks=pytest.mark.soak) for seconds in (0.02, 0.05, 0.1))],
)
async def test_a_repeat_after_a_kill_is_the_same_bytes_and_nothing_is_recorded_twice(
    tmp_path: Path, after_seconds: float
) -> None:
    said = sample("killed")
    folder = make_room(tmp_path / "room", said.world)
    async with served(folder, said.world) as (room, server):
        ready: Ready = await make_ready(room, said)
        before = await ask_all(room, [ready.question() for _ in range(5)])
        assert len(before) == 5
        first = list(before)
        questions = [ready.question() for _ in range(20)]
        asking = asyncio.create_task(ask_all(room, questions))
        await asyncio.sleep(after_seconds)
        await server.kill()
        before |= await asking
    async with served(folder, said.world) as (room, server):
        for owner in (said.tax, said.court):
            room.attend(owner)
            await room.until_state(owner.name, "serving")
        after = await ask_all(room, questions)
        assert len(after) == len(questions)
        again = await ask_all(room, questions)
        assert again == after
        for digest, answer in before.items():
            if digest in after:
                assert after[digest] == answer
        recorded = await releases(room)
        assert sorted(recorded) == sorted({*first, *after})


def test_the_server_starts_soon_is_small_and_ends_cleanly(tmp_path: Path) -> None:
    folder = make_room(tmp_path / "room", World("idle"))
    began = time.monotonic()
    with subprocess.Popen(
        [sys.executable, "-m", "saferoom", str(folder)], stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        started = time.monotonic() - began
        assert '"event": "room open"' in line, line
        status = Path(f"/proc/{process.pid}/status").read_text()
        resident = next(each for each in status.splitlines() if each.startswith("VmRSS"))
        process.send_signal(signal.SIGTERM)
        rest = process.stderr.read()
    assert process.returncode == 0, rest
    assert '"event": "room closed"' in rest
    assert int(resident.split()[1]) * 1024 < 150_000_000
    assert started < 15  # 1.4 s alone; this machine may be running every other test too
