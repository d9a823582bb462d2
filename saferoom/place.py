"""Where an enclave runs, as the room's link to it sees it: started here, or by its owner elsewhere.

supervisor.py   the server starts it as its child: development, the demo, small rooms
relays.py       its owner starts it; the owner's relay connects it
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from saferoom.channel import Door
from saferoom_proto.dsse import Envelope


class LinkState(StrEnum):
    """How an enclave does."""

    STARTING = "starting"
    AWAY = "away"
    """Its owner runs it, and no relay of the owner's connects it."""
    LOCKED = "locked"
    SERVING = "serving"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class LaunchOrder:
    """What an enclave is started with.

    Attributes:
        owner: whose.
        folder: its own, for its sealed store and state, where the server starts it.
        charter: the owner's, in force.
        switchboard: the room's statement of the one certificate that the enclave lets in.
    """

    owner: str
    folder: Path
    charter: Envelope
    switchboard: Envelope


class Running(Protocol):
    """An enclave that can be reached."""

    @property
    def door(self) -> Door:
        """Where, and under which certificate."""
        ...

    @property
    def sandbox_level(self) -> int:
        """0 to 3, as it was told; its evidence is what counts."""
        ...

    @property
    def sandbox_missing(self) -> tuple[str, ...]:
        """What its sandbox lacks."""
        ...

    @property
    def launch(self) -> Envelope | None:
        """The word of its owner's supervisor that it started it; none if the server did."""
        ...

    async def ended(self) -> str:
        """Wait until it can be reached no more; tell why."""
        ...


class Place(Protocol):
    """Where an owner's enclave runs."""

    @property
    def waiting(self) -> LinkState:
        """What the link is in until the enclave listens."""
        ...

    @property
    def longest_pause_seconds(self) -> float:
        """How long the link waits at most after an enclave ended."""
        ...

    def launched(self, order: LaunchOrder) -> AbstractAsyncContextManager[Running]:
        """Give an enclave that was started with an order, as long as it can be reached."""
        ...
