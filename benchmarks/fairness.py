"""A good bank's checks alone, and beside another bank that floods the room or holds slow streams.

    .venv/bin/python -m benchmarks.fairness [--checks 400] [--rounds 3]

Each kind of company is measured in turn with being alone, several rounds, so that what else runs
on the machine meets both alike; the figures are medians over the rounds. The flood is at most
10,000 requests, 256 at a time over 4 connections, from a process of its own that yields the
processor to the others (nice 19), as if it were elsewhere. Everything is on the loopback.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import grpc
import uvloop
from grpc_health.v1 import health_pb2
from rich.console import Console
from rich.table import Table

from benchmarks.checks import Bench
from benchmarks.gauges import Call, Row, children, measure, processor_seconds
from saferoom_client.aio import AsyncRoom
from saferoom_client.channel import open_channel
from saferoom_client.demo.data import read_records
from saferoom_client.demo.processes import Processes
from saferoom_client.demo.stage import Stage
from saferoom_client.profile import Profile
from saferoom_proto.dsse import Envelope, sign
from saferoom_proto.encoding import b64
from saferoom_proto.keys import SigningKey
from saferoom_proto.statements import Purpose
from saferoom_proto.v1 import check_pb2, identity_pb2
from saferoom_proto.wire import envelope_to_proto

IN_FLIGHT: Final = 8
FLOOD: Final = 10_000
CONNECTIONS: Final = 4
PER_CONNECTION: Final = 64
STREAMS: Final = 12
KINDS: Final = (
    "slow streams",
    "malformed",
    "unauthorised",
    "wrong signature",
    "oversized",
    "off-grid",
    "all kinds",
)
SECONDS: Final = 30.0
_CHECK: Final = "/saferoom.v1.CheckService/Check"
_ENROL: Final = "/saferoom.v1.IdentityService/EnrolOrganisation"
_WATCH: Final = "/grpc.health.v1.Health/Watch"

Bad = Callable[[grpc.aio.Channel], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class Found:
    """What was measured of one kind of company.

    Attributes:
        alone: the good bank by itself.
        beside: in this company.
        share: of a processor, that the company alone takes of the room.
    """

    alone: Row
    beside: Row
    share: float

    @property
    def rate(self) -> float:
        """The rate beside, of that alone."""
        return self.beside.per_second / self.alone.per_second


def requests(kind: str, question: Envelope, key: SigningKey) -> Iterator[Bad]:
    """Make bad requests of a kind, each another one, without end."""
    stranger = SigningKey.generate()
    nonce = re.search(rb'"nonce":"([^"]+)"', question.payload)
    if nonce is None:
        raise ValueError("the question has no nonce")

    def asked(payload: bytes, by: SigningKey) -> bytes:
        fresh = payload.replace(nonce[1], b64(os.urandom(16)).encode())
        envelope = envelope_to_proto(sign(question.payload_type, fresh, by))
        return check_pb2.CheckRequest(request=envelope).SerializeToString()

    off = question.payload.replace(b'"floor":"3000"', b'"floor":"3001"')
    organisation = identity_pb2.Organisation(
        name="x", title_en="x", title_zh="x", roles=[identity_pb2.ROLE_OWNER]
    )
    enrol = identity_pb2.EnrolOrganisationRequest(organisation=organisation).SerializeToString()
    made: dict[str, Callable[[], tuple[str, bytes]]] = {
        "malformed": lambda: (_CHECK, b"\xff" * 200),
        "unauthorised": lambda: (_ENROL, enrol),
        "wrong signature": lambda: (_CHECK, asked(question.payload, stranger)),
        "oversized": lambda: (_CHECK, bytes(2 << 20)),
        "off-grid": lambda: (_CHECK, asked(off, key)),
    }
    kinds = list(made) if kind == "all kinds" else [kind]
    for each in itertools.cycle(kinds):
        method, data = made[each]()
        yield partial(_send, method, data)


async def _send(method: str, data: bytes, channel: grpc.aio.Channel) -> bytes:
    call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(method)
    return await call(data, timeout=SECONDS)


async def flood(kind: str, profile: Profile, question: Envelope) -> None:
    """Send bad requests as fast as they are answered, until there were enough."""
    waiting = itertools.islice(requests(kind, question, profile.signing_key), FLOOD)
    channels = [open_channel(profile) for _ in range(CONNECTIONS)]

    async def worker(channel: grpc.aio.Channel) -> None:
        for bad in waiting:
            try:
                await bad(channel)
            except grpc.aio.AioRpcError:
                continue

    await asyncio.gather(*(worker(each) for each in channels for _ in range(PER_CONNECTION)))


async def hold_streams(profile: Profile) -> None:
    """Open streams of which nothing is read, and open them again when they are refused."""
    ask = health_pb2.HealthCheckRequest().SerializeToString()

    async def hold() -> None:
        async with open_channel(profile) as channel:
            watch: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(_WATCH)
            while True:
                stream = watch(ask)
                try:
                    await stream.read()
                    await asyncio.sleep(3600)
                except grpc.aio.AioRpcError:
                    await asyncio.sleep(0.05)

    await asyncio.gather(*(hold() for _ in range(STREAMS)))


def be_bad(kind: str, folder: Path, question: Path) -> None:
    """Do as the bad bank does, in a process of its own."""
    os.nice(19)
    profile = Profile.load(folder)
    if kind == "slow streams":
        uvloop.run(hold_streams(profile))
    else:
        uvloop.run(flood(kind, profile, Envelope.from_json(question.read_bytes())))


@contextmanager
def company(kind: str, stage: Stage) -> Generator[None]:
    """Keep company with the bad bank."""
    folder = stage.member("bank-b", "desk")
    with subprocess.Popen(
        [
            sys.executable,
            "-m",
            "benchmarks.fairness",
            "--bad",
            kind,
            str(folder),
            str(stage.folder / "question.json"),
        ],
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)


async def keep_question(bench: Bench) -> None:
    """Keep a question of the bad bank's, of which it makes bad ones."""
    async with AsyncRoom.open(bench.stage.member("bank-b", "desk")) as room:
        question = await room.prepare(
            "paid-enough",
            subject=bench.subjects[0].uscc,
            purpose=Purpose.PRE_LOAN,
            params={"floor": "3000"},
        )
    (bench.stage.folder / "question.json").write_bytes(question.envelope.to_json())


