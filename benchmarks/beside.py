"""Another bank's single checks at an enclave, alone and beside a bank's batches that run meanwhile.

    PYTHONPATH=tests .venv/bin/python -m benchmarks.beside [--subjects 20000] [--rounds 6]

One check follows the other, over the enclave's socket. Alone and beside are measured in turn, so
that what else runs on the machine meets both alike; read the ratios. A batch is about all subjects,
each of whom has a consent, and the next follows at once.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from threading import Event, Thread
from typing import Final

from benchmarks.batches import give_consents, judged, processor_seconds
from saferoom_enclaves.journal import Judged
from saferoom_proto.batch import Row
from saferoom_proto.dsse import Envelope
from saferoom_proto.uscc import make_uscc
from simulator import FEATURES, FIRMS, Clock, Sample, sample, tax_csv
from simulator.attended import Attended
from simulator.batch import STEADY, SimBatch, batch_of
from simulator.process import EnclaveProcess

BATCHES: Final = 8
"""Made before the clock runs, for each time; whoever has so many answered was measured too long."""


@dataclass(slots=True)
class Company:
    """Batches, one after the other, until told to stop."""

    process: EnclaveProcess
    batches: Sequence[SimBatch]
    stop: Event = field(default_factory=Event)
    rows: int = 0
    seconds: float = 0.0

    def run(self) -> None:
        """Have them judged."""
        began = time.perf_counter()
        for batch in self.batches:
            judged(self.process, batch)
            self.rows += batch.request.rows
            self.seconds = time.perf_counter() - began
            if self.stop.is_set():
                return
        raise SystemExit("more batches were judged than there are: measure fewer checks")


@dataclass(frozen=True, slots=True)
class Found:
    """What checks took, in milliseconds."""

    p50: float
    p99: float

    @classmethod
    def of(cls, took: Sequence[float]) -> Found:
        """Take the percentiles."""
        ordered = sorted(took)
        return cls(1000 * statistics.median(ordered), 1000 * ordered[int(0.99 * len(ordered))])


def timed(process: EnclaveProcess, questions: Sequence[Envelope]) -> list[float]:
    """Have questions judged one by one; give the seconds that each took."""
    took: list[float] = []
    for question in questions:
        began = time.perf_counter()
        (told,) = process.judge([question])
        took.append(time.perf_counter() - began)
        if not isinstance(told, Judged):
            raise told
    return took


def questions(room: Sample, count: int) -> list[Envelope]:
    """Make single questions of the other bank."""
    serials = cycle(FIRMS)
    return [room.question(next(serials), bank=room.other_bank) for _ in range(count)]


def measure(
    room: Sample, process: EnclaveProcess, attended: Attended, codes: Sequence[str], args: Args
) -> None:
    """Measure in turn, and tell."""
    pid = process.process.pid
    spent = 0.0
    alone: list[float] = []
    beside: list[float] = []
    rates: list[tuple[float, float]] = []
    for _ in range(args.rounds):
        attended.follow()
        alone += timed(process, questions(room, args.checks))
        made = [
            batch_of(room.bank, room.steady, [Row(each) for each in codes], STEADY)
            for _ in range(BATCHES + 1)
        ]
        asked = questions(room, args.checks)
        attended.follow()
        by_itself = Company(process, made[:1])
        by_itself.stop.set()
        before = processor_seconds(pid)
        by_itself.run()
        spent += processor_seconds(pid) - before
        attended.follow()
        company = Company(process, made[1:])
        running = Thread(target=company.run)
        running.start()
        time.sleep(args.lead)
        beside += timed(process, asked)
        company.stop.set()
        running.join()
        rates.append((by_itself.rows / by_itself.seconds, company.rows / company.seconds))
    first, second = Found.of(alone), Found.of(beside)
    for name, each in (("alone", first), ("beside", second)):
        print(f"{name:8} p50 {each.p50:6.1f} ms, p99 {each.p99:6.1f} ms")
    print(f"ratio    p50 {second.p50 / first.p50:6.1f},    p99 {second.p99 / first.p99:6.1f}")
    alone_rate, beside_rate = (statistics.median(each) for each in zip(*rates, strict=True))
    micros = 1e6 * spent / (args.rounds * len(codes))
    print(f"batches  {micros:.1f} us of the enclave a row by themselves")
    print(f"batches  {alone_rate:,.0f} rows/s by themselves, {beside_rate:,.0f} beside the checks")


@dataclass(frozen=True, slots=True)
class Args:
    """What is asked for."""

    subjects: int
    rounds: int
    checks: int
    lead: float


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subjects", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--checks", type=int, default=60, help="in each measurement")
    parser.add_argument("--lead", type=float, default=0.3, help="seconds that batches run before")
    args = Args(**vars(parser.parse_args()))
    with tempfile.TemporaryDirectory() as folder:
        room = sample(clock=Clock())
        process = EnclaveProcess(room.tax, Path(folder))
        attended = Attended(room.tax, process)
        attended.unlock()
        attended.follow()
        codes = [make_uscc(10_000_000 + at) for at in range(args.subjects)]
        lines = "".join(f"{each},{at % 9_000_000},false,A\n" for at, each in enumerate(codes))
        process.load({"firms": tax_csv(room.world) + lines.encode()})
        for serial in FIRMS:
            room.world.subject(serial).give(room.other_bank, FEATURES)
        give_consents(attended, codes, process.process.pid)
        timed(process, questions(room, args.checks))
        measure(room, process, attended, codes, args)
        process.stop()


if __name__ == "__main__":
    main()
