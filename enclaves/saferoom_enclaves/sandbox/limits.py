"""Bounds what the process may use, and gives up every privilege it might hold."""

from __future__ import annotations

import ctypes
import os
import resource
import struct
from pathlib import Path
from typing import Final

from saferoom_enclaves.sandbox.kernel import own_status, system_call
from saferoom_proto.reasons import Reason, SafeRoomError

# linux/prctl.h
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_DUMPABLE: Final = 4
_PR_CAPBSET_DROP: Final = 24
_PR_SET_NO_NEW_PRIVS: Final = 38
_PR_CAP_AMBIENT: Final = 47
_PR_CAP_AMBIENT_CLEAR_ALL: Final = 4
_SIGKILL: Final = 9

# linux/capability.h: version 3 has two 32-bit words in each of three sets.
_CAPABILITY_VERSION_3: Final = 0x2008_0522
_CAPABILITY_SETS: Final = ("CapEff", "CapPrm", "CapInh", "CapAmb")


def limit_resources(
    address_space_bytes: int,
    open_files: int,
    cpu_seconds: int | None = None,
    file_bytes: int | None = None,
) -> None:
    """Caps address space, open files and, where given, CPU time and files; forbids core dumps.

    A limit that is already lower stays. Address space is what bounds a runaway query: DuckDB's own
    memory limit does not hold (measured: `range(500000000)` reached 16 GB under a limit of 256 MB).
    """
    wanted = {
        resource.RLIMIT_AS: address_space_bytes,
        resource.RLIMIT_NOFILE: open_files,
        resource.RLIMIT_CORE: 0,
    }
    if cpu_seconds is not None:
        wanted[resource.RLIMIT_CPU] = cpu_seconds
    if file_bytes is not None:
        wanted[resource.RLIMIT_FSIZE] = file_bytes
    for what, bound in wanted.items():
        _, hard = resource.getrlimit(what)
        if hard != resource.RLIM_INFINITY:
            bound = min(bound, hard)  # noqa: PLW2901 - the loop's own value, narrowed
        resource.setrlimit(what, (bound, bound))


def forbid_dumping() -> None:
    """Makes the process not dumpable: no core, and no ptrace or /proc/PID/mem for its own uid."""
    system_call("prctl", _PR_SET_DUMPABLE, 0, 0, 0, 0)


def forbid_new_privileges() -> None:
    """Makes set-uid programs and file capabilities of no use to this process, for ever."""
    system_call("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def die_with_parent() -> None:
    """Has the kernel kill this process when the thread that started it ends.

    Raises:
        SafeRoomError: UNAVAILABLE, the parent was gone before the kernel was told.
    """
    parent = os.getppid()
    system_call("prctl", _PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        raise SafeRoomError(Reason.UNAVAILABLE, "the parent ended before the sandbox was closed")


def drop_bounding_set() -> None:
    """Empties the capability bounding set.

    Raises:
        OSError: the process lacks CAP_SETPCAP, as an ordinary process outside a user namespace
            does. It then has no capability either, and may not gain one.
    """
    highest = int(Path("/proc/sys/kernel/cap_last_cap").read_text("ascii"))
    for capability in range(highest + 1):
        system_call("prctl", _PR_CAPBSET_DROP, capability, 0, 0, 0)


def drop_capabilities() -> None:
    """Empties the effective, permitted, inheritable and ambient sets, and reads them back.

    Raises:
        OSError: a capability remains.
    """
    system_call("prctl", _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    header = ctypes.create_string_buffer(struct.pack("=Ii", _CAPABILITY_VERSION_3, 0), 8)
    empty_sets = ctypes.create_string_buffer(24)
    system_call("capset", header, empty_sets)
    for name in _CAPABILITY_SETS:
        if int(own_status(name), 16):
            raise OSError(f"{name} is not empty")
