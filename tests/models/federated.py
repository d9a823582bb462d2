"""A federation of banks in one process: what each brings, and how the messages go."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ParamSpec

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from saferoom_models.arrays import Floats, Integers
from saferoom_models.horizontal.aggregator import Aggregator
from saferoom_models.horizontal.messages import Kind
from saferoom_models.horizontal.participant import Own, Participant
from saferoom_models.horizontal.terms import Column, Member, Terms
from saferoom_models.refusals import JointTrainingError

P = ParamSpec("P")
JOB = "5a" * 32
WEIGHTS = (0.9, -0.6, 0.3)
Brought = dict[str, tuple[Floats, Integers]]


def refusal(act: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> JointTrainingError:
    """Give how a call is refused."""
    with pytest.raises(JointTrainingError) as refused:
        act(*args, **kwargs)
    return refused.value


def key_of(place: int) -> Ed25519PrivateKey:
    """Give a bank's key, the same in every run."""
    return Ed25519PrivateKey.from_private_bytes(bytes([place + 1]) * 32)


def name_of(place: int) -> str:
    """Name a bank."""
    return f"bank-{place:02}"


def draw_rows(rows: int, seed: int = 7) -> tuple[Floats, Integers]:
    """Draw rows with three columns, the last a flag, and labels that follow from them."""
    draw = np.random.default_rng(seed)
    values = draw.normal(size=(rows, 3))
    values[:, 2] = draw.random(rows) < 0.3
    odds = values @ WEIGHTS - 1
    return values, (draw.random(rows) < 1 / (1 + np.exp(-odds))).astype(np.int64)


def make_terms(banks: int, inverse_ridge: float = 1.0, rounds: int = 12) -> Terms:
    members = tuple(
        Member(name_of(place), key_of(place).public_key().public_bytes_raw().hex())
        for place in range(banks)
    )
    columns = (Column("income", -6, 6), Column("debt", -6, 6), Column("late", 0, 1))
    return Terms(JOB, members, columns, inverse_ridge, rounds)


def fixed_random(place: int) -> Callable[[int], bytes]:
    """Give random bytes that are the same in every run."""
    return np.random.default_rng(1000 + place).bytes


@dataclass
class Federation:
    """Banks with their rows, the aggregator between them, and all that was sent."""

    terms: Terms
    rows: Brought
    banks: dict[str, Participant] = field(default_factory=dict[str, Participant])
    up: list[bytes] = field(default_factory=list[bytes])
    down: list[tuple[str, bytes]] = field(default_factory=list[tuple[str, bytes]])

    def __post_init__(self) -> None:
        self.aggregator = Aggregator(self.terms)
        for place, (name, (values, labels)) in enumerate(self.rows.items()):
            own = Own(name, key_of(place), values, labels)
            self.banks[name] = Participant(self.terms, own, fixed_random(place))

    def send(self) -> None:
        """Let every bank that is left send what waits."""
        for participant in self.banks.values():
            if not participant.waiting:
                participant.begin()
            self.up.append(participant.waiting)
            self.aggregator.take(participant.waiting)

    def receive(self) -> None:
        """Let every bank that is left take its answer."""
        for name, participant in self.banks.items():
            answer = self.aggregator.answer(name)
            self.down.append((name, answer))
            participant.answer(answer)

    def step(self) -> None:
        """Go through one step with the banks that are left."""
        self.send()
        self.aggregator.close()
        self.receive()

    def until(self, round_number: int, kind: Kind) -> None:
        """Go on to where the aggregator waits for a kind of message."""
        while (self.aggregator.round, self.aggregator.kind) != (round_number, kind):
            self.step()

    def run(self) -> None:
        """Go on to the end."""
        while not self.aggregator.over:
            self.step()

    def pooled(self) -> tuple[Floats, Integers]:
        """Give the rows of the banks that are left."""
        values = np.vstack([self.rows[name][0] for name in self.banks])
        return values, np.concatenate([self.rows[name][1] for name in self.banks])


def federation(sizes: tuple[int, ...] = (500, 700, 900)) -> Federation:
    """Make one of banks with so many rows each."""
    rows = {name_of(at): draw_rows(size, 7 + at) for at, size in enumerate(sizes)}
    return Federation(make_terms(len(sizes)), rows)
