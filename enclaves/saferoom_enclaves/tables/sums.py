"""The sums over owners that this one gave its cells to: whose about which periods, told to whom.

Two sums that differ by one owner's cells alone tell these: because that owner was left out, or
because it alone has other records since. So the sums that one group of institutions is told differ
by the cells of no owner, or of as many as a sum is over (ADR 54). A request says all periods, and
each enclave holds it to its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from saferoom_enclaves.rowform import read_or_first
from saferoom_enclaves.state import Row, State
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements.aggregate import FEWEST_SUMMED
from saferoom_proto.statements.base import Name, Part
from saferoom_proto.statements.tables import OwnersPeriod

_TABLE: Final = "tables"
MOST_SUMS: Final = 4096
"""Of different owners or periods, told to those who share what they learn: a sum a month for
centuries. Who asks about ever other periods uses up its own, and nobody else's."""


class ToldSum(Part):
    """That a group was told a sum.

    Attributes:
        group: the collusion group, as its agreement named it then.
        periods: of which owners, about which period of each.
    """

    group: Name
    periods: tuple[OwnersPeriod, ...]

    def differs_by(self, other: ToldSum) -> int:
        """Tell by how many owners' cells two sums differ."""
        one, another = (
            {(each.owner, each.epoch) for each in told.periods} for told in (self, other)
        )
        return len({owner for owner, _ in one ^ another})


class _AllTold(Part):
    told: tuple[ToldSum, ...] = ()


class ToldSums:
    """Keeps them, over all periods of this owner.

    Args:
        state: the enclave's database, opened. All is written within its transactions.
    """

    def __init__(self, state: State) -> None:
        self._state: Final = state

    def require_apart(self, asked: ToldSum, linked: Sequence[str]) -> None:
        """Refuse a sum from which an earlier one could be subtracted, by the requests alone.

        Args:
            asked: the sum.
            linked: the groups that share what they learn with the asker's, its own among them.

        Raises:
            SafeRoomError: `CONFLICT`; `TOO_LARGE` if too many are kept.
        """
        kept, _ = self._read()
        theirs = [each for each in kept.told if each.group in linked]
        for each in theirs:
            if 0 < (owners := asked.differs_by(each)) < FEWEST_SUMMED:
                detail = f"beside an earlier sum it would tell of {owners} owners alone"
                raise SafeRoomError(Reason.CONFLICT, detail)
        if len(theirs) >= MOST_SUMS and asked not in theirs:
            raise SafeRoomError(Reason.TOO_LARGE, f"more than {MOST_SUMS} sums")

    def told(self, told: ToldSum) -> None:
        """Note, in the transaction of the answer, that a group was told a sum."""
        kept, row = self._read()
        newest = _AllTold(told=tuple(dict.fromkeys((*kept.told, told))))
        self._state.put(_TABLE, self._key(), newest.model_dump_json().encode(), row)

    def _read(self) -> tuple[_AllTold, Row | None]:
        row = self._state.get(_TABLE, self._key())
        return read_or_first(row and row.content, _AllTold), row

    def _key(self) -> bytes:
        return self._state.cipher.find(_TABLE, "sums", "0")
