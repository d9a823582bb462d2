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
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from saferoom_client.aio import AsyncRoom
    from saferoom_client.refused import Refused
    from saferoom_client.room import Room
    from saferoom_proto.answer import Truth

__all__ = ["AsyncRoom", "Refused", "Room", "Truth"]


def __getattr__(name: str) -> object:
    """Import what is asked for: the command line must not wait a second to show its help."""
    # ruff: noqa: PLC0415 - importing late is what this function is for
    match name:
        case "AsyncRoom":
            from saferoom_client.aio import AsyncRoom

            return AsyncRoom
        case "Refused":
            from saferoom_client.refused import Refused

            return Refused
        case "Room":
            from saferoom_client.room import Room

            return Room
        case "Truth":
            from saferoom_proto.answer import Truth

            return Truth
        case _:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
