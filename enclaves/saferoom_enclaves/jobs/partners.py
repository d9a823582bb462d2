"""What earlier jobs were trained on: another may not differ from one of them by a few subjects.

Two jobs that differ by one subject, by whether it is there or by what stands of it, would tell of
that subject what no one job tells. So a job is none or ten subjects away from every earlier one of
its institution and of those that share what they learn; else it is withheld, in the same words as
a set that is too small. Of an earlier job are kept, sealed, a fingerprint of each subject and one
of each of its values: no code, and no value.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from saferoom_enclaves.jobs.work import RefusedError
from saferoom_enclaves.leakage import window_start
from saferoom_enclaves.rowform import read_or_first
from saferoom_enclaves.standing import Standing
from saferoom_enclaves.state import Row, State
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Digest, Instant
from saferoom_proto.statements.base import Part
from saferoom_proto.statements.training import NEAREST_SETS, unknown_column
from saferoom_proto.uscc import SUBJECT_BYTES

_TABLE: Final = "aligned"
_CODE_WORDS: Final = 3
"""A code is hashed as so many numbers of 64 bits, the last one filled up."""
_BIT: Final = np.uint64(1)
_HALF: Final = np.uint64(32)


@dataclass(frozen=True, slots=True, repr=False)
class TrainedOn:
    """What a job is to be trained on.

    Attributes:
        subjects: their codes, in the rows' order.
        columns: the names of the room's columns.
        numbers: 8 bytes each, row by row.
    """

    subjects: bytes
    columns: tuple[str, ...]
    numbers: bytes


class _Set(Part):
    job: Digest
    at: Instant
    number: int
    rows: int
    columns: tuple[str, ...]


class _Sets(Part):
    sets: tuple[_Set, ...] = ()


class Partners:
    """Keeps what each group's jobs were trained on, for the 36 months that a cap counts.

    Args:
        state: the enclave's database, opened. What writes is done within its transactions.
        standing: knows which groups share what they learn.
    """

    def __init__(self, state: State, standing: Standing) -> None:
        self._state: Final = state
        self._standing: Final = standing

    def keep_apart(self, group: str, job: str, trained_on: TrainedOn, now: datetime) -> None:
        """Keep what a job is trained on that its institution may be told of; in a transaction.

        It is kept where it is judged: of two that are judged at once the second meets the first.

        Args:
            group: the institution's, when its job began.
            job: which is to be trained.
            trained_on: its common subjects, and the room's columns of them.
            now: when it was judged.

        Raises:
            RefusedError: `WITHHELD` if it differs by a few subjects from an earlier one.
        """
        prints, is_known = self._prints(trained_on), False
        for each in self._standing.groups.linked(group):
            for listed in self._counting(self._listed(each)[0], now):
                if abs(listed.rows - len(prints.subjects)) >= NEAREST_SETS:
                    continue
                row = self._state.get(_TABLE, self._key(each, listed.number))
                if row is None:
                    raise SafeRoomError(Reason.STORE_DAMAGED, f"a row of {_TABLE}")
                before = _Prints.unpacked(listed.columns, row.content)
                apart = prints.apart_from(before)
                if 0 < apart < NEAREST_SETS:
                    raise RefusedError(Reason.WITHHELD)
                has_all = set(prints.columns) <= set(before.columns)
                is_known |= each == group and has_all and not apart
        if not is_known:
            self._remember(group, job, prints, now)

    def _remember(self, group: str, job: str, prints: _Prints, now: datetime) -> None:
        listed, row = self._listed(group)
        counting = self._counting(listed, now)
        # What no longer counts is emptied, and its place is taken anew.
        for old in set(listed.sets) - set(counting):
            self._write(group, old.number, b"")
        number = min(set(range(len(counting) + 1)) - {each.number for each in counting})
        self._write(group, number, prints.packed())
        rows = len(prints.subjects)
        made = _Set(job=job, at=now, number=number, rows=rows, columns=prints.columns)
        kept = _Sets(sets=(*counting, made)).model_dump_json().encode()
        self._state.put(_TABLE, self._list_key(group), kept, row)

    def _write(self, group: str, number: int, packed: bytes) -> None:
        key = self._key(group, number)
        self._state.put(_TABLE, key, packed, self._state.get(_TABLE, key))

    def _listed(self, group: str) -> tuple[_Sets, Row | None]:
        row = self._state.get(_TABLE, self._list_key(group))
        return read_or_first(row and row.content, _Sets), row

    @staticmethod
    def _counting(listed: _Sets, now: datetime) -> tuple[_Set, ...]:
        since = window_start(now)
        return tuple(each for each in listed.sets if each.at >= since)

    def _prints(self, trained_on: TrainedOn) -> _Prints:
        secret = self._state.cipher.find(_TABLE, "fingerprints")
        return _Prints.of(trained_on, np.frombuffer(secret, "<u8") | _BIT)

    def _list_key(self, group: str) -> bytes:
        return self._state.cipher.find(_TABLE, "sets", group)

    def _key(self, group: str, number: int) -> bytes:
        return self._state.cipher.find(_TABLE, "set", group, str(number))


@dataclass(frozen=True, slots=True, repr=False)
class _Prints:
    """Fingerprints of what a job is trained on.

    Attributes:
        columns: their names.
        subjects: u8[n], ascending.
        values: u4[n, c], a row for each subject in that order.
    """

    columns: tuple[str, ...]
    subjects: NDArray[np.uint64]
    values: NDArray[np.uint32]

    @classmethod
    def of(cls, trained_on: TrainedOn, multipliers: NDArray[np.uint64]) -> Self:
        """Take them; `multipliers` are four odd secret numbers.

        Two subjects of 300,000 share a print with a chance of 2 in 10^9; a value that changed keeps
        its own with one of 2^-32: then one change less is counted.
        """
        codes = np.frombuffer(trained_on.subjects, f"S{SUBJECT_BYTES}")
        words = codes.astype(f"S{8 * _CODE_WORDS}").view("<u8").reshape(len(codes), _CODE_WORDS)
        subjects = np.zeros(len(codes), np.uint64)
        for word in range(_CODE_WORDS):
            subjects = _mixed(subjects ^ words[:, word], multipliers)
        values = _mixed(_told(trained_on, len(codes)).view("<u8"), multipliers[2:]) >> _HALF
        order = np.argsort(subjects)
        return cls(trained_on.columns, subjects[order], values[order].astype("<u4"))

    @classmethod
    def unpacked(cls, columns: tuple[str, ...], packed: bytes) -> Self:
        """Read what `packed` wrote."""
        rows = len(packed) // (8 + 4 * len(columns))
        subjects = np.frombuffer(packed, "<u8", rows)
        values = np.frombuffer(packed, "<u4", offset=8 * rows).reshape(rows, len(columns))
        return cls(columns, subjects, values)

    def packed(self) -> bytes:
        """Write them: the subjects, then the values row by row."""
        return self.subjects.tobytes() + self.values.tobytes()

    def apart_from(self, other: _Prints) -> int:
        """Count the subjects of one alone, and those of which a common column tells otherwise."""
        _, here, there = np.intersect1d(
            self.subjects, other.subjects, assume_unique=True, return_indices=True
        )
        alone = len(self.subjects) + len(other.subjects) - 2 * len(here)
        differ = np.zeros(len(here), np.bool_)
        for at, name in enumerate(self.columns):
            if name in other.columns:
                before = other.values[there, other.columns.index(name)]
                differ |= self.values[here, at] != before
        return alone + int(np.count_nonzero(differ))


def _told(trained_on: TrainedOn, rows: int) -> NDArray[np.float64]:
    """Give what stands of each subject: f8[n, c], 0 where a mean stands for the unknown."""
    # Adding zero makes one of the two zeros.
    told = np.frombuffer(trained_on.numbers, "<f8").reshape(rows, -1) + 0.0
    places = {name: at for at, name in enumerate(trained_on.columns)}
    for name, at in places.items():
        marked = places.get(unknown_column(name))
        if marked is not None:
            told[told[:, marked] != 0, at] = 0
    return told


def _mixed(numbers: NDArray[np.uint64], multipliers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Hash numbers of 64 bits by two rounds of a secret product and a shift."""
    once = numbers * multipliers[0]
    twice = (once ^ (once >> _HALF)) * multipliers[1]
    return twice ^ (twice >> _HALF)
