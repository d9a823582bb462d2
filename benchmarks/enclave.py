"""What an enclave's process costs: its start, idle memory, loads, and opening a store again.

    PYTHONPATH=tests .venv/bin/python -m benchmarks.enclave [--rows 30000 1000000] [--starts 5]
        [--features 3] [--memory-mib 4096]

Real processes, started and called as the room does it, on made-up rows, one a subject. Memory is
resident memory (Rss) and, where processes share pages, their share of it (Pss). A store's own
memory is not mapped and stands beside that. What a look-up of cells takes is told by
`benchmarks.features`.
"""

from __future__ import annotations

import argparse
import io
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.features import COLUMNS, FEATURES
from saferoom_proto.statements import ColumnType
from saferoom_proto.uscc import make_uscc
from simulator import Clock, World
from simulator.attended import Attended
from simulator.owner import SimOwner
from simulator.process import EnclaveProcess
from simulator.sample import column, feature, ordered, schema, table

MB = 1_000_000


def owner(features: int) -> SimOwner:
    """Make an owner with a schema and so many features: those there are, over and over."""
    world = World("benchmark", clock=Clock())
    tax = world.owner("tax")
    columns = [column(name, ColumnType(kind), 2) for name, kind in COLUMNS.items()]
    tax.publish_schema(schema("tax", table("vat", *columns[1:])))
    for at in range(features):
        each = FEATURES[at % len(FEATURES)]
        shape, name = each.shape, f"{each.shape.ref.name}{at}"
        if shape.grid:
            grid = [f"{cut:f}" for cut in shape.grid]
            tax.define(ordered("tax", name, each.sql, grid, as_of=each.as_of))
        else:
            tax.define(feature("tax", name, each.sql, shape.kind, as_of=each.as_of))
    return tax


def made_up(count: int) -> bytes:
    """Make up so many rows, one a subject, as CSV."""
    lines = io.BytesIO()
    lines.write(b"uscc,paid,filed,late\n")
    for at in range(count):
        late = "true" if at % 2 else "false"
        lines.write(f"{make_uscc(at)},{at % 99_991}.5,2026-0{at % 9 + 1}-01,{late}\n".encode())
    return lines.getvalue()


def memory(pid: int) -> tuple[float, float]:
    """Give a process's resident memory, and its share of it, in MB."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    told = {line.split(":")[0]: line.split() for line in lines if ":" in line}
    return int(told["Rss"][1]) * 1024 / MB, int(told["Pss"][1]) * 1024 / MB


def tell_memory(what: str, process: EnclaveProcess) -> None:
    """Print what an enclave and its fork server hold."""
    pid = process.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    for name, each in (("enclave", pid), *(("fork server", int(child)) for child in children)):
        rss, pss = memory(each)
        print(f"{f'{what}, {name}':44} {rss:7.1f} MB resident, {pss:7.1f} MB its share")


def start(
    tax: SimOwner, folder: Path, *, sandbox: bool, memory_mib: int = 4096
) -> tuple[EnclaveProcess, float]:
    """Start an enclave; give it, and the milliseconds until it listened."""
    began = time.perf_counter()
    config = {"sandbox": sandbox, "max_memory_mib": memory_mib, "max_feature_seconds": 600.0}
    process = EnclaveProcess(tax, folder, config, patience=7200.0)
    return process, (time.perf_counter() - began) * 1000


def starts(times: int) -> None:
    """Tell how long a start takes, with the sandbox and without it."""
    tax = owner(len(FEATURES))
    took: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(times):
        for sandbox, found in took.items():
            with tempfile.TemporaryDirectory() as folder:
                process, milliseconds = start(tax, Path(folder), sandbox=sandbox)
                found.append(milliseconds)
                process.stop()
    for sandbox, what in ((False, "start, no sandbox"), (True, "start, sandboxed")):
        median, least = statistics.median(took[sandbox]), min(took[sandbox])
        print(f"{what:44} {median:7.0f} ms median, {least:7.0f} ms at best")


CONFINED = """
import time
from saferoom_enclaves.sandbox import SandboxPlan, close_system_calls, confine, interpreter_paths
plan = SandboxPlan(interpreter_paths("saferoom_enclaves", "saferoom_proto", "grpc"))
began = time.perf_counter()
report = close_system_calls(confine(plan))
print((time.perf_counter() - began) * 1000, report.level)
"""
"""An enclave's sandbox around an interpreter that does nothing else."""


def sandbox(times: int) -> None:
    """Tell how long the sandbox takes by itself: each start closes two, enclave and fork server."""
    took: list[float] = []
    level = ""
    for _ in range(times):
        command = [sys.executable, "-I", "-B", "-c", CONFINED]
        told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        milliseconds, level = told.split()
        took.append(float(milliseconds))
    what = f"the sandbox by itself, level {level}"
    print(f"{what:44} {statistics.median(took):7.1f} ms median, {min(took):7.1f} ms at best")


def rows(count: int, features: int, memory_mib: int) -> None:
    """Load so many rows, start again, answer, and tell what that takes."""
    tax = owner(features)
    csv = made_up(count)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        process, _ = start(tax, folder, sandbox=True, memory_mib=memory_mib)
        attended = Attended(tax, process)
        attended.unlock()
        attended.follow()
        tell_memory("idle, no data", process)
        began = time.perf_counter()
        assert process.load({"vat": csv}).snapshot is not None
        print(f"{f'load {count:,} rows':44} {time.perf_counter() - began:7.2f} s", flush=True)
        del csv
        attended.follow()
        process.stop()
        process, _ = start(tax, folder, sandbox=True, memory_mib=memory_mib)
        began = time.perf_counter()
        attended = Attended(tax, process)
        attended.unlock()
        while not process.whereabouts().has_data:
            time.sleep(0.02)
        seconds = time.perf_counter() - began
        print(f"{f'unlock, open {count:,} rows, {features} features':44} {seconds:7.2f} s")
        attended.follow()
        tell_memory(f"idle, {count:,} rows", process)
        process.stop()


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print a line a step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="*", default=[30_000, 1_000_000])
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--features", type=int, default=len(FEATURES))
    parser.add_argument("--memory-mib", type=int, default=4096)
    asked = parser.parse_args(arguments)
    sandbox(asked.starts)
    starts(asked.starts)
    for count in asked.rows:
        rows(count, asked.features, asked.memory_mib)


if __name__ == "__main__":
    main()
