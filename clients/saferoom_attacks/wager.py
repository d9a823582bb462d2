"""An attack that guesses a secret of each target, where chance has a part in what is told.

Noise, and what a model keeps of its rows, cannot be counted in cases told apart (ADR 26). Here an
attack names each target's secret, and says what its evidence was worth, where it can reckon that.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from saferoom_attacks.attack import Chance, Verdict
from saferoom_attacks.measure import BY_CHANCE
from saferoom_proto.statements import Title

_ROUNDING: Final = 1e-9

Room = TypeVar("Room")


@dataclass(frozen=True, slots=True)
class Guess:
    """What an attack says of one target.

    Attributes:
        right: how likely it is right, over its own dice.
        nats: by how much what it was told speaks for its guess: the logarithm of the odds; none
            where that cannot be reckoned.
    """

    right: float
    nats: float | None = None


@dataclass(frozen=True, slots=True)
class Gained:
    """An attack's result over all of its targets.

    Attributes:
        targets: how many there were.
        right: how many secrets it named.
        prior: how likely one guess is right without it.
        nats: the most that it was told of one target; none where that cannot be reckoned.
    """

    targets: int
    right: float
    prior: float
    nats: float | None

    @property
    def accuracy(self) -> float:
        """The share of secrets that were named."""
        return self.right / self.targets

    @property
    def bits(self) -> float:
        """The bits gained: about the worst target where that is reckoned, else on average.

        Source: G. Smith, "On the foundations of quantitative information flow", FOSSACS 2009: the
        logarithm of how many times likelier a guess is right.
        """
        if self.nats is None:
            return max(0.0, math.log2(max(self.accuracy, self.prior) / self.prior))
        return math.log2(posterior(self.nats, self.prior) / self.prior)

    def beats(self, accuracy: float) -> bool:
        """Tell whether it was more often right than chance explains.

        Source: H. Chernoff, 1952, in the form of Hoeffding 1963, theorem 1 (2.1): of independent
        guesses, each right with this likelihood, so many are with exp(-n KL) at most.
        """
        share = self.accuracy
        if share <= accuracy + _ROUNDING:
            return False
        return math.exp(-self.targets * _divergence(share, accuracy)) < BY_CHANCE


def gained(guesses: Sequence[Guess], prior: float) -> Gained:
    """Add up what an attack says of its targets."""
    nats = [one.nats for one in guesses if one.nats is not None]
    right = math.fsum(one.right for one in guesses)
    return Gained(len(guesses), right, prior, max(nats, default=None))


def posterior(nats: float, prior: float) -> float:
    """Give how likely a guess is right after evidence of so many nats for it."""
    against = (1 - prior) * math.exp(-nats)
    return prior / (prior + against)


@dataclass(frozen=True, slots=True)
class Bet:
    """What such an attack does, and what it is held against.

    Attributes:
        name: what `--only` takes.
        title: what it does.
        prior: how likely a guess is right without asking.
        allowed: how likely a guess about any target may be right.
        why: whence that.
        lacks: what the room lacks in which it must succeed.
    """

    name: str
    title: Title
    prior: float
    allowed: float
    why: Title
    lacks: Title

    @property
    def bits(self) -> float:
        """The bits that may be gained."""
        return math.log2(self.allowed / self.prior)


@dataclass(frozen=True, slots=True)
class Wager(Generic[Room]):
    """One such attack.

    Attributes:
        bet: what it does, and what it is held against.
        play: does it, in a room or in one that lacks the protection.
        control: makes the latter.
    """

    bet: Bet
    play: Callable[[Room, Chance], Sequence[Guess]]
    control: Callable[[Chance], Room]

    @property
    def name(self) -> str:
        """What `--only` takes."""
        return self.bet.name

    def run(self, room: Room, chance: Chance) -> Gained:
        """Play it."""
        return gained(self.play(room, chance), self.bet.prior)


@dataclass(frozen=True, slots=True)
class Wagered:
    """An attack's result, beside its bound and its control.

    Attributes:
        attack: which.
        room: what was gained in the room.
        control: what was gained where the protection is missing.
        charged: bits that one group was charged; none where nothing is.
        queries: asked of the room.
        seconds: that the attack on the room took.
    """

    attack: Bet
    room: Gained
    control: Gained
    charged: float | None
    queries: int
    seconds: float

    @property
    def verdict(self) -> Verdict:
        """Tell whether the bound held, and whether the attack can succeed at all."""
        if self._over(self.room):
            return Verdict.OVER_BOUND
        return Verdict.HELD if self._over(self.control) else Verdict.CONTROL_FAILED

    def _over(self, one: Gained) -> bool:
        reckoned = one.nats is not None and one.bits > self.attack.bits + _ROUNDING
        return reckoned or one.beats(self.attack.allowed)


def _divergence(one: float, other: float) -> float:
    """Give the Kullback-Leibler divergence of two coins, in nats."""
    parts = ((one, other), (1 - one, 1 - other))
    return math.fsum(p * math.log(p / q) if p and q else math.inf if p else 0.0 for p, q in parts)
