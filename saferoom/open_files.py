"""How many files the room's process may open: enough for every connection, and for its own."""

from __future__ import annotations

import resource
from typing import Final

from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError

OWN_FILES: Final = 512
"""The log's, pages' and their readers', and a dozen of each enclave."""
_ADDRESSES: Final = 2
"""Of one name: gRPC counts the connections of each apart."""


def have_files(connections: int) -> None:
    """Have the system let this process open as many files as it needs.

    Raises:
        SafeRoomError: `BAD_CONFIG` if it may not: strangers' connections would take them all, and
            leave none to the log.
    """
    needed = _ADDRESSES * connections + OWN_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        rule = f"the process may open {hard} files, and needs {needed}: fewer, or LimitNOFILE="
        fault = FieldFault("limits.connections", rule)
        raise SafeRoomError(Reason.BAD_CONFIG, f"limits.connections: {rule}", [fault])
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
