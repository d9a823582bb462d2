"""Closes all system calls but the allow-list, with a seccomp filter assembled here.

Source: seccomp(2), linux/filter.h, linux/seccomp.h. The filter is classic BPF: a list of 8-byte
instructions with one accumulator and forward jumps only. No library is needed, so none has to be
found once the file system is closed.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from saferoom_enclaves.sandbox.kernel import MACHINE, system_call
from saferoom_enclaves.sandbox.numbers import MACHINES
from saferoom_enclaves.sandbox.policy import (
    ENCLAVE,
    PRETEND_ABSENT,
    Argument,
    Conditional,
    Policy,
)

# linux/audit.h: the machine a call was made for. A 64-bit process can also make 32-bit calls,
# which have other numbers.
_AUDIT_ARCH: Final = {"x86_64": 0xC000_003E, "aarch64": 0xC000_00B7}
_X32_BIT: Final = 0x4000_0000
"""x86_64 calls with this bit belong to the x32 ABI; asm/unistd.h."""

# linux/bpf_common.h, linux/filter.h
LOAD: Final = 0x20  # BPF_LD | BPF_W | BPF_ABS
AND: Final = 0x54  # BPF_ALU | BPF_AND | BPF_K
JUMP_IF_EQUAL: Final = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
JUMP_IF_AT_LEAST: Final = 0x35  # BPF_JMP | BPF_JGE | BPF_K
RETURN: Final = 0x06  # BPF_RET | BPF_K

# linux/seccomp.h
KILL: Final = 0x8000_0000
ALLOW: Final = 0x7FFF_0000
REFUSE: Final = 0x0005_0000 | errno.EPERM
ABSENT: Final = 0x0005_0000 | errno.ENOSYS
_SET_MODE_FILTER: Final = 1
_FLAG_TSYNC: Final = 1

_PERSONALITY_ASKED: Final = 0xFFFF_FFFF
"""With it personality(2) changes nothing."""

# struct seccomp_data, linux/seccomp.h; both machines are little-endian.
_NUMBER_AT: Final = 0
_ARCH_AT: Final = 4
_ARGUMENTS_AT: Final = 16


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction of classic BPF: jumps count the instructions to skip."""

    code: int
    k: int
    if_true: int = 0
    if_false: int = 0

    def pack(self) -> bytes:
        """Returns the kernel's `struct sock_filter`."""
        return struct.pack("=HBBI", self.code, self.if_true, self.if_false, self.k)


def assemble(machine: str, own_pid: int, policy: Policy = ENCLAVE) -> tuple[Instruction, ...]:
    """Assembles the filter for a machine.

    Args:
        machine: x86_64 or aarch64.
        own_pid: the process that the filter will bind.
        policy: which allow-list.

    Raises:
        OSError: the machine is neither.
    """
    if machine not in _AUDIT_ARCH:
        raise OSError(f"no system call filter is known for {machine}")
    numbers = MACHINES[machine]
    program = [
        Instruction(LOAD, _ARCH_AT),
        Instruction(JUMP_IF_EQUAL, _AUDIT_ARCH[machine], if_true=1),
        Instruction(RETURN, KILL),
        Instruction(LOAD, _NUMBER_AT),
    ]
    if machine == "x86_64":
        program += [
            Instruction(JUMP_IF_AT_LEAST, _X32_BIT, if_false=1),
            Instruction(RETURN, KILL),
        ]
    program += _always(numbers, policy.unconditional, ALLOW)
    for rule in policy.conditional(own_pid):
        program += _when(numbers[rule.call], rule)
    program += _always(numbers, PRETEND_ABSENT, ABSENT)
    program.append(Instruction(RETURN, REFUSE))
    return tuple(program)


def close(policy: Policy = ENCLAVE) -> None:
    """Binds every thread of the process to an allow-list, for ever.

    Raises:
        OSError: the kernel has no seccomp filters, the machine is unknown, or a thread could not
            be bound.
    """
    install(assemble(MACHINE, os.getpid(), policy))
    try:
        system_call("personality", _PERSONALITY_ASKED)  # on no list
    except PermissionError:
        return  # the filter itself refused: it is in force
    raise OSError("the system call filter is not in force")


def install(program: Sequence[Instruction]) -> None:
    """Binds every thread of the process to a filter, on top of those it has already.

    Raises:
        OSError: the kernel refuses, or a thread has a filter that the others do not have.
    """
    packed = b"".join(instruction.pack() for instruction in program)
    instructions = ctypes.create_string_buffer(packed, len(packed))
    # struct sock_fprog: a length, padding to the pointer's alignment, and the pointer.
    header = struct.pack("HxxxxxxQ", len(program), ctypes.addressof(instructions))
    thread = system_call(
        "seccomp", _SET_MODE_FILTER, _FLAG_TSYNC, ctypes.create_string_buffer(header, len(header))
    )
    if thread:
        raise OSError(f"thread {thread} has a system call filter of its own")


def _always(numbers: dict[str, int], calls: Iterable[str], verdict: int) -> list[Instruction]:
    program: list[Instruction] = []
    for number in sorted(numbers[call] for call in calls if call in numbers):
        program += [
            Instruction(JUMP_IF_EQUAL, number, if_false=1),
            Instruction(RETURN, verdict),
        ]
    return program


def _when(number: int, rule: Conditional) -> list[Instruction]:
    body = [one for argument in rule.arguments for one in _condition(argument)]
    body.append(Instruction(RETURN, ALLOW))
    # The body always returns, so what follows still finds the call's number loaded.
    return [Instruction(JUMP_IF_EQUAL, number, if_false=len(body)), *body]


def _condition(argument: Argument) -> list[Instruction]:
    """Returns from the filter with a refusal unless the condition holds; else runs on."""
    offset = _ARGUMENTS_AT + 8 * argument.index
    program: list[Instruction] = []
    if argument.wide:
        program += [
            Instruction(LOAD, offset + 4),
            Instruction(JUMP_IF_EQUAL, 0, if_true=1),
            Instruction(RETURN, REFUSE),
        ]
    program += [Instruction(LOAD, offset), Instruction(AND, argument.mask)]
    for left in range(len(argument.allowed), 0, -1):
        value = argument.allowed[len(argument.allowed) - left]
        program.append(Instruction(JUMP_IF_EQUAL, value, if_true=left))
    program.append(Instruction(RETURN, REFUSE))
    return program
