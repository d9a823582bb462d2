"""Which subjects were common in earlier alignments: another set may not differ by a few.

Two jobs over sets that differ by one subject would tell of that subject what no one job tells. So a
set is none or ten subjects away from every earlier one of its institution and of those that share
what they learn; else it is withheld, in the same words as a set that is too small.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

from saferoom_enclaves.job_work import RefusedError
from saferoom_enclaves.rowform import read_part
from saferoom_enclaves.standing import Standing
from saferoom_enclaves.state import Row, State
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Digest, Instant
from saferoom_proto.statements.base import Part
from saferoom_proto.statements.training import NEAREST_SETS
from saferoom_proto.uscc import SUBJECT_BYTES

_TABLE: Final = "aligned"

Codes = NDArray[np.bytes_]


class _Set(Part):
    job: Digest
    at: Instant


class _Sets(Part):
    sets: tuple[_Set, ...] = ()


class Partners:
    """Keeps the common subjects of each group's alignments, sealed.

    Args:
        state: the enclave's database, opened. What writes is done within its transactions.
        standing: knows which groups share what they learn.
    """

    def __init__(self, state: State, standing: Standing) -> None:
        self._state: Final = state
        self._standing: Final = standing

    def keep_apart(self, group: str, job: str, common: bytes, now: datetime) -> None:
        """Keep a set that its institution may be told of; within a transaction.

        It is kept where it is judged: of two that are judged at once the second meets the first.

        Args:
            group: the institution's, when its job began.
            job: whose set it is.
            common: the subjects' codes, ascending.
            now: when it was judged.

        Raises:
            RefusedError: `WITHHELD` if it differs by a few from an earlier one.
        """
        subjects, is_known = _codes(common), False
        for each in self._standing.groups.linked(group):
            for number in range(len(self._listed(each)[0].sets)):
                row = self._state.get(_TABLE, self._key(each, number))
                if row is None:
                    raise SafeRoomError(Reason.STORE_DAMAGED, f"a row of {_TABLE}")
                apart = _difference(subjects, _codes(row.content))
                if 0 < apart < NEAREST_SETS:
                    raise RefusedError(Reason.WITHHELD)
                is_known |= each == group and not apart
        if not is_known:
            self._remember(group, job, common, now)

    def _remember(self, group: str, job: str, common: bytes, now: datetime) -> None:
        listed, row = self._listed(group)
        number = len(listed.sets)
        self._state.put(_TABLE, self._key(group, number), common)
        kept = _Sets(sets=(*listed.sets, _Set(job=job, at=now)))
        self._state.put(_TABLE, self._list_key(group), kept.model_dump_json().encode(), row)

    def _listed(self, group: str) -> tuple[_Sets, Row | None]:
        row = self._state.get(_TABLE, self._list_key(group))
        if row is None:
            return _Sets(), None
        return read_part(row.content, _Sets), row

    def _list_key(self, group: str) -> bytes:
        return self._state.cipher.find(_TABLE, "sets", group)

    def _key(self, group: str, number: int) -> bytes:
        return self._state.cipher.find(_TABLE, "set", group, str(number))


def _codes(packed: bytes) -> Codes:
    return np.frombuffer(packed, dtype=f"S{SUBJECT_BYTES}")


def _difference(one: Codes, other: Codes) -> int:
    """Count the subjects that are in one of two sets alone; both ascend."""
    both = np.concatenate((one, other))
    # Two runs, each in order: merging them takes a twentieth of setxor1d's time.
    both.sort(kind="stable")
    return len(both) - 2 * int(np.count_nonzero(both[1:] == both[:-1]))
