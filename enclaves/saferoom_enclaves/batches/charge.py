"""Step 4 of a batch: its rows are paid for before a record is looked at (`charge` does the same).

The account of a subject is the one that single checks are charged to.
"""

from __future__ import annotations

from dataclasses import InitVar, dataclass
from datetime import datetime
from typing import Final, final

import numpy as np
from numpy.typing import NDArray

from saferoom_enclaves.admit import Rules
from saferoom_enclaves.batches.admit import AdmittedRows, NotAdmitted, Places
from saferoom_enclaves.consent_index import Digests
from saferoom_enclaves.evidence import Evidence, Right
from saferoom_enclaves.spending import Questions, RowCharges, Spending
from saferoom_proto.batch import CODES
from saferoom_proto.reasons import Reason


class _Charging(Right):
    __slots__ = ()


_ROWS_CHARGED: Final = _Charging()


@final
@dataclass(frozen=True, slots=True, eq=False)
class ChargedRows(Evidence):
    """Admitted rows whose price is paid.

    Attributes:
        admitted: they, and those that could not pay.
        places: in their chunk.
        subjects: their codes, 18 bytes each.
        consents: digests of the consents that cover them.
        cells: cells before and after for each charged feature, of shape (rows, features, 2).
    """

    right: InitVar[_Charging]
    admitted: AdmittedRows
    places: Places
    subjects: bytes
    consents: Digests
    cells: NDArray[np.uint16]

    def __post_init__(self, right: _Charging) -> None:
        _ROWS_CHARGED.require(right)


def charge_rows(
    admitted: AdmittedRows,
    spending: Spending,
    rules: Rules,
    *,
    name: str,
    epoch: int,
    now: datetime,
) -> tuple[ChargedRows, NotAdmitted]:
    """Spend budgets and uses of consents for each row that can pay, within the transaction.

    Args:
        admitted: the rows.
        spending: the leakage ledger.
        rules: whose consents are used and whose charter is in force.
        name: of these rows, used once.
        epoch: the period.
        now: the instant.
    """
    rows, asks = admitted.rows, admitted.bound.asks
    # By name: the order of the charges in a row's record.
    asks = tuple(sorted(asks, key=lambda ask: ask.feature.full_name))
    if asks:
        questions = Questions(admitted.asked.agreement.agreement.group, rows.subjects, epoch, asks)
        charges = spending.charge_rows(name, questions, rules.standing.charter.charter, now)
    else:
        charges = RowCharges(
            np.ones(len(rows.subjects), np.bool_),
            np.zeros((len(rows.subjects), 0, 2), np.uint16),
        )
    for place, covering in admitted.limited.items():
        if charges.paid[place]:
            rules.consents.use(covering)
    paid, unpaid = np.flatnonzero(charges.paid), np.flatnonzero(~charges.paid)
    subjects = rows.subjects if not len(unpaid) else [rows.subjects[at] for at in paid.tolist()]
    charged = ChargedRows(
        _ROWS_CHARGED,
        admitted,
        rows.places[paid],
        b"".join(subjects),
        admitted.consents[paid],
        charges.cells[paid],
    )
    codes = np.full(len(unpaid), CODES[Reason.OVER_BUDGET], np.uint8)
    return charged, NotAdmitted(rows.places[unpaid], codes)
