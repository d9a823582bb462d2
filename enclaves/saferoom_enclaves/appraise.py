"""What a question would cost, told before it is asked (`docs/life-of-a-check.md`, at its end).

A request for the price goes the way of a question up to its price, by the same rules in the same
order; then its price is told instead of paid. No record is looked at and nothing is spent, so its
word is a function of the statements in force and of the questions asked before. It is recorded like
every word of the enclave's.

What it can tell, and whom. Whether a subject consented to this institution shows here as it shows
in the refusal of a question, and before any price: of a subject that the institution may not ask
about, it learns no price. What institutions of its own collusion group asked shows in the price:
the group has one account. Another group's account is another row, and nothing here reads it.
"""

from __future__ import annotations

from dataclasses import InitVar, dataclass
from datetime import datetime
from typing import Final, final

from saferoom_enclaves.admit import Allowed, agreed
from saferoom_enclaves.evidence import Evidence, Right
from saferoom_enclaves.pricing import Prices, price
from saferoom_enclaves.spending import Question, Spending
from saferoom_enclaves.standing import Standing
from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import Reason
from saferoom_proto.statements import Charter, CostRequest, load
from saferoom_proto.verification import PinnedAgreement


class _Inquiry(Right):
    __slots__ = ()


class _Appraisal(Right):
    __slots__ = ()


_INQUIRED: Final = _Inquiry()
_APPRAISED: Final = _Appraisal()
_NO_PRICES: Final = Prices((), ())


@final
@dataclass(frozen=True, slots=True, eq=False)
class Inquired(Evidence):
    """A request for a price that a known institution signed. It is no question."""

    right: InitVar[_Inquiry]
    request: CostRequest
    request_id: str
    agreement: PinnedAgreement

    def __post_init__(self, right: _Inquiry) -> None:
        _INQUIRED.require(right)


@final
@dataclass(frozen=True, slots=True, eq=False)
class Appraised(Evidence):
    """What a question would cost, or for what it would be refused. Nothing was charged."""

    right: InitVar[_Appraisal]
    inquired: Inquired
    refused: Reason | None
    prices: Prices

    def __post_init__(self, right: _Appraisal) -> None:
        _APPRAISED.require(right)


def is_inquiry(envelope: Envelope) -> bool:
    """Tell whether a request asks for a price; its payload type is under its signature."""
    return envelope.payload_type == CostRequest.payload_type()


def inquire(envelope: Envelope, standing: Standing, now: datetime) -> Inquired:
    """Find out whose request for a price it is.

    Raises:
        SafeRoomError: as `identify` does, and nothing is recorded.
    """
    request = load(envelope, CostRequest)
    return Inquired(_INQUIRED, request, envelope.digest, agreed(envelope, request, standing, now))


def refuse(inquired: Inquired, reason: Reason) -> Appraised:
    """Tell that the question would be refused before its price is looked at."""
    return Appraised(_APPRAISED, inquired, reason, _NO_PRICES)


def appraise(
    inquired: Inquired,
    allowed: Allowed,
    spending: Spending,
    charter: Charter,
    *,
    epoch: int,
    now: datetime,
) -> Appraised:
    """Tell the price of a question that would be admitted."""
    question = Question(
        group=inquired.agreement.agreement.group,
        subject=inquired.request.subject,
        epoch=epoch,
        asks=allowed.bound.asks,
    )
    prices = price(spending, question, charter, now)
    return Appraised(_APPRAISED, inquired, None if prices.within else Reason.OVER_BUDGET, prices)
