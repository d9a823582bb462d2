"""One small joint training between two sides, recorded message by message and state by state."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from saferoom_models.arrays import Floats, Integers
from saferoom_models.vertical.columns import Prepared, prepare
from saferoom_models.vertical.course import Trained
from saferoom_models.vertical.label_side import LabelSide
from saferoom_models.vertical.owners import OwnerColumns, join_owners
from saferoom_models.vertical.room_side import RoomSide
from saferoom_models.vertical.terms import Terms

ROWS = 1100


@dataclass(frozen=True, slots=True)
class Recorded:
    """What went over the wire, and both sides' states before each message reached them."""

    terms: Terms
    bank: Prepared
    owners: Prepared
    labels: Integers
    values: tuple[Floats, Floats]
    to_room: list[bytes]
    to_label: list[bytes]
    label_states: list[bytes]
    room_states: list[bytes]
    label: Trained
    room: Trained

    def room_before(self, exchange: int) -> RoomSide:
        """Take the room up where it waited for an exchange."""
        return RoomSide.resume(self.terms, self.owners, os.urandom, self.room_states[exchange])

    def label_before(self, exchange: int) -> LabelSide:
        """Take the label side up where it waited for an exchange's answer."""
        return LabelSide.resume(self.terms, self.bank, self.labels, self.label_states[exchange])


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Keep linear algebra to one thread: beside other workers, more only wait for each other."""
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="session")
def recorded() -> Recorded:
    draw = np.random.default_rng(20261130)
    values = draw.normal(size=(ROWS, 7))
    values[:, 4] += values[:, 0]  # correlated across the two sides
    logits = values @ np.array([0.9, -0.6, 0.3, 0.5, 0.7, -0.4, 0.2]) - 0.8
    labels = (draw.random(ROWS) < 1 / (1 + np.exp(-logits))).astype(np.int64)
    own, theirs = values[:, :3], values[:, 3:]
    bank = prepare(("income", "debt", "age"), own)
    owners = join_owners(
        [
            OwnerColumns("tax", ("paid", "late"), theirs[:, :2]),
            OwnerColumns("court", ("cases", "years"), theirs[:, 2:]),
        ]
    )
    terms = Terms("ab" * 32, ROWS, 3, 4)
    label, room = LabelSide(terms, bank, labels), RoomSide(terms, owners, os.urandom)
    to_room: list[bytes] = []
    to_label: list[bytes] = []
    label_states: list[bytes] = []
    room_states: list[bytes] = []
    message: bytes | None = label.begin()
    while message is not None:
        room_states.append(room.save())
        label_states.append(label.save())
        answer = room.answer(message)
        to_room.append(message)
        to_label.append(answer)
        message = label.answer(answer)
    return Recorded(
        terms,
        bank,
        owners,
        labels,
        (own, theirs),
        to_room,
        to_label,
        label_states,
        room_states,
        label.trained(),
        room.trained(),
    )
