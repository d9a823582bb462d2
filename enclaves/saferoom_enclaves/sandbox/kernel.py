"""Calls the Linux kernel directly, for the calls that Python and glibc offer no function for."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import Final

from saferoom_enclaves.sandbox.numbers import MACHINES

MACHINE: Final = os.uname().machine

_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_LIBC.syscall.restype = ctypes.c_long


def system_call(name: str, *arguments: int | ctypes.Array[ctypes.c_char]) -> int:
    """Makes one system call and returns its result.

    Args:
        name: the call, as the kernel's headers name it.
        arguments: integers go in full machine words, buffers as their addresses.

    Raises:
        OSError: the kernel refused, or the machine has no such call.
    """
    try:
        number = MACHINES[MACHINE][name]
    except KeyError as error:
        raise OSError(f"no system call {name} is known on {MACHINE}") from error
    words = [
        ctypes.c_ulong(argument) if isinstance(argument, int) else argument
        for argument in arguments
    ]
    ctypes.set_errno(0)
    result = int(_LIBC.syscall(ctypes.c_long(number), *words))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")
    return result


def own_status(field: str) -> str:
    """Returns one field of /proc/self/status, such as `CapEff` or `Seccomp`."""
    for line in Path("/proc/self/status").read_text("ascii", "replace").splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return value.strip()
    raise OSError(f"/proc/self/status has no field {field}")
