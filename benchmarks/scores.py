"""Scores beside checks, at one enclave in this process: one by one, and in batches.

    PYTHONPATH=tests .venv/bin/python -m benchmarks.scores [--subjects 20000] [--single 200]

Every subject has a record and a consent on paper. The model is put where a job leaves it: what
scores take does not depend on how it was trained. Of single questions each is a commit of its own.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks.batches import Round, give_consents, measured, show
from saferoom_proto.batch import Row
from saferoom_proto.dsse import Envelope
from saferoom_proto.uscc import make_uscc
from simulator import EnclaveHarness, sample
from simulator.batch import STEADY, ask_batch, batch_of
from simulator.sample import Approved, Sample
from simulator.score import approved_score, plant, score

PARAMS: Final[dict[str, Sequence[Mapping[str, str | bool]]]] = {"checks": STEADY, "scores": ({},)}


def run(subjects: int, single: int, rounds: int) -> None:
    """Measure both."""
    codes = [make_uscc(10_000_000 + at) for at in range(subjects)]
    with tempfile.TemporaryDirectory() as folder:
        room = sample("benchmark of scores")
        enclave = EnclaveHarness(room.tax, Path(folder))
        lines = (f"{each},{at % 300_000},false,A" for at, each in enumerate(codes))
        enclave.load({"firms": ("uscc,vat,arrears,rating\n" + "\n".join(lines)).encode()})
        took = give_consents(enclave, codes, os.getpid())
        print(f"{subjects:,} consents: {1e6 * took / subjects:,.0f} us each", flush=True)
        began = time.perf_counter()
        scored = approved_score(room, score(plant(enclave, room)))
        enclave.follow()
        took = time.perf_counter() - began
        print(f"the bands of {subjects:,} subjects: {took:.2f} s, once", flush=True)
        asked = {"checks": room.steady, "scores": scored}
        # Each kind of its own subjects: beside a score a cut is over its budget.
        half = len(codes) // 2
        of = {"checks": codes[:half], "scores": codes[half:]}
        one_by_one(room, enclave, asked, {kind: each[:single] for kind, each in of.items()})
        found: list[Round] = []
        for at in range(rounds + 1):
            for kind, template in asked.items():
                rows = [Row(each) for each in of[kind][single:]]
                batch = batch_of(room.bank, template, rows, PARAMS[kind])
                what = kind + (", first" if at == 0 else ", again")
                work: Callable[[], object] = partial(ask_batch, enclave, batch)
                found.append(measured(what, len(rows), {"process": os.getpid()}, work))
                enclave.follow()
        show(f"{half - single:,} rows at an enclave in this process, opened and verified", found)
        enclave.close()


def one_by_one(
    room: Sample,
    enclave: EnclaveHarness,
    asked: dict[str, Approved],
    of: dict[str, list[str]],
) -> None:
    """Ask in turns, so that the machine's moods strike both alike; print how long each takes."""
    took: dict[str, list[float]] = {kind: [] for kind in asked}
    for pair in zip(*of.values(), strict=True):
        for (kind, template), code in zip(asked.items(), pair, strict=True):
            question = _question(room, template, code, kind)
            began = time.perf_counter()
            verdict = enclave.ask(question)
            took[kind].append(time.perf_counter() - began)
            if verdict.told is None:
                raise SystemExit(f"{kind}: {verdict.reason}")
    for kind, seconds in took.items():
        cuts = statistics.quantiles((1e3 * each for each in seconds), n=20)
        print(f"{kind} one by one: p50 {cuts[9]:.2f} ms, p95 {cuts[18]:.2f} ms", flush=True)


def _question(room: Sample, template: Approved, code: str, kind: str) -> Envelope:
    (params,) = PARAMS[kind]
    return room.bank.request(code, template.template, template.certificate, params=params)


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subjects", type=int, default=20_000)
    parser.add_argument("--single", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    run(asked.subjects, asked.single, asked.rounds)


if __name__ == "__main__":
    main()
