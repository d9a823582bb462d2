"""The real enclave, with somebody hostile inside: one more thread that tries to get out.

Run by test_sandbox_probe.py, as `python -I -B probed.py TASK` in the place of
`python -I -B -m saferoom_enclaves`. Nothing of the enclave is altered but that a thread starts once
its system calls are closed. It waits for a file `go` in the enclave's own folder, tries every way
out, and leaves what became of each in `tried`, as JSON.
"""

# ruff: noqa: E402 - the path is set before anything else is imported

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

TASK: dict[str, Any] = json.loads(sys.argv[1])
sys.path[:] = [*TASK["sys_path"], str(Path(__file__).parent)]

import threading
import time

import ways_out

from saferoom_enclaves.children.forkserver import begin

CONTROL = begin()

from saferoom_enclaves import start
from saferoom_enclaves.sandbox import SandboxReport, close_system_calls

STATE = Path(TASK["state"])
ATTEMPTS = {
    **ways_out.reads(TASK["outside"], "secret"),
    **ways_out.reads(TASK["neighbour"], "state.db"),
    **ways_out.sockets(),
    **ways_out.programs(STATE),
    **ways_out.calls(TASK["forbidden_calls"], TASK["calls"]),
    **ways_out.unlisted(TASK["calls"], TASK["most_calls"]),
}


def close_and_probe(report: SandboxReport) -> SandboxReport:
    closed = close_system_calls(report)
    threading.Thread(target=probe, args=(closed,), daemon=True).start()
    return closed


def probe(closed: SandboxReport) -> None:
    while not (STATE / "go").exists():
        time.sleep(0.02)
    tried = {name: ways_out.outcome(attempt) for name, attempt in ATTEMPTS.items()}
    written = STATE / "tried.new"
    written.write_text(json.dumps({"holds": closed.holds, "tried": tried}))
    written.rename(STATE / "tried")


if __name__ == "__main__":
    start.close_system_calls = close_and_probe
    sys.exit(start.start(CONTROL))