async def taken(stage: Stage, seconds: float = 5.0) -> float:
    """Measure how much of a processor the room takes now, enclaves included.

    Processor time does not depend on what else the machine does.
    """
    server = stage.processes.pid("server")
    pids = [server, *children(server)]
    before = sum(processor_seconds(pid) for pid in pids)
    began = time.perf_counter()
    await asyncio.sleep(seconds)
    spent = sum(processor_seconds(pid) for pid in pids) - before
    return spent / (time.perf_counter() - began)


async def run(bench: Bench, count: int, rounds: int) -> dict[str, Found]:
    """Measure each kind of company beside being alone; gives the medians of both."""
    found: dict[str, Found] = {}
    async with AsyncRoom.open(bench.stage.member("bank-a", "desk")) as room:
        calls: Sequence[Call] = list(
            itertools.islice(itertools.cycle(bench.questions(room)), count)
        )
        await measure("warm", calls, IN_FLIGHT)
        for kind in KINDS:
            alone: list[Row] = []
            beside: list[Row] = []
            shares: list[float] = []
            for _ in range(rounds):
                alone.append(await measure("alone", calls, IN_FLIGHT))
                idle = await taken(bench.stage, 2)
                with company(kind, bench.stage):
                    await asyncio.sleep(3)  # until it is well under way
                    shares.append(await taken(bench.stage) - idle)
                    beside.append(await measure(kind, calls, IN_FLIGHT))
                await asyncio.sleep(1)
            share = statistics.median(shares)
            found[kind] = Found(_median("alone", alone), _median(kind, beside), share)
    return found


def _median(what: str, rows: Sequence[Row]) -> Row:
    return Row(
        what,
        statistics.median(row.per_second for row in rows),
        statistics.median(row.p50 for row in rows),
        statistics.median(row.p99 for row in rows),
    )


def show(found: dict[str, Found]) -> None:
    """Print what was found."""
    table = Table(
        *("company", "its share", "checks/s", "p50 ms", "p99 ms"),
        *("alone/s", "p50 ms", "p99 ms", "rate"),
        title=f"A good bank's checks, {IN_FLIGHT} in flight",
    )
    for kind, each in found.items():
        rows = [
            f"{figure:,.{places}f}"
            for row in (each.beside, each.alone)
            for figure, places in ((row.per_second, 0), (row.p50, 1), (row.p99, 1))
        ]
        table.add_row(kind, f"{each.share:.0%}", *rows, f"{each.rate:.0%}")
    console = Console(width=110)
    console.print(table)
    worst = min(each.rate for each in found.values())
    share = max(each.share for each in found.values())
    console.print(f"slowest beside company: {worst:.0%} of alone (at least 75 %)")
    console.print(f"most that company takes of the room's processors: {share:.0%} of one")


def main() -> None:
    """Measure; or, called by itself, be the bad bank."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checks", type=int, default=400, help="in each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--bad", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.bad:
        kind, folder, question = arguments.bad
        be_bad(kind, Path(folder), Path(question))
        return
    with tempfile.TemporaryDirectory(dir=".", prefix=".bench-") as name:
        folder = Path(name).absolute()
        billed = [one for one in read_records().borrowers if one.paid_3m is not None]
        with Processes(folder / "logs") as processes:
            stage = Stage(folder, processes, release_tick_milliseconds=0)
            bench = Bench(stage, billed[:80])
            bench.prepare()
            stage.sign_agreements("bank-b")
            asyncio.run(bench.consent())
            asyncio.run(keep_question(bench))
            show(uvloop.run(run(bench, arguments.checks, arguments.rounds)))


if __name__ == "__main__":
    main()
