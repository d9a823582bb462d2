"""Batches: rows a second end to end, processor time a row by process, and a million consents.

    PYTHONPATH=tests .venv/bin/python -m benchmarks.batches room [--rows 100000] [--rounds 5]
    PYTHONPATH=tests .venv/bin/python -m benchmarks.batches enclave [--subjects 1000000]

`room` is the whole way: a program calls `check_many`; the batch is packed, signed and passed on by
the server; one owner's enclave judges it, or two; every row is verified before the clock stops, and
can give its receipt. Every subject has a consent, given on paper through a registrar, and a record.

`enclave` has a store and a consent for each of many subjects at one enclave, over its socket, and
tells how batches go and how much memory that takes.

Times are of one run on whatever else the machine does: each round is paired with a fixed piece of
work of one process, and the ratio says how much of a processor there was.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from benchmarks.gauges import parent, processor_seconds, resident_mib
from saferoom_client import AsyncRoom
from saferoom_client.batch_answer import BatchAnswer
from saferoom_client.session import utc_now
from saferoom_proto.batch import ROW_BYTES, Row
from saferoom_proto.encoding import b64
from saferoom_proto.identity import organisation_uri
from saferoom_proto.statements import Charter, Consent, Paper, Purpose, seal_statement
from saferoom_proto.statements.base import whole_milliseconds
from saferoom_proto.uscc import make_uscc
from saferoom_proto.v1 import batch_pb2, enclave_pb2
from saferoom_proto.wire import envelope_to_proto
from simulator import FEATURES, Clock, sample
from simulator.attended import Attended
from simulator.batch import STEADY, SimBatch, batch_of
from simulator.process import EnclaveProcess
from tests.flow import offers
from tests.flow.live import LiveRoom

IN_FLIGHT: Final = 64
DELIVERED: Final = 1000
FIXED_WORK: Final = 1_000_000
"""Hashes of the piece of work that each round is paired with: 0.4 s of an idle processor."""
PIECE_BYTES: Final = 8192 * ROW_BYTES
NOTICE: Final = "sha256:" + "a" * 64


def fixed_work() -> float:
    """Do a fixed piece of work; give which part of a processor there was for it."""
    began, had = time.perf_counter(), time.process_time()
    for _ in range(FIXED_WORK):
        hashlib.sha256(b"x").digest()
    return (time.process_time() - had) / (time.perf_counter() - began)


@dataclass(frozen=True, slots=True)
class Round:
    """One batch: rows a second, processor time a row by process, and how much of it was free."""

    what: str
    rows_a_second: float
    micros: dict[str, float]
    free: float


def measured(what: str, rows: int, pids: dict[str, int], work: Callable[[], object]) -> Round:
    """Time a batch beside the fixed work."""
    free = fixed_work()
    before = {name: processor_seconds(pid) for name, pid in pids.items()}
    began = time.perf_counter()
    work()
    seconds = time.perf_counter() - began
    used = {name: processor_seconds(pid) - before[name] for name, pid in pids.items()}
    micros = {name: 1e6 * each / rows for name, each in used.items()}
    return Round(what, rows / seconds, micros, free)


def show(title: str, rounds: Sequence[Round]) -> None:
    """Print the rounds, and the median of each kind."""
    names = list(rounds[0].micros)
    table = Table(title=title)
    for heading in ("batch", "rows/s", *(f"{name} us/row" for name in names), "processor free"):
        table.add_column(heading, justify="left" if heading == "batch" else "right")
    kinds = dict.fromkeys(each.what for each in rounds)
    for kind in kinds:
        same = [each for each in rounds if each.what == kind]
        table.add_row(
            f"{kind} (median of {len(same)})" if len(same) > 1 else kind,
            f"{statistics.median(each.rows_a_second for each in same):,.0f}",
            *(f"{statistics.median(each.micros[name] for each in same):.1f}" for name in names),
            f"{statistics.median(each.free for each in same):.0%}",
        )
    Console().print(table)


def on_paper(
    room: str, subject: str, certificate: str, features: tuple[str, ...], now: datetime
) -> Consent:
    """Make a consent as a registrar signs it for a paper."""
    return Consent(
        room=room,
        subject=subject,
        certificate=certificate,
        institution="bank-a",
        purposes=(Purpose.PRE_LOAN,),
        features=features,
        information_types=(),
        uses=None,
        notice=NOTICE,
        nonce=b64(os.urandom(16)),
        paper=Paper(registrar="registry", scan=NOTICE),
        valid_from=now,
        valid_to=now + timedelta(days=365),
    )


# The whole way.


class PaperRoom(LiveRoom):
    """A room whose owners take consents on paper from a registrar."""

    def charter(self, owner: str, **changes: object) -> Charter:
        """Make an owner's first charter."""
        return super().charter(owner, **({"registrars": ("registry",)} | changes))


