"""Another process on the enclave's host: tries to read the enclave's keys, from outside.

Run by test_sandbox_probe.py, as `python -I onlooker.py TASK`; tells what became of each attempt.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

TASK: dict[str, Any] = json.loads(sys.argv[1])
sys.path.append(str(Path(__file__).parent))

from ways_out import outcome, raw  # noqa: E402 - it lies beside this program

PID: int = TASK["pid"]
CALLS: dict[str, int] = TASK["calls"]
PAGE = ctypes.create_string_buffer(8)
VECTOR = (ctypes.c_ulong * 2)(ctypes.addressof(PAGE), ctypes.sizeof(PAGE))
"""struct iovec: where to, and from where; kept, so that it is there when a call is made."""


def opened(name: str) -> None:
    descriptor = os.open(f"/proc/{PID}/{name}", os.O_RDONLY)
    try:
        if name in {"environ", "auxv", "syscall", "stack", "maps", "smaps", "pagemap", "io"}:
            os.read(descriptor, 1)
    finally:
        os.close(descriptor)


def attempts() -> dict[str, Callable[[], object]]:
    names = ("mem", "environ", "maps", "smaps", "auxv", "syscall", "stack", "pagemap", "io")
    tried: dict[str, Callable[[], object]] = {
        f"/proc/PID/{name}": lambda name=name: opened(name) for name in names
    }
    tried |= {f"/proc/PID/{name}": lambda name=name: opened(name) for name in ("fd", "map_files")}
    for name in ("root", "cwd", "exe", "fd/0"):
        tried[f"/proc/PID/{name}"] = lambda name=name: Path(f"/proc/{PID}/{name}").readlink()
    there = ctypes.addressof(VECTOR)
    handle = os.pidfd_open(PID)
    tried["ptrace attach"] = raw(CALLS["ptrace"], 16, PID, 0, 0)
    tried["ptrace seize"] = raw(CALLS["ptrace"], 0x4206, PID, 0, 0)
    tried["process_vm_readv"] = raw(CALLS["process_vm_readv"], PID, there, 1, there, 1, 0)
    tried["process_vm_writev"] = raw(CALLS["process_vm_writev"], PID, there, 1, there, 1, 0)
    tried["pidfd_getfd"] = raw(CALLS["pidfd_getfd"], handle, 0, 0)
    tried["kcmp"] = raw(CALLS["kcmp"], PID, os.getpid(), 0, 0, 0)
    tried["setns"] = raw(CALLS["setns"], handle, 0x4000_0000)  # its network
    return tried


sys.stdout.write(json.dumps({name: outcome(attempt) for name, attempt in attempts().items()}))
