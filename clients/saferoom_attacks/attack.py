"""What an attack is, what it is held against, and its verdict."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random

from saferoom_attacks.ask import ALL, BANK, Heard, Oracle, Rules
from saferoom_attacks.firms import EVERY, KNOWN, Record
from saferoom_attacks.ground import Grant
from saferoom_attacks.guessing import cells_between, consistent
from saferoom_attacks.measure import Learned, Seen
from saferoom_attacks.model import GateModel
from saferoom_proto.statements import Title


@dataclass(frozen=True, slots=True)
class Chance:
    """How much an attack asks, and by which dice.

    Attributes:
        seed: of the whole run.
        rounds: how often it comes back with new questions once what is allowed is used up.
    """

    seed: int
    rounds: int

    def dice(self, attack: str) -> Random:
        """Give an attack's own dice, the same in every run of this seed."""
        return Random(f"{self.seed} {attack}")  # noqa: S311 -- an experiment's, to be repeated


Play = Callable[[Oracle, Sequence[str], Chance], Mapping[str, Heard]]
"""Attacks targets through an oracle; gives what was heard about each."""
Secret = Callable[[Record], Hashable]
Gate = Callable[[Mapping[str, Record], Chance], Oracle]


def whole(record: Record) -> Hashable:
    """The whole record is the secret."""
    return record


def upper_half(record: Record) -> Hashable:
    """The secret is in which half of the amounts a firm is."""
    return record.amount is not None and record.amount >= len(KNOWN) // 2


def without(rules: Rules) -> Gate:
    """Make a gate in which only these rules are on."""
    return lambda firms, _: GateModel(firms, rules)


def to_bank(subject: str) -> Sequence[Grant]:
    """Give the one consent that most attacks need."""
    return (Grant(subject, BANK),)


@dataclass(frozen=True, slots=True)
class Attack:
    """One attack, as it is run against the room and against its control.

    Attributes:
        name: what `--only` takes.
        title: what it does.
        play: does it.
        records: the records of its targets, each as often as every other.
        bound: the most cells that may be told apart.
        why: whence the bound.
        control: the gate against which it must succeed.
        lacks: what that gate lacks.
        secret: what it is after in a record.
        guess: gives the records that are possible by what was heard.
        grants: the consents it needs of a target.
        by_chance: which questions the room answers depends on chance, too, and not on the record
            alone. Cells are then counted by the questions that were answered.
        noisy: the control's answers are noisy. Cells are then counted by the guesses.
    """

    name: str
    title: Title
    play: Play
    bound: int
    why: Title
    control: Gate
    lacks: Title
    records: tuple[Record, ...] = EVERY
    secret: Secret = whole
    guess: Callable[[Heard], Sequence[Record]] = consistent
    grants: Callable[[str], Sequence[Grant]] = to_bank
    by_chance: bool = False
    noisy: bool = False

    @property
    def prior(self) -> float:
        """The likelihood of a right guess by who knows only which records there can be."""
        secrets = [self.secret(record) for record in self.records]
        return max(secrets.count(each) for each in secrets) / len(secrets)

    @property
    def allowed(self) -> float:
        """The most accuracy that the bound allows.

        Each cell told apart adds at most one more guess that is as good as the best one before.
        Source: C. Braun et al., "Quantitative notions of leakage for one-try attacks", 2009.
        """
        return min(1.0, self.bound * self.prior)

    def run(self, oracle: Oracle, firms: Mapping[str, Record], chance: Chance) -> list[Seen]:
        """Attack an oracle's firms, and say what is known of each."""
        heard = self.play(oracle, list(firms), chance)
        in_room = oracle.rules == ALL
        return [self._seen(record, heard[each], in_room) for each, record in firms.items()]

    def _seen(self, record: Record, heard: Heard, in_room: bool) -> Seen:
        secret = self.secret(record)
        possible = [one for one in self.guess(heard) if one in self.records] or self.records
        right = sum(self.secret(one) == secret for one in possible)
        return Seen(
            secret,
            right / len(possible),
            heard,
            tuple(possible) if self.noisy and not in_room else heard,
            cells_between(heard) if self.by_chance else None,
        )


class Verdict(StrEnum):
    """What became of an attack."""

    HELD = "HELD"
    OVER_BOUND = "OVER_BOUND"
    CONTROL_FAILED = "CONTROL_FAILED"


@dataclass(frozen=True, slots=True)
class Finding:
    """An attack's result, beside its bound and its control.

    Attributes:
        attack: which.
        room: what was learned in the room.
        control: what was learned where the protection is missing.
        charged: the most cells that one group was charged for about one target.
        told: how often the room gave which answer or reason.
        queries: asked of the room.
        cut: calls that were hung up before their answer came.
        seconds: that the attack on the room took.
    """

    attack: Attack
    room: Learned
    control: Learned
    charged: int
    told: Mapping[str, int]
    queries: int
    cut: int
    seconds: float

    @property
    def verdict(self) -> Verdict:
        """Tell whether the bound held, and whether the attack can succeed at all."""
        bound, allowed = self.attack.bound, self.attack.allowed
        by_chance, noisy = self.attack.by_chance, self.attack.noisy
        if self.room.cells > bound or self.room.beats(allowed, by_chance=by_chance):
            return Verdict.OVER_BOUND
        if self.control.cells <= bound or not self.control.beats(allowed, by_chance=noisy):
            return Verdict.CONTROL_FAILED
        return Verdict.HELD
