"""How long an answer takes tells nothing of the record: measured, on the enclave's own socket.

Two stores that differ in the records of two firms, crosswise: what is there about one firm here is
there about the other firm there. So whatever differs between two processes stands on both sides of
the comparison, and only the record is left. Answers leave on ticks of 5 ms.
"""

from __future__ import annotations

import random
import time
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from math import ceil, log, sqrt
from pathlib import Path
from typing import Final

import pytest

from saferoom_proto.answer import Truth
from saferoom_proto.dsse import Envelope
from saferoom_proto.v1 import enclave_pb2
from saferoom_proto.wire import envelope_to_proto
from simulator import Clock, Firm, Sample, sample, tax_csv
from simulator.attended import Attended
from simulator.process import EnclaveProcess

RECORD: Final = Firm("120000", arrears=False, rating="A")
CROWD: Final = {serial: Firm("5000", arrears=True, rating="D") for serial in range(100, 600)}
PAIR: Final = (1, 2)
"""Two firms: of one there is a record, of the other none; in the other store the reverse."""
CHANCE: Final = 0.001
"""How often two samples of one distribution are taken for two, at each of the two attempts."""
FOLLOW_EVERY: Final = 100
"""Questions between two heads: what is recorded is proven, and nothing waits."""


def distance(one: Sequence[float], other: Sequence[float]) -> float:
    """Give the largest distance of two empirical distributions (Kolmogorov and Smirnov)."""
    both = sorted([(value, 0) for value in one] + [(value, 1) for value in other])
    counts, most = [0, 0], 0.0
    for at, (value, which) in enumerate(both):
        counts[which] += 1
        if at + 1 == len(both) or both[at + 1][0] != value:
            most = max(most, abs(counts[0] / len(one) - counts[1] / len(other)))
    return most


def critical(count: int) -> float:
    """Give the distance that two samples of so many pass with `CHANCE`.

    Source: Smirnov, Ann. Math. Stat. 19, 1948: the limit, sqrt(-ln(a / 2) / 2) * sqrt(2 / n).
    """
    return sqrt(-log(CHANCE / 2) / 2) * sqrt(2 / count)


@dataclass(slots=True)
class Store:
    """An enclave's process, and about whom it has a record."""

    said: Sample
    process: EnclaveProcess
    attended: Attended
    known: int
    asked: int = 0

    def question(self, serial: int) -> enclave_pb2.JudgeRequest:
        """Sign a question before it is timed."""
        return enclave_pb2.JudgeRequest(request=envelope_to_proto(self.said.question(serial)))

    def seconds(self, question: enclave_pb2.JudgeRequest) -> float:
        """Ask, and give how long it took."""
        if self.asked % FOLLOW_EVERY == 0:
            self.attended.follow()
        self.asked += 1
        begun = time.perf_counter()
        self.process.stub.Judge(question, timeout=30)
        return time.perf_counter() - begun

    def truth(self, serial: int) -> Truth:
        """Ask, and open the answer."""
        question: Envelope = self.said.question(serial)
        (judged,) = self.process.judge([question])
        assert not isinstance(judged, Exception)
        return self.said.bank.open(question, "tax", judged.sealed).truth


@contextmanager
def store(folder: Path, known: int, tick: int) -> Generator[Store]:
    """Open a store that has a record of one firm of the pair, and a crowd's."""
    said = sample("timing", clock=Clock(), release_tick_milliseconds=tick)
    with EnclaveProcess(said.tax, folder) as process:
        attended = Attended(process.owner, process)
        attended.unlock()
        for serial in PAIR:
            said.consent(serial)
        attended.follow()
        process.load({"firms": tax_csv(said.world, CROWD | {known: RECORD})})
        attended.follow()
        yield Store(said, process, attended, known)


def measure(stores: Sequence[Store], count: int, seed: int) -> tuple[list[float], list[float]]:
    """Time questions about the firm that is known and the one that is not, in random order."""
    draw = random.Random(seed)
    plan = [(each, serial) for each in stores for serial in PAIR] * ceil(count / len(stores))
    draw.shuffle(plan)
    known: list[float] = []
    unknown: list[float] = []
    for each, serial in plan:
        question = each.question(serial)
        time.sleep(draw.random() * 0.002)  # the tick at which it comes is not the asker's choice
        (known if serial == each.known else unknown).append(each.seconds(question))
    return known, unknown


def excess(stores: Sequence[Store], count: int) -> float:
    """Give by how much two distributions are further apart than one's samples; not above 0: alike.

    Measured a second time if they seem to be two.
    """
    for each in stores:
        firms = (each.known, next(serial for serial in PAIR if serial != each.known))
        assert [each.truth(serial) for serial in firms] == [Truth.YES, Truth.NOT_FOUND]
    further = 0.0
    for seed in (1, 2):
        known, unknown = measure(stores, count, seed)
        further = distance(known, unknown) - critical(min(len(known), len(unknown)))
        if further <= 0:
            break
    return further


def test_one_record_more_or_less_shows_in_no_latency(tmp_path: Path) -> None:
    with store(tmp_path, PAIR[0], 5) as one:
        assert excess([one], 120) <= 0


@pytest.mark.soak
@pytest.mark.parametrize("tick", [5, 2])
def test_one_record_more_or_less_shows_in_no_latency_of_two_thousand(
    tmp_path: Path, tick: int
) -> None:
    with ExitStack() as opened:
        stores = [opened.enter_context(store(tmp_path / str(known), known, tick)) for known in PAIR]
        assert excess(stores, 2000) <= 0


def test_the_comparison_finds_a_tenth_of_a_millisecond() -> None:
    draw = random.Random(7)
    one = [0.005 + draw.gauss(0, 0.0001) for _ in range(2000)]
    same = [0.005 + draw.gauss(0, 0.0001) for _ in range(2000)]
    later = [each + 0.0001 for each in same]
    assert distance(one, same) <= critical(2000) < distance(one, later)
    assert distance([1, 2, 2, 3], [2, 2, 4]) == pytest.approx(0.333, abs=0.001)
