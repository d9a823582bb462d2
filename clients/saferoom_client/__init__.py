"""What a bank, an owner, a subject or an auditor installs: the room from Python and from a shell.

from saferoom_client import Room

with Room.open("profile") as room:
    answer = room.check(
        "steady-payer",
        subject="919900000000000192",
        purpose="pre-loan",
        params={"min_paid": "5000"},
    )
    print(answer.truth, answer.request_id)

The names below are what programs should use; docs/sdk.md tells how.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from saferoom_client.public import (
        AsyncRoom,
        CheckAnswer,
        Purpose,
        Question,
        Reason,
        Receipt,
        Refused,
        Room,
        SafeRoomError,
        Trust,
        Truth,
        verify_receipt,
    )

__all__ = [
    "AsyncRoom",
    "CheckAnswer",
    "Purpose",
    "Question",
    "Reason",
    "Receipt",
    "Refused",
    "Room",
    "SafeRoomError",
    "Trust",
    "Truth",
    "verify_receipt",
]


def __getattr__(name: str) -> object:
    """Import what is asked for: the command line must not wait a second to show its help."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from saferoom_client import public  # noqa: PLC0415 - importing late is what this is for

    return getattr(public, name)


def __dir__() -> list[str]:
    """Name what can be imported, for completion too."""
    return sorted({*globals(), *__all__})
