"""Jobs that no enclave has: a child tries to get out, hangs, dies, or answers what it should not.

The fork server of `wild_room.py` has its children do these; all others are the real ones.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import json
import mmap
import os
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import duckdb

from saferoom_enclaves.children import frames, work
from saferoom_enclaves.engine import connect
from saferoom_enclaves.sandbox.numbers import MACHINES

LIBC: Final = ctypes.CDLL(None, use_errno=True)
LIBC.syscall.restype = ctypes.c_long


def outcome(attempt: Callable[[], object]) -> str:
    """Tell what became of an attempt: `done`, or the name of the error."""
    try:
        attempt()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, repr(error))
    except (MemoryError, duckdb.Error) as error:
        return type(error).__name__
    return "done"


def raw(number: int, *arguments: int) -> Callable[[], None]:
    """Make a system call by its number, whatever its pointers."""

    def call() -> None:
        if LIBC.syscall(ctypes.c_long(number), *map(ctypes.c_ulong, arguments)) < 0:
            raise OSError(ctypes.get_errno(), "refused")

    return call


def fork() -> None:
    if os.fork() == 0:
        os._exit(0)


def escapes(task: dict[str, Any], files: tuple[int, ...]) -> dict[str, str]:
    """Try everything that a child must not be able to do."""
    parent, enclave = os.getppid(), task["enclave"]
    numbers = MACHINES[os.uname().machine]
    attempts: dict[str, Callable[[], object]] = {
        "read /etc/passwd": Path("/etc/passwd").read_bytes,
        "list /": lambda: list(Path("/").iterdir()),
        "list /proc": lambda: list(Path("/proc").iterdir()),
        "read another owner's folder": Path(task["secret"]).read_bytes,
        "write a folder": lambda: Path(task["secret"]).with_name("new").write_bytes(b"x"),
        "write scratch": Path(task["scratch"], "left").touch,
        "list scratch": lambda: list(Path(task["scratch"]).iterdir()),
        "write the interpreter": lambda: Path(sys.prefix, "lib", "new").write_bytes(b"x"),
        "write the store": lambda: os.pwrite(files[0], b"x", 0),
        "grow the store": lambda: os.ftruncate(files[0], 1 << 10),
        "map the store for writing": lambda: mmap.mmap(files[0], 1),
        "change the seals": lambda: fcntl.fcntl(files[0], fcntl.F_ADD_SEALS, 0),
        "more memory files": lambda: os.memfd_create("more"),
        "exec": lambda: os.execv("/bin/sh", ["sh"]),
        "spawn": lambda: os.posix_spawn("/bin/sh", ["sh"], {}),
        "fork": fork,
        "signal the fork server": lambda: os.kill(parent, 0),
        "signal the enclave": lambda: os.kill(enclave, 0),
        "signal itself by group": lambda: os.killpg(0, 0),
        "raise a limit": raw(numbers["prlimit64"], 0, 9, id(LIBC), 0),
        "outlive the fork server": raw(numbers["prctl"], 1, 0, 0, 0, 0),
        "be dumpable": raw(numbers["prctl"], 4, 1, 0, 0, 0),
    }
    for who, pid in (("the fork server", parent), ("the enclave", enclave)):
        for name in ("mem", "environ", "maps", "fd", "status", "cmdline"):
            path = Path(f"/proc/{pid}/{name}")
            read = path.iterdir if name == "fd" else path.open
            attempts[f"{name} of {who}"] = lambda read=read: list(read())
    families = {"UNIX": 1, "INET": 2, "INET6": 10, "NETLINK": 16, "PACKET": 17, "ALG": 38}
    for name, family in (families | {"VSOCK": 40, "XDP": 44}).items():
        attempts[f"{name} socket"] = lambda family=family: socket.socket(family)
    attempts["socket pair"] = socket.socketpair
    for name, number in task["forbidden_calls"].items():
        attempts[name] = raw(number, 0, 0, 0, 0, 0, 0)
    reading = task["forbidden_calls"]["process_vm_readv"]
    attempts["read the enclave's memory"] = raw(reading, enclave, 0, 0, 0, 0, 0)
    attempts["trace the enclave"] = raw(task["forbidden_calls"]["ptrace"], 16, enclave, 0, 0)
    attempts["clone into a namespace"] = raw(numbers["clone"], 0x1001_0000, 0, 0, 0, 0)
    return {name: outcome(attempt) for name, attempt in attempts.items()}


def open_descriptors() -> list[int]:
    def is_open(descriptor: int) -> bool:
        return outcome(lambda: os.fstat(descriptor)) == "done"

    return [descriptor for descriptor in range(256) if is_open(descriptor)]


def sql(task: dict[str, Any]) -> str:
    """Run SQL that no allow-list has seen."""
    with connect(1 << 28) as connection:
        return outcome(lambda: connection.execute(task["sql"]).fetchall())


def compute() -> None:
    while True:
        pass


def babble(channel: socket.socket) -> None:
    while True:
        frames.send(channel, b"said 0")


def linger(channel: socket.socket) -> None:
    frames.send(channel, b'"answered"')
    time.sleep(3600)


def say(channel: socket.socket, data: bytes) -> None:
    channel.sendall(data)
    os._exit(0)


def send_files(channel: socket.socket, files: list[int]) -> None:
    frames.send(channel, b'"answered"', files)
    os._exit(0)


def perform(channel: socket.socket) -> None:
    """Do a wild job, or pass a real one on."""
    frame = frames.receive(channel, work.MOST_JOB_BYTES, work.MOST_FILES)
    if frame is None or not frame.message.startswith(b"wild:"):
        if frame is not None:
            work.do(frame, channel)
        return
    task: dict[str, Any] = json.loads(frame.message.removeprefix(b"wild:"))
    jobs: dict[str, Callable[[], object]] = {
        "escape": lambda: escapes(task, frame.files),
        "descriptors": open_descriptors,
        "environment": lambda: dict(os.environ),
        "sql": lambda: sql(task),
        "compute": compute,
        "sleep": lambda: time.sleep(3600),
        "crash": lambda: ctypes.string_at(0),
        "exit": lambda: os._exit(task["code"]),
        "write": lambda: outcome(lambda: os.write(frame.files[0], bytes(task["bytes"]))),
        "allocate": lambda: outcome(lambda: bytearray(task["bytes"])),
        "say": lambda: say(channel, bytes.fromhex(task["bytes"])),
        "linger": lambda: linger(channel),
        "babble": lambda: babble(channel),
        "files": lambda: send_files(channel, [frame.files[0]] * task["count"]),
    }
    frames.send(channel, json.dumps(jobs[task["do"]]()).encode())
