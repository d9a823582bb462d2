"""What an enclave has its children do for a job: align, read columns, train.

What a child says is held to its form and length here; whether it may be told is `jobs`' to judge.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

import numpy as np

from saferoom_enclaves.answers import answered, frozen, garbled, lent_memory
from saferoom_enclaves.children import jobs
from saferoom_enclaves.children.conversation import Conversation
from saferoom_enclaves.features.computed import FeatureDefinition
from saferoom_enclaves.indexing import Opened
from saferoom_enclaves.storework import StoreWork
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Feature
from saferoom_proto.statements.feature import Table
from saferoom_proto.uscc import SUBJECT_BYTES

TALK_SECONDS: Final = 3600.0
"""The longest that one child talks; then the label side joins again, and gets another."""
_STREAM_BYTES: Final = 64 << 20
"""The largest file that SEAL writes: a key or a ciphertext of 2 MB at most."""
_NUMBER_BYTES: Final = 8

_OF_THE_MESSAGE: Final = frozenset(
    {
        "MALFORMED",
        "OTHER_VERSION",
        "OTHER_TERMS",
        "WRONG_SIZE",
        "WRONG_SHAPE",
        "REPLAYED",
        "OUT_OF_ORDER",
        "OUT_OF_RANGE",
        "BAD_CIPHERTEXT",
        "OTHER_SET",
        "BAD_POINT",
        "REPEATED_POINT",
    }
)
"""Refusals of what the other side sent; all others depend on the room's own rows."""


class RefusedError(SafeRoomError):
    """Ends a job: `MALFORMED` for its message, `WITHHELD` for its records, or `CONFLICT`.

    `OVER_BUDGET` where it broke off too often.
    """


@dataclass(frozen=True, slots=True)
class Aligned:
    """What came of a message of an alignment: the answer, a state, or whom both sides hold."""

    answer: bytes
    state: bytes
    places: bytes


@dataclass(frozen=True, slots=True)
class Trained:
    """What came of a message of a training."""

    answer: bytes
    state: bytes
    model: bytes
    over: bool
    rounds: int
    converged: bool


@dataclass(frozen=True, slots=True)
class Columns:
    """Columns to be read, in any thread; the store is held open for it.

    Attributes:
        opened: the store.
        tables: its schema.
        features: whose values are read.
        subjects: their codes, in the rows' order.
        count: how many columns the features become.
    """

    opened: Opened
    tables: tuple[Table, ...]
    features: tuple[Feature, ...]
    subjects: bytes
    count: int


class JobWork:
    """Has children work on jobs. Any thread may use it.

    Args:
        work: gives children, and what they may use.
    """

    def __init__(self, work: StoreWork) -> None:
        self._work: Final = work

    def read_columns(self, wanted: Columns) -> bytes:
        """Read columns, and let the store go.

        Returns:
            Numbers of 8 bytes, row by row.
        """
        try:
            return self._read(wanted)
        finally:
            wanted.opened.close()

    def _read(self, wanted: Columns) -> bytes:
        order = jobs.Columns(
            tables=wanted.tables,
            features=tuple(FeatureDefinition.of(each) for each in wanted.features),
        )
        rows = len(wanted.subjects) // SUBJECT_BYTES
        with lent_memory(wanted.subjects) as subjects, lent_memory() as written:
            frame = self._work.read_columns(order, (wanted.opened.memory, subjects, written))
            frame.close()
            read = answered(frame, jobs.ColumnsRead)
            columns = bytes(frozen(written))
        if (read.rows, read.columns) != (rows, wanted.count):
            raise garbled("other rows or columns than were asked for")
        if len(columns) != rows * wanted.count * _NUMBER_BYTES:
            raise garbled("columns of another length")
        if not np.isfinite(np.frombuffer(columns, np.float64)).all():
            raise garbled("a number that is none")
        return columns


class Partner:
    """A child that is the room's side of one job, and is talked with.

    Args:
        work: gives it.
    """

    def __init__(self, work: StoreWork) -> None:
        self._work: Final = work
        self._holds: Final = ExitStack()
        self._talk: Conversation | None = None

    def close(self) -> None:
        """Let the child go."""
        self._talk = None
        self._holds.close()

    def align(self, order: jobs.Align, codes: bytes, state: bytes) -> None:
        """Begin to align."""
        self._begin(order, (codes, state))

    def train(self, order: jobs.Train, columns: bytes, opening: bytes, state: bytes) -> None:
        """Begin to train, or go on."""
        self._begin(order, (columns, opening, state, b""))

    @property
    def is_there(self) -> bool:
        """Whether there is a child to talk with."""
        return self._talk is not None

    def aligned(self, message: bytes) -> Aligned:
        """Pass a message of an alignment on."""
        _, (answer, state, places) = self._say(message)
        return Aligned(answer, state, places)

    def trained(self, message: bytes) -> Trained:
        """Pass a message of a training on."""
        told, (answer, state, model) = self._say(message)
        if not answer or told.over != bool(model):
            raise garbled("no answer, or a model before the end")
        return Trained(answer, state, model, told.over, told.rounds, told.converged)

    def _begin(self, order: jobs.Align | jobs.Train, contents: Sequence[bytes]) -> None:
        files = [self._holds.enter_context(lent_memory(content)) for content in contents]
        bounds = self._work.bounds(TALK_SECONDS, _STREAM_BYTES)
        talk = self._holds.enter_context(self._work.workshop.converse(bounds))
        told = talk.begin(jobs.Order(job=order).model_dump_json().encode(), files)
        _require_taken(told)
        self._talk = talk

    def _say(self, message: bytes) -> tuple[jobs.Exchanged, list[bytes]]:
        if self._talk is None:
            raise SafeRoomError(Reason.INTERNAL, "no child to talk with")
        told, blobs = self._talk.say(message)
        _require_taken(told)
        return told, blobs


def places_of(aligned: Aligned, codes: bytes) -> bytes:
    """Give the codes of the common subjects, in the order of both sides' rows."""
    subjects = np.frombuffer(codes, dtype=f"S{SUBJECT_BYTES}")
    if len(aligned.places) % 4:
        raise garbled("places of another length")
    places = np.frombuffer(aligned.places, dtype="<u4")
    if len(places) and (places.max() >= len(subjects) or len(np.unique(places)) != len(places)):
        raise garbled("a place twice, or of no subject")
    return subjects[places].tobytes()


def _require_taken(told: jobs.Exchanged) -> None:
    if told.refused is not None:
        of_message = told.refused in _OF_THE_MESSAGE
        raise RefusedError(Reason.MALFORMED if of_message else Reason.WITHHELD, told.refused)
