"""The index of cells: what checks are answered from, without any SQL.

It holds, for every subject and feature, one small number: which cell of the feature's grid its
value lies in. A child made it (`materialise`), as one run of bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from hmac import compare_digest
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from saferoom_enclaves.features.computed import ABSENT
from saferoom_proto.formula import FeatureKind, FeatureRef, FeatureShape
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.stated import TAG_BYTES, tag_of
from saferoom_proto.statements.feature import Absent
from saferoom_proto.uscc import SUBJECT_BYTES


class Column(NamedTuple):
    """A feature's cells in the subjects' order, and the cell of those the store is silent about."""

    cells: memoryview
    absent: int | None
    tags: memoryview | None = None
    """Of a feature of stated values: the tag of what is held, 16 bytes a subject."""


class FeatureIndex:
    """Every subject's cell of every feature. Immutable; any thread may read it.

    It takes 18 bytes a subject and one byte a subject and feature: 58 MB for a million subjects
    and forty features. A look-up is a binary search and one read a feature.
    """

    def __init__(self, codes: memoryview, columns: Mapping[FeatureRef, Column]) -> None:
        """Takes the subjects' codes, ascending and behind each other, and each feature's cells."""
        self._codes: Final = codes
        self._subjects: Final = np.frombuffer(codes, dtype=f"S{SUBJECT_BYTES}")
        self._columns: Final = dict(columns)

    @classmethod
    def of(cls, content: memoryview, subjects: int, shapes: Sequence[FeatureShape]) -> FeatureIndex:
        """Takes an index as a child wrote it: codes, each feature's cells, tags of stated values.

        Raises:
            SafeRoomError: `MALFORMED` unless it has exactly that form.
        """
        stated = [shape.ref for shape in shapes if shape.kind is FeatureKind.STATED]
        if len(content) != subjects * (SUBJECT_BYTES + len(shapes) + TAG_BYTES * len(stated)):
            raise SafeRoomError(Reason.MALFORMED, "an index has another length than it says")
        codes = content[: subjects * SUBJECT_BYTES]
        sorted_codes = np.frombuffer(codes, dtype=f"S{SUBJECT_BYTES}")
        if not (sorted_codes[:-1] < sorted_codes[1:]).all():
            raise SafeRoomError(Reason.MALFORMED, "an index names its subjects out of order")
        columns: dict[FeatureRef, Column] = {}
        for at, shape in enumerate(shapes):
            start = subjects * (SUBJECT_BYTES + at)
            cells = content[start : start + subjects]
            allowed = bytes([*range(shape.cells), ABSENT & 0xFF])
            if bytes(cells).translate(None, allowed):
                raise SafeRoomError(Reason.MALFORMED, f"a cell of {shape.ref} is on no grid")
            absent = 0 if shape.absent is Absent.FALSE else None
            tags = None
            if shape.ref in stated:
                behind = SUBJECT_BYTES + len(shapes) + TAG_BYTES * stated.index(shape.ref)
                tags = content[subjects * behind : subjects * (behind + TAG_BYTES)]
            columns[shape.ref] = Column(cells.cast("b"), absent, tags)
        return cls(codes, columns)

    @property
    def subjects(self) -> int:
        """How many subjects there are."""
        return len(self._subjects)

    @property
    def codes(self) -> bytes:
        """The subjects' codes, ascending and behind each other."""
        return bytes(self._codes)

    @property
    def features(self) -> frozenset[FeatureRef]:
        """Which features there are."""
        return frozenset(self._columns)

    def only(self, names: AbstractSet[FeatureRef]) -> FeatureIndex:
        """Gives the same index without the features that are not named."""
        kept = {name: self._columns[name] for name in self._columns.keys() & names}
        return FeatureIndex(self._codes, kept)

    def __contains__(self, subject: str) -> bool:
        """Tells whether any feature's SQL gave a row about the subject."""
        return self._row(subject) is not None

    def cells(self, subject: str, names: Iterable[FeatureRef]) -> tuple[int | None, ...]:
        """Gives a subject's cells, in the order of the names.

        Args:
            subject: the 18 characters; a subject nobody has a row about is absent everywhere.
            names: the features.

        Returns:
            For each feature the cell (`FeatureShape` tells which number is which). Where the store
            is silent: cell 0 if its absence means no, and None if it means unknown.

        Raises:
            SafeRoomError: UNKNOWN_FEATURE, the index has no such feature.
        """
        row = self._row(subject)
        try:
            columns = [self._columns[name] for name in names]
        except KeyError as error:
            raise SafeRoomError(Reason.UNKNOWN_FEATURE, f"{error.args[0]}") from error
        if row is None:
            return tuple([absent for _, absent, _ in columns])
        return tuple(
            [absent if (cell := column[row]) == ABSENT else cell for column, absent, _ in columns]
        )

    def tag(self, subject: str, name: FeatureRef) -> bytes | None:
        """Gives the tag of what is held of a subject's feature; none where nothing is."""
        tags, row = self._columns[name].tags, self._row(subject)
        if tags is None or row is None or self._columns[name].cells[row] == ABSENT:
            return None
        return bytes(tags[row * TAG_BYTES : (row + 1) * TAG_BYTES])

    def matches(self, subject: str, name: FeatureRef, said: str) -> bool:
        """Tells whether what is held of a subject's feature is what is stated, in its form."""
        tags, row = self._columns[name].tags, self._row(subject)
        at = 0 if row is None else row * TAG_BYTES
        held = b"" if tags is None else bytes(tags[at : at + TAG_BYTES])
        return compare_digest(held, tag_of(said)) and row is not None

    def cells_of(self, subjects: bytes, names: Sequence[FeatureRef]) -> NDArray[np.int8]:
        """Gives the cells of many subjects; as `cells`.

        Args:
            subjects: their codes, 18 bytes each.
            names: the features.

        Returns:
            An array of shape (subjects, features); `ABSENT` is unknown.
        """
        wanted = np.frombuffer(subjects, dtype=f"S{SUBJECT_BYTES}")
        rows, known = np.zeros(len(wanted), np.int64), np.zeros(len(wanted), np.bool_)
        if len(self._subjects):
            rows = np.minimum(self._subjects.searchsorted(wanted), len(self._subjects) - 1)
            known = self._subjects[rows] == wanted
        cells = np.full((len(wanted), len(names)), ABSENT, dtype=np.int8)
        for at, name in enumerate(names):
            column, absent, _ = self._columns[name]
            held = np.frombuffer(column, dtype=np.int8)
            cells[known, at] = held[rows[known]]
            if absent is not None:
                cells[cells[:, at] == ABSENT, at] = absent
        return cells

    def _row(self, subject: str) -> int | None:
        code = subject.encode()
        if len(code) != SUBJECT_BYTES:
            return None  # numpy would widen every subject to compare them
        row = int(self._subjects.searchsorted(code))
        start = row * SUBJECT_BYTES
        # Read through memory views: an array would make a scalar object of every element.
        return row if bytes(self._codes[start : start + SUBJECT_BYTES]) == code else None
