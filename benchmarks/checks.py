"""One check end to end, beside a bare echo of the same sizes on the same cores.

    .venv/bin/python -m benchmarks.checks [--checks 2000]

A check is: a signed request, consent, charge, two durable commits (enclave and ledger), a sealed
and signed answer, its receipt. The echo is grpc.aio over mutual TLS with as many bytes each way and
no work at all. Both are asked by one client process, first one at a time, then 16 in flight. Times
are wall times of one run, so read the ratios.

The room's work is measured by a client like the echo's: its questions were signed before, and every
answer is opened and verified after the clock has stopped. The rows "with the SDK" are what a
program sees that calls `room.check`: signing, opening and verifying, on the same two cores.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import grpc
import uvloop
from rich.console import Console
from rich.table import Table

from benchmarks import echo
from benchmarks.gauges import (
    Call,
    Row,
    children,
    measure,
    processor_seconds,
    resident_mib,
    sync_milliseconds,
)
from saferoom.ledger.ledger import IDLE_SECONDS
from saferoom_client.aio import AsyncRoom
from saferoom_client.checks import open_told
from saferoom_client.demo.data import Borrower, read_records
from saferoom_client.demo.play import Play
from saferoom_client.demo.processes import Processes
from saferoom_client.demo.screen import Screen
from saferoom_client.demo.stage import Stage
from saferoom_client.issuer import enrol_member
from saferoom_client.profile import Member, Profile
from saferoom_client.question import Question
from saferoom_proto.encoding import b64
from saferoom_proto.statements import Consent, Purpose
from saferoom_proto.statements.base import whole_milliseconds
from saferoom_proto.suite import Suite
from saferoom_proto.v1 import check_pb2
from saferoom_proto.wire import envelope_to_proto

FLOORS = (1000, 3000, 6000, 12000, 30000)
IN_FLIGHT = 16
ALONE = 300
RESTED_SECONDS = 2 * IDLE_SECONDS + 5
"""After so long without an entry a server has given its memory back."""


class Bench:
    """A room of two owners with real records, and an echo beside it."""

    def __init__(self, stage: Stage, subjects: Sequence[Borrower]) -> None:
        self.stage = stage
        self.subjects = subjects
        self.processor: dict[str, float] = {}
        """Milliseconds of processor time a check, by process."""
        self.echo_processor = 0.0
        """Of an echo, its client's and server's together."""
        self._pids: dict[str, int] = {}
        self._before: dict[str, float] = {}

    def prepare(self) -> None:
        """Open the room, load, approve, agree."""
        records = read_records()
        play = Play(self.stage, Screen(Console(quiet=True)), records)
        play.found_the_room()
        feature = self.stage.file("bills.paid_3m.yaml")
        feature.write_text(feature.read_text().replace("budget_bits: 2.4", "budget_bits: 3"))
        play.load_and_define()
        play.approve()
        self.stage.sign_agreements("bank-a")

    async def consent(self) -> None:
        """Have every subject consent, each over its own connection."""
        now = whole_milliseconds(datetime.now(UTC))
        gate = asyncio.Semaphore(IN_FLIGHT)

        async def grant(borrower: Borrower) -> None:
            async with gate, AsyncRoom(self._subject(borrower.uscc)) as room:
                await room.grant_consent(
                    Consent(
                        room=room.profile.card.origin,
                        subject=borrower.uscc,
                        certificate=b64(room.profile.signing_certificate),
                        institution="bank-a",
                        purposes=(Purpose.PRE_LOAN,),
                        features=("bills.paid_3m",),
                        uses=None,
                        notice=room.profile.suite.digest(b"a notice"),
                        nonce=b64(os.urandom(16)),
                        valid_from=now - timedelta(minutes=1),
                        valid_to=now + timedelta(days=1),
                    )
                )

        await asyncio.gather(*(grant(borrower) for borrower in self.subjects))

    def _subject(self, uscc: str) -> Profile:
        return enrol_member(
            self.stage.issuer,
            self.stage.folder / "subjects" / uscc,
            self.stage.card,
            Member(organisation=uscc, name="self"),
            datetime.now(UTC),
            charter_roots={
                name: keys.root.verify_key.public for name, keys in self.stage.owners.items()
            },
        )

    def questions(self, room: AsyncRoom) -> list[Call]:
        """Give as many different questions as there are subjects and thresholds."""

        def one(borrower: Borrower, floor: int) -> Call:
            return lambda: room.check(
                "paid-enough",
                subject=borrower.uscc,
                purpose=Purpose.PRE_LOAN,
                params={"floor": str(floor)},
            )

        return [one(*each) for each in self.pairs()]

    def pairs(self) -> list[tuple[Borrower, int]]:
        """Give every subject with every threshold: no question is asked twice."""
        return [(borrower, floor) for floor in FLOORS for borrower in self.subjects]

    def begin(self) -> None:
        """Note the processor time that each process has used so far."""
        server = self.stage.processes.pid("server")
        self._pids = {"client": os.getpid(), "server": server}
        self._pids |= {f"enclave {index}": pid for index, pid in enumerate(children(server))}
        self._before = {name: processor_seconds(pid) for name, pid in self._pids.items()}

    def end(self, checks: int) -> None:
        """Reckon what each process used for so many checks."""
        self.processor = {
            name: (processor_seconds(pid) - self._before[name]) / checks * 1000
            for name, pid in self._pids.items()
        }


class Prepared:
    """Questions signed before the clock starts, and their answers, verified after it stopped."""

    def __init__(self, room: AsyncRoom) -> None:
        self._room = room
        self._told: list[tuple[Question, check_pb2.CheckResponse]] = []
        self.size = (0, 0)
        """Bytes of a question and of its answer."""

    async def calls(self, borrowers: Sequence[tuple[Borrower, int]]) -> list[Call]:
        """Sign a question about each borrower and threshold."""
        return [self._call(await self._prepare(*each)) for each in borrowers]

    async def _prepare(self, borrower: Borrower, floor: int) -> Question:
        return await self._room.prepare(
            "paid-enough",
            subject=borrower.uscc,
            purpose=Purpose.PRE_LOAN,
            params={"floor": str(floor)},
        )

    def _call(self, question: Question) -> Call:
        message = check_pb2.CheckRequest(request=envelope_to_proto(question.envelope))

        async def call() -> None:
            told = await self._room.call(self._room.checks.Check, message)
            self._told.append((question, told))

        return call

    async def verify(self) -> None:
        """Open and verify every answer."""
        for question, told in self._told:
            await open_told(self._room, question, told)
        question, told = self._told[-1]
        message = check_pb2.CheckRequest(request=envelope_to_proto(question.envelope))
        self.size = (message.ByteSize(), told.ByteSize())
        self._told.clear()


async def run_checks(bench: Bench, count: int) -> tuple[list[Row], tuple[int, int]]:
    """Measure checks, then echoes of the same sizes."""
    async with AsyncRoom.open(bench.stage.member("bank-a", "desk")) as room:
        calls, pairs = bench.questions(room), bench.pairs()
        for call in calls[:4]:
            await call()
        prepared = Prepared(room)
        taken = iter(pairs[4:])
        alone = await prepared.calls(list(islice(taken, ALONE)))
        flight = await prepared.calls(list(islice(taken, count)))
        rows = [await measure("check, one at a time", alone, 1)]
        bench.begin()
        rows.append(await measure(f"check, {IN_FLIGHT} in flight", flight, IN_FLIGHT))
        bench.end(count)
        await prepared.verify()
        rest = calls[4 + ALONE + count :]
        rows.append(await measure("with the SDK, one at a time", rest[:ALONE], 1))
        rows.append(await measure(f"with the SDK, {IN_FLIGHT} in flight", rest[ALONE:], IN_FLIGHT))
        rows += await run_echo(bench, room.profile, count, prepared.size)
    return rows, prepared.size


async def run_echo(bench: Bench, profile: Profile, count: int, size: tuple[int, int]) -> list[Row]:
    """Measure the echo with the bank's own certificate and the room's."""
    folder = bench.stage.folder / "echo"
    folder.mkdir()
    tls = bench.stage.room / "tls"
    chain = (tls / "server.pem").read_bytes() + (tls / "ca.pem").read_bytes()
    (folder / "server.pem").write_bytes(chain)
    (folder / "server.key").write_bytes((tls / "server.key").read_bytes())
    (folder / "client-roots.pem").write_text(bench.stage.issuer.pem)
    command = [sys.executable, "-m", "benchmarks.echo", str(folder)]
    server = _start(command)
    if server.stdin is None or server.stdout is None:
        raise RuntimeError("the echo has no pipes")
    try:
        port = int(server.stdout.readline())
        credentials = grpc.ssl_channel_credentials(
            (tls / "ca.pem").read_bytes(), profile.tls_key, profile.tls_certificate
        )
        async with grpc.aio.secure_channel(f"localhost:{port}", credentials) as channel:
            call = echo.caller(channel, *size)
            await measure("warm", [call] * 200, IN_FLIGHT)
            rows = [await measure("echo, one at a time", [call] * ALONE, 1)]
            pids = (os.getpid(), server.pid)
            before = sum(processor_seconds(pid) for pid in pids)
            rows.append(await measure(f"echo, {IN_FLIGHT} in flight", [call] * count, IN_FLIGHT))
            after = sum(processor_seconds(pid) for pid in pids)
            bench.echo_processor = (after - before) / count * 1000
            return rows
    finally:
        server.stdin.close()
        server.wait()
        server.stdout.close()


def _start(command: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def first_answer_seconds(stage: Stage, borrower: Borrower) -> float:
    """Stop the server, start it again, and time until it gives an answer."""
    stage.processes.stop("server")
    began = time.perf_counter()
    stage.serve()
    stage.wait_for_enclaves()
    with stage.open("bank-a", "desk") as room:
        room.check(
            "paid-enough",
            subject=borrower.uscc,
            purpose=Purpose.PRE_LOAN,
            params={"floor": str(FLOORS[0])},
        )
    return time.perf_counter() - began


def show(rows: Sequence[Row], facts: dict[str, str]) -> None:
    """Print the tables."""
    table = Table("what", "calls/s", "p50 ms", "p99 ms", "p99/p50", title="One check, end to end")
    for row in rows:
        ratio = f"{row.p99 / row.p50:.1f}"
        table.add_row(row.what, f"{row.per_second:,.0f}", f"{row.p50:.2f}", f"{row.p99:.2f}", ratio)
    console = Console(width=100)
    console.print(table)
    for name, value in facts.items():
        console.print(f"{name:<52}{value}")


def measure_room(ticks: int, count: int, suite: Suite) -> None:
    """Open a room with this release tick, measure it, and print what was found."""
    with tempfile.TemporaryDirectory(dir=".", prefix=".bench-") as name:
        folder = Path(name).absolute()
        billed = [one for one in read_records().borrowers if one.paid_3m is not None]
        with Processes(folder / "logs") as processes:
            stage = Stage(folder, processes, release_tick_milliseconds=ticks, suite=suite)
            bench = Bench(stage, billed[: 2 * (count + ALONE) // len(FLOORS) + 2])
            bench.prepare()
            asyncio.run(bench.consent())
            rows, (sent, received) = uvloop.run(run_checks(bench, count))
            alone, flight, *_, echo_alone, echo_flight = rows
            sync = sync_milliseconds(folder)
            bound = 8 * echo_alone.p50 + 2 * sync
            started = first_answer_seconds(stage, bench.subjects[0])
            time.sleep(RESTED_SECONDS)
            pid = processes.pid("server")
            enclaves = [f"{resident_mib(child):.0f}" for child in children(pid)]
            show(
                rows,
                {
                    "suite": suite,
                    "release ticks": f"{ticks} ms" if ticks else "off",
                    "bytes of a question and of its answer": f"{sent:,} and {received:,}",
                    "one durable write on this disk": f"{sync:.2f} ms",
                    "rate at 16 in flight, of the echo's (at least 0.2)": (
                        f"{flight.per_second / echo_flight.per_second:.2f}"
                    ),
                    "p50 alone (at most 8 echoes and 2 writes)": (
                        f"{alone.p50:.2f} of {bound:.2f} ms"
                    ),
                    "processor time a check at 16 in flight": ", ".join(
                        f"{name} {each:.2f}" for name, each in bench.processor.items()
                    )
                    + f" ms; an echo {bench.echo_processor:.2f} ms",
                    "start to first answer (under 5 s)": f"{started:.1f} s",
                    "rested server, enclaves (under 143 MiB and the store)": (
                        f"{resident_mib(pid):.0f}, {', '.join(enclaves)} MiB"
                    ),
                },
            )


def main() -> None:
    """Measure with release ticks off, and with them on."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checks", type=int, default=2000, help="checks at 16 in flight")
    parser.add_argument("--ticks", action="store_true", help="measure release ticks of 5 ms, too")
    parser.add_argument("--suite", type=Suite, choices=list(Suite), default=Suite.INTERNATIONAL)
    arguments = parser.parse_args()
    measure_room(0, arguments.checks, arguments.suite)
    if arguments.ticks:
        measure_room(5, arguments.checks, arguments.suite)


if __name__ == "__main__":
    main()
