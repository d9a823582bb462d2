"""Noise of bands of models' cards is made once for a question and its records, and kept.

Banks that ask the same get the same numbers, and average nothing away. What the question is, the
request alone says. Were it the model, equal numbers would tell that two ridges come to one model,
without noise. What bands are charged stands in `band_charges`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from saferoom_enclaves.band_charges import TABLE, BandCharges
from saferoom_enclaves.children.fit_jobs import NoisyBandMade
from saferoom_enclaves.fits.admit import AdmittedFit
from saferoom_enclaves.rowform import read_part
from saferoom_enclaves.standing import Standing
from saferoom_enclaves.state import State
from saferoom_proto.statements import StoreState
from saferoom_proto.statements.base import Part
from saferoom_proto.statements.tables import PrivacySpent

BandsMade = tuple[NoisyBandMade, ...]


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
        self._charges: Final = BandCharges(state, standing)

    def price(self, admitted: AdmittedFit, now: datetime) -> PrivacySpent | None:
        """Tell what a training costs; as `BandCharges.price`."""
        fit = admitted.use.fit
        return self._charges.price(fit.bands, fit.runs.days, admitted.asked.group, now)

    def pay(self, admitted: AdmittedFit, now: datetime) -> PrivacySpent | None:
        """Tell what a training is charged, or refuse it; as `BandCharges.pay`."""
        fit = admitted.use.fit
        return self._charges.pay(fit.bands, fit.runs.days, admitted.asked.group, now)

    def note(self, admitted: AdmittedFit, now: datetime) -> None:
        """Charge a training, in the transaction that counts it."""
        fit = admitted.use.fit
        self._charges.note(fit.bands, fit.runs.days, admitted.asked.group, now)

    def first(self, admitted: AdmittedFit, store: StoreState, made: BandsMade) -> BandsMade:
        """Give the numbers that were made first for a question, and keep these if they are.

        Of several owners they are those of this training alone: of what the others gave nothing is
        kept, so nobody could tell whether the question is about the same records.

        Args:
            admitted: the question.
            store: the records that it is about.
            made: its numbers, made anew; dropped if there are some.
        """
        if admitted.use.fit.givers:
            return made
        key = self._question(admitted, store)
        row = self._state.get(TABLE, key)
        if row is not None:
            return read_part(row.content, _Kept).bands
        self._state.put(TABLE, key, _Kept(bands=made).model_dump_json().encode())
        return made

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
            TABLE, store.digest, use.fit.algorithm, *chosen, label, *sorted(features)
        )
