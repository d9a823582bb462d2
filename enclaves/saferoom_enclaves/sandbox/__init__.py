"""The sandbox an enclave closes around itself before it touches a record.

Two calls, in this order, from a process that still has a single thread:

1. `confine(plan)`: own namespaces; limits, not dumpable, no new privileges, no capabilities;
   Landlock. Namespaces come first because the kernel maps a user only for a dumpable process;
   Landlock comes before any library starts a thread, because it binds only its caller's future.
2. Import what is heavy: gRPC, or in a child DuckDB. This package imports none of them.
3. `close_system_calls(report)`: the seccomp allow-list, on every thread.

What the host refuses is left out and named in the report; nothing is dropped silently. A process
that was forked before keeps its freedom, and so do descriptors that were inherited.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from saferoom_enclaves.sandbox import landlock, limits, seccomp
from saferoom_enclaves.sandbox.namespaces import leave_host_namespaces
from saferoom_enclaves.sandbox.paths import interpreter_paths
from saferoom_enclaves.sandbox.plan import Part, SandboxPlan, SandboxReport
from saferoom_enclaves.sandbox.policy import ENCLAVE, Policy
from saferoom_proto.reasons import Reason, SafeRoomError

__all__ = [
    "Part",
    "SandboxPlan",
    "SandboxReport",
    "close_system_calls",
    "confine",
    "interpreter_paths",
]

_NOT_CLOSED_YET = f"{Part.SYSTEM_CALLS}: not closed yet"


class _Attempts:
    """Tries one part after the other and remembers which the host granted."""

    def __init__(self) -> None:
        self.holds: list[Part] = []
        self.missing: list[str] = []

    def attempt(self, part: Part, step: Callable[[], object]) -> bool:
        try:
            step()
        except (OSError, ValueError) as error:  # setrlimit refuses with ValueError
            self.missing.append(f"{part}: {error}")
            return False
        self.holds.append(part)
        return True


def confine(plan: SandboxPlan) -> SandboxReport:
    """Confines the calling process, as far as its host allows, for the rest of its life.

    Returns:
        What holds so far. System calls are still open, so its level is 0;
        `close_system_calls` returns the final report.

    Raises:
        SafeRoomError: BAD_CONFIG, the process already has a second thread, which would stay free;
            UNAVAILABLE, it should die with a parent that is gone already.
    """
    threads = sum(1 for _ in Path("/proc/self/task").iterdir())
    if threads != 1:
        raise SafeRoomError(
            Reason.BAD_CONFIG, f"the process has {threads} threads; confine it before it starts any"
        )
    tried = _Attempts()
    tried.attempt(Part.NAMESPACES, leave_host_namespaces)
    tried.attempt(
        Part.RESOURCE_LIMITS,
        lambda: limits.limit_resources(plan.address_space_bytes, plan.open_files),
    )
    tried.attempt(Part.NOT_DUMPABLE, limits.forbid_dumping)
    tried.attempt(Part.NO_NEW_PRIVILEGES, limits.forbid_new_privileges)
    tried.attempt(Part.EMPTY_BOUNDING_SET, limits.drop_bounding_set)
    tried.attempt(Part.NO_CAPABILITIES, limits.drop_capabilities)
    if plan.die_with_parent:
        tried.attempt(Part.DIES_WITH_PARENT, limits.die_with_parent)
    _restrict_files(plan, tried)
    return SandboxReport.of(tried.holds, (*tried.missing, _NOT_CLOSED_YET))


def close_system_calls(report: SandboxReport, policy: Policy = ENCLAVE) -> SandboxReport:
    """Closes the system calls, once everything heavy is imported, and completes the report.

    Args:
        report: what `confine` returned.
        policy: which allow-list: the enclave's, or its fork server's.
    """
    tried = _Attempts()
    tried.holds = [Part(name) for name in report.holds]
    tried.missing = [line for line in report.missing if line != _NOT_CLOSED_YET]
    tried.attempt(Part.SYSTEM_CALLS, lambda: seccomp.close(policy))
    return SandboxReport.of(tried.holds, tried.missing)


def _restrict_files(plan: SandboxPlan, tried: _Attempts) -> None:
    abi = 0

    def restrict() -> None:
        nonlocal abi
        abi = landlock.restrict_files(plan.read_only, plan.read_write, plan.socket_folders)

    if not tried.attempt(Part.LANDLOCK_FILES, restrict):
        return
    for part, needed in (
        (Part.LANDLOCK_TRUNCATE, landlock.TRUNCATE_ABI),
        (Part.LANDLOCK_TCP, landlock.TCP_ABI),
        (Part.LANDLOCK_DEVICES, landlock.DEVICES_ABI),
        (Part.LANDLOCK_SCOPES, landlock.SCOPES_ABI),
    ):
        if abi >= needed:
            tried.holds.append(part)
        else:
            tried.missing.append(f"{part}: the kernel's Landlock ABI is {abi}, not {needed}")
