"""Asking again where the room gave no verdict: a room that is busy has not held, and not failed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeVar

from saferoom_proto.reasons import Reason, SafeRoomError

T = TypeVar("T")
STATES: Final = frozenset(
    {
        *(Reason.UNAVAILABLE, Reason.DEADLINE, Reason.TOO_MANY_REQUESTS, Reason.INTERNAL),
        *(Reason.LOCKED, Reason.STALE_HEAD, Reason.OUTBOX_WAITING, Reason.NO_DATA),
        *(Reason.SOURCE_PENDING, Reason.SOURCE_UNAVAILABLE),
    }
)
"""What a room is in, and no verdict on a question (docs/adr/0007)."""
TRIES: Final = 30
PAUSE_SECONDS: Final = 1.0


def verdict_of(ask: Callable[[], T]) -> T:
    """Ask until there is a verdict.

    Raises:
        SafeRoomError: the refusal; or the state that does not end, upon which the run fails.
    """
    for left in reversed(range(TRIES)):
        try:
            return ask()
        except SafeRoomError as refused:
            if refused.reason not in STATES or not left:
                raise
            time.sleep(PAUSE_SECONDS)
    raise AssertionError("the last try returns or raises")


def reason_of(refused: SafeRoomError) -> Reason:
    """Give the reason of a verdict, as what an attacker was told; what is none ends the run.

    Raises:
        SafeRoomError: the state, or that something is not installed.
    """
    if refused.reason in STATES or refused.reason is Reason.NOT_INSTALLED:
        raise refused
    return refused.reason
