"""Step 6 of a check: its price is paid before a record is looked at (`docs/life-of-a-check.md`).

A later refusal keeps the price. Whether it can be paid depends on the questions asked so far, never
on a record or an answer.
"""

from __future__ import annotations

from dataclasses import InitVar, dataclass
from datetime import datetime
from typing import Final, final

from saferoom_enclaves.admit import Admitted
from saferoom_enclaves.consents import Consents
from saferoom_enclaves.evidence import Evidence, Right
from saferoom_enclaves.spending import Question, Spending
from saferoom_proto.statements import Charge, Charter


class _Charging(Right):
    __slots__ = ()


_CHARGED: Final = _Charging()


@final
@dataclass(frozen=True, slots=True, eq=False)
class Charged(Evidence):
    """An admitted question whose price is paid."""

    right: InitVar[_Charging]
    admitted: Admitted
    charges: tuple[Charge, ...]

    def __post_init__(self, right: _Charging) -> None:
        _CHARGED.require(right)


def charge(
    admitted: Admitted,
    spending: Spending,
    consents: Consents,
    charter: Charter,
    *,
    epoch: int,
    now: datetime,
) -> Charged:
    """Spend the leakage budgets and a use of the consent, within the transaction under way.

    The second message of a blind match repeats what its first one paid for.

    Raises:
        SafeRoomError: `OVER_BUDGET`; nothing is spent then.
    """
    asked = admitted.asked
    question = Question(
        group=asked.agreement.agreement.group,
        subject=asked.request.subject,
        epoch=epoch,
        asks=admitted.bound.asks,
    )
    charges = spending.charge(question, charter, now) if question.asks else ()
    if admitted.consent is not None and asked.request.match is None:
        consents.use(admitted.consent)
    return Charged(_CHARGED, admitted, charges)
