"""What was asked within the last day, kept in the enclave's own database: so many, and no more.

It is written down before any work is done, so that what failed, was cut off or is still under way
counts like what was answered.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Final

from pydantic import Field

from saferoom_enclaves.rowform import read_part
from saferoom_enclaves.state import State
from saferoom_proto.statements import Digest, Instant
from saferoom_proto.statements.base import Part

_DAY: Final = timedelta(days=1)


class Earlier(Part):
    """One request of the last day, and the entry of the chain that answered it, if one did."""

    request_id: Digest
    nonce: str = ""
    at: Instant
    entry: Annotated[int, Field(ge=0)] | None = None


class _Day(Part):
    asked: tuple[Earlier, ...] = ()


class Days:
    """Each asker's last day.

    Args:
        state: the enclave's database, opened. What writes is done within its transactions.
        table: where it is kept.
    """

    def __init__(self, state: State, table: str) -> None:
        self._state: Final = state
        self._table: Final = table

    def of(self, asker: str, now: datetime) -> tuple[Earlier, ...]:
        """Read what an asker asked within the last day, in its order."""
        row = self._state.get(self._table, self._key(asker))
        if row is None:
            return ()
        kept = read_part(row.content, _Day)
        return tuple(each for each in kept.asked if each.at > now - _DAY)

    def write(self, asker: str, asked: tuple[Earlier, ...]) -> None:
        """Write down what an asker asked within the last day, in the place of what stood there."""
        key = self._key(asker)
        row = self._state.get(self._table, key)
        self._state.put(self._table, key, _Day(asked=asked).model_dump_json().encode(), row)

    def _key(self, asker: str) -> bytes:
        return self._state.cipher.find(self._table, asker)
