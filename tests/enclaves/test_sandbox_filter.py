"""The system call filter, run instruction by instruction for both machines, without a kernel."""

from __future__ import annotations

import os
import re
import socket
import struct
import subprocess
import sys
import termios
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saferoom_enclaves.sandbox.numbers import MACHINES
from saferoom_enclaves.sandbox.policy import CHILD, ENCLAVE, FORK_SERVER, Policy
from saferoom_enclaves.sandbox.seccomp import (
    ABSENT,
    ALLOW,
    AND,
    JUMP_IF_AT_LEAST,
    JUMP_IF_EQUAL,
    KILL,
    LOAD,
    REFUSE,
    Instruction,
    assemble,
)

PID: Final = 4711
HEADERS: Final = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}
AUDIT: Final = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7, "i386": 0x40000003}
machines = pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
policies = pytest.mark.parametrize(
    "policy", [ENCLAVE, FORK_SERVER, CHILD], ids=["enclave", "fork server", "child"]
)


def verdict(
    program: Sequence[Instruction], arch: int, number: int, arguments: Sequence[int] = ()
) -> int:
    """Run a classic BPF program on one `struct seccomp_data`."""
    words = [*arguments, *[0] * (6 - len(arguments))]
    data = struct.pack("=IIQ6Q", number, arch, 0, *(word & (1 << 64) - 1 for word in words))
    accumulator, at = 0, 0
    while True:
        one = program[at]
        at += 1
        match one.code:
            case code if code == LOAD:
                (accumulator,) = struct.unpack_from("=I", data, one.k)
            case code if code == AND:
                accumulator &= one.k
            case code if code == JUMP_IF_EQUAL:
                at += one.if_true if accumulator == one.k else one.if_false
            case code if code == JUMP_IF_AT_LEAST:
                at += one.if_true if accumulator >= one.k else one.if_false
            case _:
                return one.k


def judge(machine: str, name: str, *arguments: int, policy: Policy = ENCLAVE) -> int:
    program = assemble(machine, PID, policy)
    return verdict(program, AUDIT[machine], MACHINES[machine][name], arguments)


def numbers_in(header: Path) -> dict[str, int]:
    """Read the system call numbers of a kernel header, through its own aliases."""
    defines = dict(re.findall(r"#define (__NR\w*) (\w+)", header.read_text()))

    def resolve(value: str) -> int:
        return int(value) if value.isdigit() else resolve(defines[value])

    return {
        name.removeprefix("__NR_"): resolve(value)
        for name, value in defines.items()
        if name.startswith("__NR_") and (value.isdigit() or value in defines)
    }


@machines
def test_every_number_is_the_kernels_own(machine: str) -> None:
    header = HEADERS[machine]
    if not header.is_file():
        pytest.skip(f"{header} is not installed")
    published = numbers_in(header)
    ours = MACHINES[machine]
    assert len(ours) > 100
    assert {name: published.get(name) for name in ours} == ours


@machines
@policies
@given(number=st.integers(0, 600), arguments=st.lists(st.integers(0, (1 << 64) - 1), max_size=6))
def test_what_is_not_on_the_list_is_refused(
    machine: str, policy: Policy, number: int, arguments: list[int]
) -> None:
    names = {value: name for name, value in MACHINES[machine].items()}
    listed = policy.unconditional | {rule.call for rule in policy.conditional(PID)} | {"clone3"}
    found = verdict(assemble(machine, PID, policy), AUDIT[machine], number, arguments)
    if names.get(number) in policy.unconditional:
        assert found == ALLOW
    elif names.get(number) not in listed:
        assert found == REFUSE


@machines
@pytest.mark.parametrize("arch", [0, *AUDIT.values()])
def test_a_call_of_another_architecture_kills(machine: str, arch: int) -> None:
    program = assemble(machine, PID)
    found = verdict(program, arch, MACHINES[machine]["getpid"])
    assert found == (ALLOW if arch == AUDIT[machine] else KILL)


def test_a_call_of_the_x32_abi_kills() -> None:
    assert verdict(assemble("x86_64", PID), AUDIT["x86_64"], 0x4000_0000 | 39) == KILL


def test_an_unknown_machine_has_no_filter() -> None:
    with pytest.raises(OSError, match="riscv64"):
        assemble("riscv64", PID)


HIGH: Final = 1 << 32  # bits that the kernel does not read where it takes an `int`
CONDITIONS: Final = [
    ("clone", (0x3D0F00,), ALLOW),  # the C library's own thread
    ("clone", (0x11,), REFUSE),  # fork: SIGCHLD
    ("clone", (0x4111,), REFUSE),  # vfork
    ("clone", (0x3D0F00 | 0x1000_0000,), REFUSE),  # a thread in a new user namespace
    ("socket", (socket.AF_UNIX, socket.SOCK_STREAM), ALLOW),
    ("socket", (socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC), ALLOW),
    ("socket", (socket.AF_UNIX, socket.SOCK_DGRAM), REFUSE),
    ("socket", (socket.AF_UNIX, socket.SOCK_SEQPACKET), REFUSE),
    ("socket", (socket.AF_INET, socket.SOCK_STREAM), REFUSE),
    ("socket", (HIGH | socket.AF_INET, socket.SOCK_STREAM), REFUSE),
    ("socketpair", (socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK), ALLOW),
    ("socketpair", (socket.AF_UNIX, socket.SOCK_DGRAM), REFUSE),
    ("prctl", (15,), ALLOW),  # PR_SET_NAME
    ("prctl", (0x53564D41,), ALLOW),  # PR_SET_VMA
    ("prctl", (4,), REFUSE),  # PR_SET_DUMPABLE
    ("prctl", (22,), REFUSE),  # PR_SET_SECCOMP
    ("ioctl", (0, termios.FIONBIO), ALLOW),
    ("ioctl", (0, termios.TIOCSTI), REFUSE),
    ("ioctl", (0, 0x40049409), REFUSE),  # FICLONE
    ("fcntl", (0, 6), ALLOW),  # F_SETLK
    ("fcntl", (0, 1033), ALLOW),  # F_ADD_SEALS
    ("fcntl", (0, 8), REFUSE),  # F_SETOWN
    ("fcntl", (0, 10), REFUSE),  # F_SETSIG
    ("prlimit64", (0, 7, 0, 1), ALLOW),
    ("prlimit64", (PID, 7, 0, 1), REFUSE),
    ("prlimit64", (0, 7, 1, 0), REFUSE),
    ("prlimit64", (0, 7, HIGH, 0), REFUSE),
    ("tgkill", (PID, 1, 6), ALLOW),
    ("tgkill", (PID + 1, 1, 9), REFUSE),
    ("clone3", (0, 0), ABSENT),
]


