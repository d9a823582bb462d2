"""A real fork server, for enclaves that run in this process: one for all of them.

It has imported what children need, so that each takes a few milliseconds and not a third of a
second; in all else it is the enclave's own.
"""

from __future__ import annotations

import atexit
import shutil
import socket
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Final

from saferoom_enclaves.children.forkserver import Terms
from saferoom_enclaves.children.workshop import Workshop
from saferoom_enclaves.storework import StoreWork

MEMORY: Final = Path("/dev/shm")
WORK: Final = "saferoom_enclaves.children.work"
_PROGRAM: Final = """
import importlib, os, socket, sys
sys.path[:0] = sys.argv[4:]
importlib.import_module(sys.argv[2])
for ready in ["saferoom_enclaves.children.partner", *filter(None, sys.argv[3].split(","))]:
    importlib.import_module(ready)
from saferoom_enclaves.children.forkserver import serve
serve(socket.socket(fileno=int(sys.argv[1])), lambda: sys.modules[sys.argv[2]])
"""


def start(
    folder: Path,
    *,
    work: str = WORK,
    sandbox: bool = False,
    memory_bytes: int = 4 << 30,
    ready: tuple[str, ...] = (),
) -> tuple[subprocess.Popen[bytes], Workshop]:
    """Start a fork server whose children do the jobs of a module."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    tests = [str(Path(__file__).parents[1] / each) for each in ("", "enclaves")]
    command = [sys.executable, "-I", "-B", "-c", _PROGRAM, str(theirs.fileno()), work]
    command.append(",".join(ready))
    command += tests
    with theirs:
        process = subprocess.Popen(
            command,
            pass_fds=(theirs.fileno(),),
            env={"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    read_only = tuple(map(str, _readable())) if sandbox else ()
    terms = Terms(sandbox, read_only, str(folder), memory_bytes)
    return process, Workshop(ours, terms)


def _readable() -> list[Path]:
    from saferoom_enclaves.launch import PACKAGES  # noqa: PLC0415
    from saferoom_enclaves.sandbox import interpreter_paths  # noqa: PLC0415

    return [*interpreter_paths(*PACKAGES), Path(__file__).parents[1]]


@cache
def scratch() -> Path:
    """Give the folder in memory in which they build."""
    folder = Path(mkdtemp(prefix="saferoom-test-", dir=MEMORY))
    atexit.register(shutil.rmtree, folder)
    return folder


@cache
def children(*ready: str) -> StoreWork:
    """Give the children that enclaves in this process have, with more modules ready if wanted."""
    process, workshop = start(scratch(), ready=ready)

    def end() -> None:
        workshop.close()
        process.wait()

    atexit.register(end)
    return StoreWork(workshop, scratch())
