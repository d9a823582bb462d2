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


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened."""

    what: Happening
    detail: str


Tell = Callable[[Event], None]


def ignore_events(event: Event) -> None:
    """Take no notice."""
    del event
