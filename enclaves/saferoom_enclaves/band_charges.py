"""What bands of models' rows told, in trainings in the room and joint ones: to which groups.

Every training that may tell bands is charged its epsilon, whatever becomes of it: so the price
depends on what is asked. What linked groups were charged counts to each of them, over all templates
of this owner, for a month at least.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from saferoom_enclaves.rowform import read_or_first
from saferoom_enclaves.standing import Standing
from saferoom_enclaves.state import Row, State
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Instant
from saferoom_proto.statements.aggregate import FEWEST_DAYS
from saferoom_proto.statements.base import Part
from saferoom_proto.statements.tables import PrivacySpent
from saferoom_proto.statements.training import FitBands

TABLE: Final = "fit_bands"


class _Charged(Part):
    at: Instant
    days: int
    epsilon: Decimal
    cap: Decimal


class _Earlier(Part):
    charged: tuple[_Charged, ...] = ()


class BandCharges:
    """Charges bands.

    Args:
        state: the enclave's database, opened. What writes is done within its transactions.
        standing: knows which groups share what they learn.
    """

    def __init__(self, state: State, standing: Standing) -> None:
        self._state: Final = state
        self._standing: Final = standing

    def price(
        self, bands: FitBands | None, days: int, group: str, now: datetime
    ) -> PrivacySpent | None:
        """Tell what a training costs, within the cap or not; nothing is noted.

        Args:
            bands: what its template says of them.
            days: the period of its template's runs.
            group: whose it is.
            now: when.

        Returns:
            None where no bands are told, or nobody knows what was told before.
        """
        days = max(FEWEST_DAYS, days)
        if bands is None or self._state.marks.forgotten_until > now - timedelta(days=days):
            return None
        before = list(self._counting(group, days, now))
        spent = sum((each.epsilon for each in before), bands.epsilon)
        cap = min([bands.cap, *(each.cap for each in before)])
        return PrivacySpent(charged=bands.epsilon, spent=spent, cap=cap)

    def pay(
        self, bands: FitBands | None, days: int, group: str, now: datetime
    ) -> PrivacySpent | None:
        """Tell what a training is charged, or refuse it; as `price`.

        Raises:
            SafeRoomError: `OVER_BUDGET` beyond the least cap of what counts.
        """
        priced = self.price(bands, days, group, now)
        if priced is not None and not priced.within:
            detail = f"epsilon: it would come to {priced.spent}, and {priced.cap} is the cap"
            raise SafeRoomError(Reason.OVER_BUDGET, detail)
        if priced is None and bands is not None:
            # What was told in a span that a lost copy knew, nobody can tell.
            raise SafeRoomError(Reason.OVER_BUDGET, "bands of a forgotten span count as told")
        return priced

    def note(self, bands: FitBands | None, days: int, group: str, now: datetime) -> None:
        """Charge a training, in the transaction that counts it."""
        if bands is None:
            return
        earlier, row = self._read(group)
        charged = _Charged(at=now, days=days, epsilon=bands.epsilon, cap=bands.cap)
        kept = _Earlier(charged=(*earlier.charged, charged)).model_dump_json().encode()
        self._state.put(TABLE, self._group(group), kept, row)

    def _counting(self, group: str, days: int, now: datetime) -> Iterator[_Charged]:
        for linked in self._standing.groups.linked(group):
            for each in self._read(linked)[0].charged:
                if each.at > now - timedelta(days=max(days, each.days)):
                    yield each

    def _read(self, group: str) -> tuple[_Earlier, Row | None]:
        row = self._state.get(TABLE, self._group(group))
        return read_or_first(row and row.content, _Earlier), row

    def _group(self, group: str) -> bytes:
        return self._state.cipher.find(TABLE, "charged", group)
