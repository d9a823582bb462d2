"""What an owner's programs tell their owner, in words for its log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class Happening(StrEnum):
    """What happened."""

    ATTENDING = "attending"
    DISCONNECTED = "disconnected"
    REPLACED = "replaced"
    RELEASED = "released"
    REFUSED = "refused"
    WAITING = "waiting"
    STARTING = "starting"
    LISTENING = "listening"
    ENDED = "ended"
    COSIGNED = "cosigned"
    FOLLOWED = "followed"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened.

    Attributes:
        what: its kind.
        detail: in words.
        command: what its owner can type about it; empty if nothing.
    """

    what: Happening
    detail: str
    command: str = ""


Tell = Callable[[Event], None]


def ignore_events(event: Event) -> None:
    """Take no notice."""
    del event
