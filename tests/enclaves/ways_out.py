"""Every way out of an enclave's process that anybody thought of, to be tried from inside.

It is used in processes that are confined already: it imports nothing but the standard library.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.syscall.restype = ctypes.c_long
PAGE = ctypes.create_string_buffer(4096)
"""Zeros, for calls that take an address."""
FAMILIES = 64
"""More than Linux has: AF_MAX is 46, linux/socket.h."""
UPROBES = (335, 336)
"""uretprobe and uprobe, x86_64: no filter sees them, by design of the kernel's. Whoever makes them
from elsewhere than a probe's trampoline gets SIGILL."""
KINDS = (
    socket.SOCK_STREAM,
    socket.SOCK_DGRAM,
    socket.SOCK_RAW,
    socket.SOCK_SEQPACKET,
    socket.SOCK_RDM,
)


def outcome(attempt: Callable[[], object]) -> str:
    """Tell what became of an attempt: `done`, or the name of the error."""
    try:
        attempt()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, repr(error))
    except MemoryError:
        return "MemoryError"
    return "done"


def raw(number: int, *arguments: int) -> Callable[[], None]:
    """Make a system call by its number, whatever its pointers."""

    def call() -> None:
        if LIBC.syscall(ctypes.c_long(number), *map(ctypes.c_ulong, arguments)) < 0:
            raise OSError(ctypes.get_errno(), "refused")

    return call


def unix_socket(kind: int, address: str) -> Callable[[], None]:
    def reach() -> None:
        with socket.socket(socket.AF_UNIX, kind) as own:
            own.connect(address)

    return reach


def datagram(address: str) -> None:
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with one, other:
        one.sendto(b"x", address)


def in_memory() -> int:
    """Write a program into memory that has no name, as who brings one with him does."""
    program = os.memfd_create("program", 0)
    os.write(program, b"#!/bin/sh\nexit 0\n")
    return program


def wide_open(path: Path) -> Callable[[], object]:
    return lambda: os.close(os.open(path, os.O_RDWR))


def made_executable(path: Path) -> None:
    """Write a program beside the state and start it."""
    path.write_bytes(b"#!/bin/sh\nexit 0\n")
    os.execv(path, ["program"])


def reads(folder: str, secret: str) -> dict[str, Callable[[], object]]:
    """Read and write what is somebody else's."""
    place, parent = Path(folder), f"/proc/{os.getppid()}"
    own: dict[str, Callable[[], object]] = {
        "read /etc/passwd": Path("/etc/passwd").read_bytes,
        "list /": lambda: list(Path("/").iterdir()),
        "read another folder": (place / secret).read_bytes,
        "list another folder": lambda: list(place.iterdir()),
        "write another folder": lambda: (place / "new").write_bytes(b"x"),
        "empty another's file": lambda: os.truncate(place / secret, 0),
        "remove another's file": (place / secret).unlink,
        "write the interpreter": lambda: Path(sys.prefix, "lib", "new").write_bytes(b"x"),
        "bind outside": lambda: socket.socket(socket.AF_UNIX).bind(str(place / "socket")),
        "list the processes": lambda: list(Path("/proc").iterdir()),
        "open the kernel's settings": wide_open(Path("/proc/sys/kernel/core_pattern")),
    }
    for name in ("environ", "mem", "maps", "root", "cwd", "fd"):
        # A link is followed, so that reading one that leads outside counts as having got there.
        own[f"read another process's {name}"] = lambda name=name: os.close(
            os.open(f"{parent}/{name}", os.O_RDONLY)
        )
    return own


def sockets() -> dict[str, Callable[[], object]]:
    """Make a socket of every family there is, and of every kind."""
    made: dict[str, Callable[[], object]] = {}
    for family in range(FAMILIES):
        for kind in KINDS:
            if (family, kind) != (socket.AF_UNIX, socket.SOCK_STREAM):
                made[f"socket of family {family}, kind {int(kind)}"] = (
                    lambda family=family, kind=kind: socket.socket(family, kind).close()
                )
    made["pair of datagram sockets"] = lambda: socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    return made


def programs(state: Path) -> dict[str, Callable[[], object]]:
    """Start a program or a process."""
    return {
        "exec": lambda: os.execv("/bin/sh", ["sh"]),
        "exec of memory": lambda: os.execve(in_memory(), ["program"], {}),
        "exec of a file of its own": lambda: made_executable(state / "program"),
        "spawn": lambda: os.posix_spawn("/bin/sh", ["sh"], {}),
        "signal the parent": lambda: os.kill(os.getppid(), 0),
        "signal everybody": lambda: os.kill(-1, 0),
        "link out of the folder": lambda: (state / "link").symlink_to("/etc/passwd"),
        "hard link into the folder": lambda: os.link("/etc/passwd", state / "hard"),
        "device in the folder": lambda: os.mknod(state / "device", 0o20600, os.makedev(1, 1)),
        "set-uid in the folder": lambda: os.chmod(state, 0o4777),  # noqa: PTH101
        "give the folder away": lambda: os.chown(state, 12345, 12345),
        "another root": lambda: os.chroot(state),
        "another priority": lambda: os.setpriority(os.PRIO_PROCESS, os.getppid(), 19),
        "another host name": lambda: socket.sethostname("other"),
    }


def calls(
    forbidden: Mapping[str, int], listed: Mapping[str, int]
) -> dict[str, Callable[[], object]]:
    """Make the calls that reach other processes and the kernel, each with what it would take."""
    at = ctypes.addressof(PAGE)
    them = os.getppid()
    given = {
        "ptrace": (16, them, 0, 0),  # PTRACE_ATTACH
        "process_vm_readv": (them, at, 1, at, 1, 0),
        "process_vm_writev": (them, at, 1, at, 1, 0),
        "pidfd_open": (them, 0),
        "keyctl": (0, (1 << 64) - 4, 1),  # KEYCTL_GET_KEYRING_ID, the user's session
        "open_by_handle_at": (0, at, 0),
        "setns": (0, 0),
        "kcmp": (them, them, 0, 0, 0),
        "perf_event_open": (at, 0, (1 << 64) - 1, (1 << 64) - 1, 0),
        "seccomp": (1, 0, at),
        "execveat": (in_memory(), at, at, at, 0x1000),  # AT_EMPTY_PATH
    }
    attempts: dict[str, Callable[[], object]] = {
        name: raw(number, *given.get(name, (0, 0, 0, 0, 0, 0)))
        for name, number in forbidden.items()
    }
    attempts["clone into a namespace"] = raw(listed["clone"], 0x1001_0000, 0, 0, 0, 0)
    attempts["fork, as a call"] = raw(listed["clone"], 17, 0, 0, 0, 0)  # SIGCHLD
    attempts["clone as vfork does"] = raw(listed["clone"], 0x4100 | 17, 0, 0, 0, 0)
    attempts["clone3"] = raw(listed["clone3"], at, 88)
    attempts["raise a limit"] = raw(listed["prlimit64"], 0, 9, at, 0)
    attempts["be dumpable again"] = raw(listed["prctl"], 4, 1, 0, 0, 0)
    attempts["let others trace it"] = raw(listed["prctl"], 0x59616D61, them, 0, 0, 0)
    return attempts


def unlisted(known: Mapping[str, int], most: int) -> dict[str, Callable[[], object]]:
    """Make every call that no list names, by its number."""
    named = {*known.values(), *UPROBES}
    return {f"call {number}": raw(number) for number in range(most) if number not in named}
