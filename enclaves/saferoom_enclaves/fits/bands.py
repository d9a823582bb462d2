"""What bands of models' cards told: to which groups, and with which noise.

Every training that may tell bands is charged its epsilon, whatever becomes of it: so the price
depends on what is asked. What linked groups were charged counts to each of them, over all templates
of this owner, for a month at least.

Noise is made once for a question and the records that it is about, and kept: banks that ask the
same get the same numbers, and average nothing away. What the question is, the request alone says.
Were it the model, equal numbers would tell that two ridges come to one model, without noise.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from saferoom_enclaves.children.fit_jobs import NoisyBandMade
from saferoom_enclaves.fits.admit import AdmittedFit
from saferoom_enclaves.rowform import read_part
from saferoom_enclaves.standing import Standing
from saferoom_enclaves.state import Row, State
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Instant, StoreState
from saferoom_proto.statements.aggregate import FEWEST_DAYS
from saferoom_proto.statements.base import Part
from saferoom_proto.statements.tables import PrivacySpent

_TABLE: Final = "fit_bands"
BandsMade = tuple[NoisyBandMade, ...]


class _Charged(Part):
    at: Instant
    days: int
    epsilon: Decimal
    cap: Decimal


class _Earlier(Part):
    charged: tuple[_Charged, ...] = ()


class _Kept(Part):
    bands: BandsMade


class BandLedger:
    """Charges bands, and keeps their numbers.

    Args:
        state: the enclave's database, opened. What writes is done within its transactions.
        standing: knows which groups share what they learn.
    """

    def __init__(self, state: State, standing: Standing) -> None:
        self._state: Final = state
        self._standing: Final = standing

    def price(self, admitted: AdmittedFit, now: datetime) -> PrivacySpent | None:
        """Tell what a training costs, within the cap or not; nothing is noted.

        Returns:
            None where no bands are told, or nobody knows what was told before.
        """
        fit = admitted.use.fit
        if fit.bands is None or self._forgot(admitted, now):
            return None
        before = list(self._counting(admitted.asked.group, _days(admitted), now))
        spent = sum((each.epsilon for each in before), fit.bands.epsilon)
        cap = min([fit.bands.cap, *(each.cap for each in before)])
        return PrivacySpent(charged=fit.bands.epsilon, spent=spent, cap=cap)

    def pay(self, admitted: AdmittedFit, now: datetime) -> PrivacySpent | None:
        """Tell what a training is charged, or refuse it; as `price`.

        Raises:
            SafeRoomError: `OVER_BUDGET` beyond the least cap of what counts.
        """
        priced = self.price(admitted, now)
        if priced is not None and not priced.within:
            detail = f"epsilon: it would come to {priced.spent}, and {priced.cap} is the cap"
            raise SafeRoomError(Reason.OVER_BUDGET, detail)
        if priced is None and admitted.use.fit.bands is not None:
            raise SafeRoomError(Reason.OVER_BUDGET, "bands of a forgotten span count as told")
        return priced

    def note(self, admitted: AdmittedFit, now: datetime) -> None:
        """Charge a training, in the transaction that counts it."""
        bands = admitted.use.fit.bands
        if bands is None:
            return
        group, days = admitted.asked.group, admitted.use.fit.runs.days
        earlier, row = self._read(group)
        charged = _Charged(at=now, days=days, epsilon=bands.epsilon, cap=bands.cap)
        kept = _Earlier(charged=(*earlier.charged, charged)).model_dump_json().encode()
        self._state.put(_TABLE, self._group(group), kept, row)

    def first(self, admitted: AdmittedFit, store: StoreState, made: BandsMade) -> BandsMade:
        """Give the numbers that were made first for a question, and keep these if they are.

        Args:
            admitted: the question.
            store: the records that it is about.
            made: its numbers, made anew; dropped if there are some.
        """
        key = self._question(admitted, store)
        row = self._state.get(_TABLE, key)
        if row is not None:
            return read_part(row.content, _Kept).bands
        self._state.put(_TABLE, key, _Kept(bands=made).model_dump_json().encode())
        return made

    def _forgot(self, admitted: AdmittedFit, now: datetime) -> bool:
        """Tell whether a lost copy knew what was told in a part of the span that counts."""
        return self._state.marks.forgotten_until > now - timedelta(days=_days(admitted))

    def _counting(self, group: str, days: int, now: datetime) -> Iterator[_Charged]:
        for linked in self._standing.groups.linked(group):
            for each in self._read(linked)[0].charged:
                if each.at > now - timedelta(days=max(days, each.days)):
                    yield each

    def _read(self, group: str) -> tuple[_Earlier, Row | None]:
        row = self._state.get(_TABLE, self._group(group))
        if row is None:
            return _Earlier(), None
        return read_part(row.content, _Earlier), row

    def _group(self, group: str) -> bytes:
        return self._state.cipher.find(_TABLE, "charged", group)

    def _question(self, admitted: AdmittedFit, store: StoreState) -> bytes:
        use, request = admitted.use, admitted.asked.request
        ridge = None if request.inverse_ridge is None else float(request.inverse_ridge)
        epsilon = None if use.fit.bands is None else float(use.fit.bands.epsilon)
        chosen = map(str, (epsilon, ridge, request.trees, request.leaves))
        # By name and recipe: the one says which rows are held out, the other what they hold.
        label, *features = (
            f"{each.definition.full_name} {each.definition.recipe_digest}"
            for each in (use.label, *use.features)
        )
        return self._state.cipher.find(
            _TABLE, store.digest, use.fit.algorithm, *chosen, label, *sorted(features)
        )


def _days(admitted: AdmittedFit) -> int:
    return max(FEWEST_DAYS, admitted.use.fit.runs.days)