@machines
@pytest.mark.parametrize(("name", "arguments", "expected"), CONDITIONS)
def test_arguments_decide(
    machine: str, name: str, arguments: tuple[int, ...], expected: int
) -> None:
    assert judge(machine, name, *arguments) == expected


OF_A_CHILD: Final = [
    ("clone", (0x3D0F00,), ALLOW),
    ("clone", (0x0120_0011,), REFUSE),  # the C library's fork
    ("socket", (socket.AF_UNIX, socket.SOCK_STREAM), REFUSE),
    ("socketpair", (socket.AF_UNIX, socket.SOCK_STREAM), REFUSE),
    ("memfd_create", (), REFUSE),  # memory that no limit counts
    ("bind", (), REFUSE),
    ("accept4", (), REFUSE),
    ("prctl", (1,), REFUSE),  # PR_SET_PDEATHSIG
    ("prlimit64", (0, 7, 1, 0), REFUSE),
    ("pidfd_send_signal", (), REFUSE),
    ("recvmsg", (), ALLOW),
]
OF_THE_FORK_SERVER: Final = [
    ("clone", (0x0120_0011,), ALLOW),
    ("clone", (0x0120_0011 | 0x1000_0000,), REFUSE),  # into a user namespace
    ("clone", (0x3D0F00,), ALLOW),  # its children start threads
    ("clone", (9,), REFUSE),  # whose end would kill the parent
    ("socket", (socket.AF_UNIX, socket.SOCK_STREAM), REFUSE),
    ("memfd_create", (), REFUSE),
    ("pidfd_send_signal", (), ALLOW),
]


@machines
@pytest.mark.parametrize(("name", "arguments", "expected"), OF_A_CHILD)
def test_a_child_can_do_less(
    machine: str, name: str, arguments: tuple[int, ...], expected: int
) -> None:
    assert judge(machine, name, *arguments, policy=CHILD) == expected


@machines
@pytest.mark.parametrize(("name", "arguments", "expected"), OF_THE_FORK_SERVER)
def test_a_fork_server_forks_and_kills(
    machine: str, name: str, arguments: tuple[int, ...], expected: int
) -> None:
    assert judge(machine, name, *arguments, policy=FORK_SERVER) == expected


def test_a_fork_server_may_do_all_that_its_children_may() -> None:
    assert CHILD.unconditional <= FORK_SERVER.unconditional
    assert not {"memfd_create", "bind", "listen"} & FORK_SERVER.unconditional


@machines
@policies
def test_the_kernel_would_take_the_program(machine: str, policy: Policy) -> None:
    program = assemble(machine, PID, policy)
    assert len(program) <= 4096  # BPF_MAXINSNS
    assert all(len(one.pack()) == 8 for one in program)
    assert program[-1].k == REFUSE


CLOSED: Final = """
import ctypes, mmap, sys
from saferoom_enclaves.sandbox import limits, seccomp
limits.forbid_new_privileges()
seccomp.close()
"""


def end_of(code: str) -> int:
    """Run Python code with its system calls closed, and tell how the process ended."""
    command = [sys.executable, "-I", "-B", "-c", CLOSED + code]
    return subprocess.run(command, check=False, capture_output=True, timeout=30).returncode


SIGSYS: Final = -31
on_x86 = pytest.mark.skipif(os.uname().machine != "x86_64", reason="x86_64 machine code")


@on_x86
def test_the_kernel_kills_on_an_x32_call() -> None:
    assert end_of("ctypes.CDLL(None).syscall(ctypes.c_long(0x40000000 | 39))") == SIGSYS


@on_x86
def test_the_kernel_kills_on_a_32_bit_call() -> None:
    code = """
page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
page.write(bytes.fromhex("b814000000cd80c3"))  # mov eax, 20 (getpid); int 0x80; ret
ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()
"""
    assert end_of(code) in {SIGSYS, -11}  # a kernel without 32-bit calls faults instead


def test_a_thread_that_ran_before_is_bound_too() -> None:
    code = """
import os, threading
from saferoom_enclaves.sandbox import limits, seccomp
limits.forbid_new_privileges()
closed, refused = threading.Event(), threading.Event()
def early():
    closed.wait()
    try:
        os.kill(os.getppid(), 0)
    except PermissionError:
        refused.set()
thread = threading.Thread(target=early)
thread.start()
seccomp.close()
closed.set()
thread.join()
raise SystemExit(0 if refused.is_set() else 1)
"""
    command = [sys.executable, "-I", "-B", "-c", code]
    assert subprocess.run(command, check=False, timeout=30).returncode == 0
