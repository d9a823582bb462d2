"""What a question would be charged, told instead of charged: the steps of `Spending.charge`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_CEILING, Decimal

from saferoom_enclaves.accounts import Place, Spent
from saferoom_enclaves.asking import Ask, spend_on
from saferoom_enclaves.leakage import STEP, Cells, family_cells
from saferoom_enclaves.spending import (
    Question,
    Spending,
    budget_bits,
    budget_of,
    cap_bits,
    cap_of,
    in_family,
)
from saferoom_proto.bits import MAX_BITS
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Charter, FamilyPrice, FeaturePrice


@dataclass(frozen=True, slots=True)
class Prices:
    """What a question would be charged, feature by feature and family by family."""

    features: tuple[FeaturePrice, ...]
    families: tuple[FamilyPrice, ...]

    @property
    def within(self) -> bool:
        """Whether it would be charged, and not refused."""
        return all(each.within for each in (*self.features, *self.families))


def price(spending: Spending, question: Question, charter: Charter, now: datetime) -> Prices:
    """Tell what `Spending.charge` would do with a question, and do nothing.

    It goes through the same steps, so it is within budget if and only if `charge` takes it.
    """
    account = spending.account(question.group, question.subject)
    before = {each.place: each for each in account}
    after, features, changed = dict(before), list[FeaturePrice](), list[Ask]()
    asks = spending.asks_of(question)
    for ask in asks:
        period = ask.period(question.epoch, now)
        place = ask.place(period)
        spent, within = _wanted(ask, before, period, charter)
        if spent is not before.get(place):
            within = within and not spending.closed(period)
            within = within and _may_state(spending, question, ask, now)
            after[place] = spent
            changed.append(ask)
        cells = before[place].cells if place in before else 1
        features.append(_feature_price(ask, cells, spent.cells, charter, within=within))
    families = _family_prices(
        asks,
        changed,
        (spending.counted(before.values(), now), spending.counted(after.values(), now)),
        spending.families,
        charter,
    )
    return Prices(tuple(features), families)


def _wanted(
    ask: Ask, before: Mapping[Place, Spent], epoch: int, charter: Charter
) -> tuple[Spent, bool]:
    """Give what would stand in the account, and whether the feature's budget allows it."""
    try:
        return spend_on(ask, before, epoch, budget_of(budget_bits(ask, charter))), True
    except SafeRoomError as error:
        if error.reason is not Reason.OVER_BUDGET:
            raise
    # Its price all the same: as if it could be paid, and had told no other value.
    place = ask.place(epoch)
    alone = {place: before[place]} if place in before else {}
    return spend_on(ask, alone, epoch, budget_of(Decimal(MAX_BITS))), False


def _may_state(spending: Spending, question: Question, ask: Ask, now: datetime) -> bool:
    """Tell whether another value may be stated, if one is."""
    if ask.stated is None:
        return True
    try:
        spending.require_attempt(question, ask, now)
    except SafeRoomError as error:
        if error.reason is not Reason.OVER_BUDGET:
            raise
        return False
    return True


def _feature_price(
    ask: Ask, before: int, after: int, charter: Charter, *, within: bool
) -> FeaturePrice:
    return FeaturePrice(
        feature=ask.feature.full_name,
        family=ask.feature.family,
        cells_before=before,
        cells_after=after,
        budget_bits=budget_bits(ask, charter),
        within=within,
    )


def _family_prices(
    asks: tuple[Ask, ...],
    changed: list[Ask],
    counted: tuple[tuple[Spent, ...], tuple[Spent, ...]],
    families: Mapping[str, str],
    charter: Charter,
) -> tuple[FamilyPrice, ...]:
    before, after = counted
    adds = {ask.feature.family for ask in changed}
    prices: list[FamilyPrice] = []
    for family in sorted({ask.feature.family for ask in asks}):
        cap = cap_bits(family, changed if family in adds else asks, charter)
        total = family_cells(in_family(family, families, after))
        prices.append(
            FamilyPrice(
                family=family,
                bits_before=_shown(family_cells(in_family(family, families, before))),
                bits_after=_shown(total),
                cap_bits=cap,
                within=family not in adds or cap_of(cap).allows(total),
            )
        )
    return tuple(prices)


def _shown(cells: Cells) -> Decimal:
    """Give bits for people: rounded up, so that what is left is never shown as more."""
    return Decimal(cells.bits).quantize(STEP, ROUND_CEILING)