def run_room(rows: int, rounds: int) -> None:
    """Measure batches from a program to the enclaves and back."""
    with tempfile.TemporaryDirectory() as folder:
        live = PaperRoom(Path(folder))
        try:
            subjects = opened(live, rows)
            asyncio.run(consented(live, subjects))
            measure_room(live, subjects, rounds)
        finally:
            live.processes.stop()


def opened(live: LiveRoom, rows: int) -> list[str]:
    """Open a room with a record of every subject at both owners."""
    subjects = [make_uscc(10_000_000 + at) for at in range(rows)]
    offers.CSV["tax"] = (
        "vat",
        "uscc,paid\n" + "".join(f"{each},{at % 90_000}\n" for at, each in enumerate(subjects)),
    )
    listed = "".join(f"{each},true,{offers.CASE}\n" for each in subjects[::50])
    offers.CSV["court"] = ("cases", "uscc,listed,case_no\n" + listed)
    live.start()
    live.define()
    live.load()
    for name in offers.TEMPLATES:
        live.approve(live.propose(name))
    for owner in live.owners:
        live.agree(owner, "bank-a")
    return subjects


async def consented(live: LiveRoom, subjects: Sequence[str]) -> None:
    """Have the bank hand in every subject's consent on paper."""
    registrar = live.profile("registry", "desk")
    now = whole_milliseconds(utc_now())
    certificate = b64(registrar.signing_certificate)
    waiting, began = iter(subjects), time.perf_counter()

    async def hand_in(room: AsyncRoom, subjects: Iterator[str]) -> None:
        for subject in subjects:
            consent = on_paper(offers.ORIGIN, subject, certificate, (offers.VAT, offers.COURT), now)
            await room.grant_consent(seal_statement(consent, registrar.signing_key))

    async with AsyncRoom.open(live.member("bank-a", "desk")) as room:
        await asyncio.gather(*(hand_in(room, waiting) for _ in range(IN_FLIGHT)))
    seconds = time.perf_counter() - began
    print(f"{len(subjects):,} consents through the room in {seconds:,.0f} s", flush=True)


def measure_room(live: LiveRoom, subjects: Sequence[str], rounds: int) -> None:
    """Ask about all subjects, one owner and two."""
    server = live.processes.running["server"].pid
    pids = {"client": os.getpid(), "server": server}
    pids |= {f"{owner} enclave": pid for owner, pid in enclave_pids(server).items()}
    found: list[Round] = []
    for at in range(rounds + 1):
        for template, owners in (("paid-enough", "1 owner"), ("steady-payer", "2 owners")):
            what = owners + (", first" if at == 0 else "")
            found.append(measured_room(live, template, subjects, what, pids))
    show(f"{len(subjects):,} rows from a program to the enclaves and back", found)


def measured_room(
    live: LiveRoom, template: str, subjects: Sequence[str], what: str, pids: dict[str, int]
) -> Round:
    """Time one batch; its answers were verified, and all rows answered."""
    answers: list[BatchAnswer] = []
    with live.open("bank-a", "desk") as room:

        def ask() -> None:
            params = {"least": "5000"}
            answers.append(room.check_many(template, subjects, purpose="pre-loan", params=params))

        found = measured(what, len(subjects), pids, ask)
    if any(part.release.answered != len(subjects) for part in answers[0].parts):
        raise SystemExit("not all rows were answered")
    return found


