"""Answers of providers, sealed in the enclave's own database until their period is over.

A subject has one row for each source, written anew when another period's answer comes: so the first
answer of a period is the only one there is of it. What is over is overwritten. One that nobody can
use is an answer, too: else what is told of a subject could change within the period, at no price.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from saferoom_enclaves.rowform import pack, pack_time, unpack, unpack_time
from saferoom_enclaves.state import State
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements.source import Source, opened

UNUSABLE: Final = b"\0"
"""Kept in the place of an answer that nobody can use; no provider's is of this form."""
_TABLE: Final = "fetched"
_PARTS: Final = 3
_LOOKED_AT_ONCE: Final = 32
"""Rows gone through at a time: 32 MiB to open at the most."""
_EVERY: Final = timedelta(hours=1)
"""Between two times that all rows are gone through."""


@dataclass(frozen=True, slots=True, repr=False)
class KeptAnswer:
    """A provider's answer of one period; empty if it knows no such subject, or `UNUSABLE`.

    It shows no text form.
    """

    period: int
    data: bytes


class Kept:
    """Keeps answers.

    Args:
        state: the enclave's database, opened.
    """

    def __init__(self, state: State) -> None:
        self._state: Final = state
        self._after: bytes | None = None
        self._looked: datetime | None = None

    def get(self, subject: str, source: Source, now: datetime) -> KeptAnswer | None:
        """Give the answer of the period that an instant lies in; none if there is none."""
        row = self._state.get(_TABLE, self._key(subject, source))
        if row is None or not row.content:
            return None
        ends, period, data = _read(row.content)
        current = int.from_bytes(period, "big") == source.period(now)
        return KeptAnswer(source.period(now), data) if current and now < ends else None

    def put(self, subject: str, source: Source, answer: KeptAnswer) -> None:
        """Keep an answer of a period of which there is none.

        Raises:
            SafeRoomError: `CONFLICT` if there is one: it stays.
        """
        key = self._key(subject, source)
        row = self._state.get(_TABLE, key)
        if row is not None and row.content:
            _, period, _ = _read(row.content)
            if int.from_bytes(period, "big") >= answer.period:
                raise SafeRoomError(Reason.CONFLICT, "an answer of this period is kept")
        ends = opened(answer.period) + timedelta(days=source.days)
        content = pack(pack_time(ends), answer.period.to_bytes(4, "big"), answer.data)
        with self._state.transaction():
            self._state.put(_TABLE, key, content, row)

    def throw_away(self, now: datetime) -> None:
        """Go through some of the rows, and overwrite those that are over."""
        if self._after is None:
            if self._looked is not None and timedelta(0) <= now - self._looked < _EVERY:
                return
            self._after, self._looked = b"", now
        rows = self._state.found_after(_TABLE, self._after, _LOOKED_AT_ONCE)
        over = [(key, row) for key, row in rows if row.content and _read(row.content)[0] <= now]
        if over:
            with self._state.transaction():
                for key, row in over:
                    self._state.put(_TABLE, key, b"", row)
        self._after = rows[-1][0] if len(rows) == _LOOKED_AT_ONCE else None

    def _key(self, subject: str, source: Source) -> bytes:
        return self._state.cipher.find(_TABLE, subject, source.name)


def _read(content: bytes) -> tuple[datetime, bytes, bytes]:
    ends, period, data = unpack(content, _PARTS)
    return unpack_time(ends), period, data
