"""Takes the process out of the host's network, IPC and host-name namespaces.

Source: user_namespaces(7), network_namespaces(7). A PID namespace would need a fork and is left
out: seccomp already refuses every call that acts on another process.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from saferoom_enclaves.sandbox.kernel import system_call

# linux/sched.h
_CLONE_NEWUTS: Final = 0x0400_0000
_CLONE_NEWIPC: Final = 0x0800_0000
_CLONE_NEWUSER: Final = 0x1000_0000
_CLONE_NEWNET: Final = 0x4000_0000


def leave_host_namespaces() -> None:
    """Moves the process into user, network, IPC and UTS namespaces of its own.

    The user namespace maps the process's own uid and gid to themselves and nothing else. The
    process must have a single thread and must still be dumpable: the kernel gives the map files
    of a process that is not dumpable to root.

    Raises:
        OSError: the host forbids it (containers and hardened distributions often do), or the maps
            cannot be written.
    """
    uid, gid = os.getuid(), os.getgid()
    system_call("unshare", _CLONE_NEWUSER | _CLONE_NEWNET | _CLONE_NEWIPC | _CLONE_NEWUTS)
    # An unprivileged process may map its gid only after it has given up setgroups(2).
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{uid} {uid} 1"),
        ("gid_map", f"{gid} {gid} 1"),
    ):
        Path("/proc/self", name).write_text(text, "ascii")
