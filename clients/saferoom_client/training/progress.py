"""How far a job is, as its label side sees it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

ENOUGH: Final = 0.002
"""The gradient's norm, of its first value, at which a training ends (`Terms.tolerance`)."""


class Stage(StrEnum):
    """Which part of a job is under way."""

    ASKING = "asking"
    """The table is read and its subjects blinded, and then the enclave is asked."""
    WAITING = "waiting"
    """For the room, which cannot be reached."""
    QUEUED = "queued"
    """For the enclave's turn, behind other trainings in the room."""
    ALIGNING = "aligning"
    TRAINING = "training"
    REPORTING = "reporting"


@dataclass(frozen=True, slots=True)
class JobProgress:
    """How far a job is.

    Attributes:
        stage: the part under way.
        rows: the common subjects; none before they are known.
        round: rounds that are over.
        rounds: the most there can be.
        distance: the gradient's norm, of its first value; a training ends at 0.002. None where only
            the label side could tell.
        separation: how far the joint model tells events from others; none before the first round.
        sent, received: bytes, since this process took part.
        seconds_left: an estimate; none where there is nothing to go by.
    """

    stage: Stage
    rows: int | None = None
    round: int = 0
    rounds: int = 0
    distance: float | None = None
    separation: float | None = None
    sent: int = 0
    received: int = 0
    seconds_left: float | None = None

    @property
    def share(self) -> float:
        """Say how much of the training is over, from 0 to 1: by its goal, or by its rounds."""
        if not self.rounds or not self.round:
            return 0.0
        rounds = self.round / self.rounds
        if self.distance is None:
            return rounds
        return max(rounds, math.log(min(1.0, max(self.distance, ENOUGH))) / math.log(ENOUGH))


Told = Callable[[JobProgress], None]
"""Is told how far a job is, whenever that changed."""


def ignore(progress: JobProgress) -> None:
    """Be told, and do nothing."""
