"""A training in the room is a run like a job: so many in a period, whatever becomes of each.

It is counted in the commit that lets its outcome out, and nothing of it is told before: whoever
stops an enclave in between has learned nothing, and a repeat counts once.
"""

from __future__ import annotations

from dataclasses import InitVar, dataclass
from datetime import datetime
from typing import Final, final

from saferoom_enclaves.evidence import Evidence, Right
from saferoom_enclaves.fits.admit import AdmittedFit
from saferoom_enclaves.fits.bands import BandLedger
from saferoom_enclaves.jobs.charge import Runs
from saferoom_proto.statements import PrivacySpent, StoreState


class _Charging(Right):
    __slots__ = ()


_FIT_CHARGED: Final = _Charging()


@final
@dataclass(frozen=True, slots=True, eq=False)
class ChargedFit(Evidence):
    """An admitted request that is one of the runs there may be.

    Attributes:
        run: the how manieth in its period.
        store: of which it is.
        privacy: what its bands are charged; none where none are told.
    """

    right: InitVar[_Charging]
    admitted: AdmittedFit
    run: int
    store: StoreState
    privacy: PrivacySpent | None

    def __post_init__(self, right: _Charging) -> None:
        _FIT_CHARGED.require(right)


def charge_fit(
    admitted: AdmittedFit, runs: Runs, bands: BandLedger, store: StoreState, now: datetime
) -> ChargedFit:
    """Hold a request to the runs there may be, and to what bands may tell.

    `Runs.note` and `BandLedger.note` count it, in the transaction of its outcome.

    Raises:
        SafeRoomError: `OVER_BUDGET` if as many ran as may, or bands told as much as they may.
    """
    asked = admitted.asked
    run = runs.next(asked.request.template, asked.group, admitted.use.fit.runs, now)
    return ChargedFit(_FIT_CHARGED, admitted, run, store, bands.pay(admitted, now))
