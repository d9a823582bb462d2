"""An attack on tables, what it is held against, and its verdict."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from saferoom_attacks.attack import Chance, Verdict
from saferoom_attacks.books import Row
from saferoom_attacks.table_ask import HomeRules, TableOracle
from saferoom_proto.statements import Title


@dataclass(frozen=True, slots=True)
class Left:
    """What an intruder has of one target: from which to which value it holds for possible.

    Attributes:
        truth: the value.
        low: the least that is possible.
        high: the most.
    """

    truth: int
    low: int
    high: int

    @property
    def values(self) -> int:
        """How many values are left."""
        return max(1, self.high - self.low + 1)

    @property
    def credit(self) -> float:
        """How likely its guess is right, if it draws among these."""
        return 1 / self.values if self.low <= self.truth <= self.high else 0.0


TablePlay = Callable[[TableOracle, Sequence[Row], Chance], Sequence[Left]]
"""Attacks through an oracle; gives what is left of each target."""


@dataclass(frozen=True, slots=True)
class TableAttack:
    """One attack on tables.

    Attributes:
        name: what `--only` takes.
        title: what it does.
        play: does it.
        prior: values of a target that are possible before anything is asked.
        least: values that must stay possible.
        why: whence this bound.
        lacks: what the gate lacks against which it must succeed.
        control: the rules of that gate; of most a threshold, for each table by itself.
    """

    name: str
    title: Title
    play: TablePlay
    prior: int
    least: int
    why: Title
    lacks: Title
    control: HomeRules = field(default_factory=HomeRules)

    @property
    def allowed(self) -> float:
        """The most accuracy that the bound allows: a guess among the least that stay possible."""
        return 1 / self.least


@dataclass(frozen=True, slots=True)
class TableFinding:
    """An attack's result, beside its bound and its control.

    Attributes:
        attack: which.
        room: what is left of each target in the room.
        control: what is left where the protection is missing.
        queries: tables asked of the room.
        seconds: that the attack on the room took.
    """

    attack: TableAttack
    room: Sequence[Left]
    control: Sequence[Left]
    queries: int
    seconds: float

    def accuracy(self, left: Sequence[Left]) -> float:
        """Give how often a guess is right."""
        return math.fsum(each.credit for each in left) / len(left)

    def bits(self, left: Sequence[Left]) -> float:
        """Give the most that is known of one target."""
        return math.log2(self.attack.prior / min(each.values for each in left))

    @property
    def bound(self) -> float:
        """Give the bits that may be gained."""
        return math.log2(self.attack.prior / self.attack.least)

    @property
    def verdict(self) -> Verdict:
        """Tell whether the bound held, and whether the attack can succeed at all."""
        if min(each.values for each in self.room) < self.attack.least:
            return Verdict.OVER_BOUND
        if self.accuracy(self.control) <= self.attack.allowed:
            return Verdict.CONTROL_FAILED
        return Verdict.HELD
