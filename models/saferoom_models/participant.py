"""The label side of a whole job: alignment, then training, as one machine under one numbering.

Its message n waits for the answer n: 0 and 1 align, 2 opens the training, and each round has three
more; where the model is measured on rows held out, one more does that. Its state can be saved
before each message is sent; a killed participant sends the same bytes again.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Final

import numpy as np

from saferoom_models.arrays import Floats, Integers
from saferoom_models.psi import messages
from saferoom_models.psi.label_set import LabelSet
from saferoom_models.psi.terms import AlignmentTerms
from saferoom_models.refusals import JointTrainingError, Refusal
from saferoom_models.vertical import messages as training
from saferoom_models.vertical import saved
from saferoom_models.vertical.columns import Prepared, prepare
from saferoom_models.vertical.course import Progress, Trained
from saferoom_models.vertical.label_side import LabelSide
from saferoom_models.vertical.measuring import LabelMeasuring, Measured, split_rows
from saferoom_models.vertical.terms import Terms, rows_held_out

OPENING: Final = 2
"""The number of the message that opens the training."""


@dataclass(frozen=True, slots=True)
class Brought:
    """What a label side brings, row by row in one order.

    Attributes:
        identifiers: of the subjects, in the form that the room writes them in.
        labels: 1 for an event, else 0.
        columns: by name, each with a value for every row; none missing.
    """

    identifiers: Sequence[str]
    labels: Sequence[int]
    columns: Mapping[str, array[float]]

    def taken(self, rows: Sequence[int]) -> tuple[Floats, Integers]:
        """Give the values, of shape (rows, columns), and the labels of some rows."""
        chosen = np.asarray(rows, np.int64)
        values = np.column_stack([np.frombuffer(each) for each in self.columns.values()])
        return values[chosen], np.asarray(self.labels, np.int64)[chosen]

    def check(self) -> Prepared:
        """Check all rows as training would, before anything is asked.

        Raises:
            JointTrainingError: `BAD_COLUMNS`, `NO_SUPPORT`, `BAD_LABELS`.
        """
        values, labels = self.taken(range(len(self.identifiers)))
        if not bool(np.isin(labels, (0, 1)).all()) or len(np.unique(labels)) == 1:
            raise JointTrainingError(Refusal.BAD_LABELS, "labels are 0 or 1, and not all the same")
        return prepare(tuple(self.columns), values)


@dataclass(frozen=True, slots=True)
class Course:
    """What the training is to be, once a job was admitted.

    Attributes:
        job: the job's name, 64 hexadecimal digits.
        room_columns: how many columns the room has.
        inverse_ridge, rank, rounds: of `Terms`.
        measured: whether rows are held out, on which the model is measured.
    """

    job: str
    room_columns: int
    inverse_ridge: float
    rank: int
    rounds: int
    measured: bool = False


class Participant:
    """Asks through a job, from `begin` to a last answer after which `over` holds."""

    def __init__(
        self,
        alignment: AlignmentTerms,
        brought: Brought,
        executor: Executor | None = None,
    ) -> None:
        """Take up what a label side brings to a job that has not begun.

        Raises:
            JointTrainingError: `BAD_IDENTIFIERS`.
        """
        self._alignment, self._brought = alignment, brought
        self._set = LabelSet(alignment, brought.identifiers, os.urandom, executor)
        self._course: Course | None = None
        self._terms: Terms | None = None
        self._side: LabelSide | None = None
        self._measuring: LabelMeasuring | None = None
        self._over = False
        self.measured: Measured | None = None
        """How the model ranks the rows held out; none before it is over, or where none are."""
        self.number = 0
        """Of the message that waits for its answer."""

    def begin(self) -> str:
        """Blind the set, and give what commits to it: 64 hexadecimal digits."""
        return messages.commitment(self._set.begin())

    def admit(self, course: Course) -> None:
        """Take what the training is to be."""
        self._course = course

    @property
    def waiting(self) -> bytes:
        """The message that waits for its answer; it can be sent again as it is."""
        return (self._measuring or self._side or self._set).waiting

    @property
    def largest_answer(self) -> int:
        """How long the answer can be that is waited for: a longer one need not be read."""
        if self._terms is not None:
            return training.largest_message(self._terms)
        return messages.largest_message(self._alignment)

    @property
    def over(self) -> bool:
        """Whether the training has ended."""
        return self._over

    @property
    def progress(self) -> Progress | None:
        """How far the training is; none before it."""
        return self._side.progress if self._side else None

    @property
    def rows(self) -> int | None:
        """The aligned subjects; none before they are known."""
        return len(self._set.aligned) if self._set.over else None

    def answer(self, message: bytes) -> bytes | None:
        """Take the room's answer to what waits, and give the next message; None when all is over.

        A refused message changes nothing: the right one may still come.

        Raises:
            JointTrainingError: what is wrong with it; or, once the rows are known, with what this
                side brings of them.
        """
        if self._measuring is not None:
            self.measured, following = self._measuring.answer(message), None
            self._over = True
        elif self._side is not None:
            following = self._side.answer(message) or self._measure()
            self._over = following is None
        elif self._set.over:
            following = self._open()  # refused when the rows came; it is refused again
        else:
            following = self._set.answer(message) or self._open()
        self.number += following is not None
        return following

    def _open(self) -> bytes:
        """Begin to train on the common rows."""
        terms, columns, labels = self._rows()
        side = LabelSide(terms, columns, labels)
        opening = side.begin()
        self._terms, self._side = terms, side
        return opening

    def _measure(self) -> bytes | None:
        """Ask how the rows held out are ranked, once the model is there; none where none are."""
        if self._terms is None or self._side is None or not self._terms.measured:
            return None
        self._measuring = self._measurer(self._terms, self._side)
        return self._measuring.begin()

    def _measurer(self, terms: Terms, side: LabelSide) -> LabelMeasuring:
        values, labels = self.held_out()
        return LabelMeasuring(terms, side.trained().points(values), labels, side.log_odds)

    def _rows(self) -> tuple[Terms, Prepared, Integers]:
        course = self._admitted()
        values, labels = self.common()
        terms = Terms(
            course.job,
            rows=len(labels),
            label_columns=values.shape[1],
            room_columns=course.room_columns,
            inverse_ridge=course.inverse_ridge,
            rank=course.rank,
            rounds=course.rounds,
            measured=len(self._split()[1]),
        )
        return terms, prepare(tuple(self._brought.columns), values), labels

    def _admitted(self) -> Course:
        if self._course is None:
            raise JointTrainingError(Refusal.OUT_OF_ORDER, "the job was not admitted yet")
        return self._course

    def _split(self) -> tuple[Integers, Integers]:
        """Choose which of the common rows train and which are held out."""
        rows = len(self._set.aligned)
        course = self._admitted()
        return split_rows(course.job, rows, rows_held_out(rows) if course.measured else 0)

    @property
    def separation(self) -> float:
        """Say how far the joint model of the last round tells events (`LabelSide.separation`).

        Raises:
            JointTrainingError: `NOT_FINISHED` before the first round.
        """
        if self._side is None or not self._side.progress.rounds:
            raise JointTrainingError(Refusal.NOT_FINISHED, "no round is over")
        return self._side.separation

    def trained(self) -> Trained:
        """Give the label side's part of the model.

        Raises:
            JointTrainingError: `NOT_FINISHED`.
        """
        if self._side is None:
            raise JointTrainingError(Refusal.NOT_FINISHED, "the training has not begun")
        return self._side.trained()

    def common(self) -> tuple[Floats, Integers]:
        """Give the values and labels of the common rows that train, in both sides' order."""
        return self._taken(self._split()[0])

    def held_out(self) -> tuple[Floats, Integers]:
        """Give those of the rows held out."""
        return self._taken(self._split()[1])

    def _taken(self, places: Integers) -> tuple[Floats, Integers]:
        return self._brought.taken(np.asarray(self._set.aligned, np.int64)[places].tolist())

    def save(self) -> bytes:
        """Give the state, secrets in it; take it before `waiting` is sent."""
        arrays: dict[str, Floats | Integers] = {
            "number": np.array([self.number]),
            "over": np.array([self._over], np.int64),
        }
        if self.measured is not None:
            arrays["counts"] = np.array([self.measured.events, self.measured.others], np.int64)
        data = {"set": self._set.save(), "side": self._side.save() if self._side else b""}
        if self._measuring is not None:
            data["measuring"] = self._measuring.save()
        return saved.write_state(arrays, data)

    @classmethod
    def resume(
        cls,
        alignment: AlignmentTerms,
        brought: Brought,
        course: Course | None,
        state: bytes,
        executor: Executor | None = None,
    ) -> Participant:
        """Take up a saved state with the same terms and what was brought.

        Raises:
            JointTrainingError: `BAD_STATE`, and what the constructor refuses.
        """
        found = saved.read_state(state)
        own = cls(alignment, brought, executor)
        own._set = LabelSet.resume(alignment, brought.identifiers, found.data("set"), executor)
        own._course = course
        own.number = found.number("number")
        own._over = bool(found.number("over"))
        if side := found.data("side"):
            own._terms, columns, labels = own._rows()
            own._side = LabelSide.resume(own._terms, columns, labels, side)
        if own._terms is not None and own._side is not None and found.has("measuring"):
            own._measuring = own._measurer(own._terms, own._side)
            own._measuring.restore(found.data("measuring"))
            if own._over:
                own.measured = own._measuring.measured(*found.integers("counts").tolist())
        return own