def enclave_pids(server: int) -> dict[str, int]:
    """Find the enclaves' processes among the server's descendants, by their open files."""
    found: dict[str, int] = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            mine = ancestor(int(process.name), server)
            files = [str(each.readlink()) for each in (process / "fd").iterdir()] if mine else []
        except OSError:
            continue
        for owner in ("court", "tax"):
            if any(f"/enclaves/{owner}/" in file for file in files):
                found[owner] = int(process.name)
    return dict(sorted(found.items()))


def ancestor(pid: int, of: int) -> bool:
    """Tell whether a process descends from another."""
    while pid > 1:
        if pid == of:
            return True
        pid = parent(pid)
    return False


# One enclave, a million consents.


def run_enclave(subjects: int, rows: int, rounds: int) -> None:
    """Measure batches at one enclave with a store and consents of so many subjects."""
    with tempfile.TemporaryDirectory() as folder:
        room = sample(clock=Clock())
        process = EnclaveProcess(room.tax, Path(folder))
        attended = Attended(room.tax, process)
        attended.unlock()
        attended.follow()
        pid = process.process.pid
        print(f"an enclave without data: {resident_mib(pid):,.0f} MiB", flush=True)
        codes = [make_uscc(10_000_000 + at) for at in range(subjects)]
        lines = (f"{each},{at % 9_000_000},false,A" for at, each in enumerate(codes))
        process.load({"firms": ("uscc,vat,arrears,rating\n" + "\n".join(lines)).encode()})
        store = sum(path.stat().st_size for path in Path(folder).rglob("snapshot-*.sealed"))
        print(
            f"{subjects:,} records, store {store / (1 << 20):,.0f} MiB:"
            f" {resident_mib(pid):,.0f} MiB",
            flush=True,
        )
        took = give_consents(attended, codes, pid)
        print(
            f"{subjects:,} consents: {1e6 * took / subjects:,.0f} us of the enclave each, once,"
            f" now {resident_mib(pid):,.0f} MiB",
            flush=True,
        )
        found: list[Round] = []
        for at in range(rounds + 1):
            some = codes[(at * rows) % subjects :][:rows]
            batch = batch_of(room.bank, room.steady, [Row(each) for each in some], STEADY)
            attended.follow()
            new = at < subjects // rows
            what = "subjects not asked about before" if new else "the same subjects again"
            found.append(
                measured(what, len(some), {"enclave": pid}, partial(judged, process, batch))
            )
        show(f"{rows:,} rows at one enclave with {subjects:,} subjects and consents", found)
        print(f"after the batches: {resident_mib(pid):,.0f} MiB; bound 600 MiB + 3 x store")
        process.stop()


def give_consents(attended: Attended, codes: Sequence[str], pid: int) -> float:
    """Deliver a consent of every subject; give the enclave's processor time for them."""
    world, before = attended.world, processor_seconds(pid)
    clerk = world.seeds.signing("clerk of the registry")
    certificate = b64(world.issuer.issue(organisation_uri("registry", "clerk"), clerk.verify_key))
    stream = world.streams["tax"]
    for start in range(0, len(codes), DELIVERED):
        for subject in codes[start : start + DELIVERED]:
            consent = on_paper(world.room, subject, certificate, FEATURES, world.now())
            stream.append(seal_statement(consent, clerk))
        attended.follow()
    return processor_seconds(pid) - before


def judged(process: EnclaveProcess, batch: SimBatch) -> None:
    """Have the enclave judge a batch, and take its answers."""

    def pieces() -> Iterator[enclave_pb2.JudgeBatchRequest]:
        header = batch_pb2.BatchHeader(
            request=envelope_to_proto(batch.envelope), blinding=batch.blinding
        )
        yield enclave_pb2.JudgeBatchRequest(piece=batch_pb2.CheckManyRequest(header=header))
        for start in range(0, len(batch.packed), PIECE_BYTES):
            rows = batch.packed[start : start + PIECE_BYTES]
            yield enclave_pb2.JudgeBatchRequest(piece=batch_pb2.CheckManyRequest(rows=rows))

    for _ in process.stub.JudgeBatch(pieces()):
        pass


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["room", "enclave"])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--subjects", type=int, default=1_000_000)
    asked = parser.parse_args()
    if asked.what == "room":
        run_room(asked.rows, asked.rounds)
    else:
        run_enclave(asked.subjects, asked.rows, asked.rounds)


if __name__ == "__main__":
    main()
