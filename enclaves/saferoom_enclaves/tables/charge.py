"""What a table costs: it is protected together with all that was released before, for good.

The account is read before a record is looked at, and written with the answer. Whether a plan goes
with it depends on the plans that were asked, never on a record.
"""

from __future__ import annotations

from dataclasses import InitVar, dataclass
from datetime import datetime, timedelta
from typing import Final, final

from saferoom_enclaves.evidence import Evidence, Right
from saferoom_enclaves.features.computed import FeatureDefinition
from saferoom_enclaves.marks import Marks
from saferoom_enclaves.tables.account import KeptAccount, TableAccount, TableAccounts
from saferoom_enclaves.tables.admit import AdmittedTable
from saferoom_enclaves.tables.privacy import PaidNoise, ToldWithNoise, pay, price
from saferoom_enclaves.tables.shown import ShownFamily, SumBounds
from saferoom_enclaves.tables.sums import ToldSum
from saferoom_proto.collusion import CollusionGroups
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements.aggregate import FEWEST_SUMMED, Privacy, TableRules
from saferoom_proto.statements.tables import PrivacySpent
from saferoom_proto.tables.plan import ReleasePlan
from saferoom_proto.tables.rules import MOST_ANSWERS

MOST_CELLS: Final = 40_000
"""Cells of all plans about the same records: twice what one plan may ask, and as much as can be
protected and audited together within the time that a child has."""


class _Charging(Right):
    __slots__ = ()


_TABLE_CHARGED: Final = _Charging()


@final
@dataclass(frozen=True, slots=True, eq=False)
class ChargedTable(Evidence):
    """An admitted request whose plan goes with all that was released about the same records.

    Attributes:
        plan: of this period of the store.
        kept: what was released before.
        features: all that must be computed: the plan's, and those of what was released before.
        bounds: likewise, of all sums.
        rules: the plan's, and where what was released before kept to stricter ones, those.
        first: by whose base and digits the first tables of these records were rounded; all others
            are rounded by those before they are by their own.
        groups: by which feature subjects are one unit, for this plan or any before it.
        parts: of a sum, whose cells about which periods it adds up.
        noise: what it was charged, of tables with noise; such are held to nothing else.
    """

    right: InitVar[_Charging]
    admitted: AdmittedTable
    plan: ReleasePlan
    kept: KeptAccount
    features: tuple[FeatureDefinition, ...]
    bounds: tuple[SumBounds, ...]
    rules: TableRules
    first: TableRules
    noise: PaidNoise | None = None
    groups: str | None = None
    parts: ToldSum | None = None

    def __post_init__(self, right: _Charging) -> None:
        _TABLE_CHARGED.require(right)

    def after(self, shown: tuple[ShownFamily, ...]) -> TableAccount:
        """Give what the account will be, once this plan is answered."""
        before, certificate = self.kept.account, self.admitted.tables.certificate
        institution = self.admitted.asked.request.institution
        plans = tuple(dict.fromkeys((*before.plans, certificate)))
        return TableAccount(
            plans=plans,
            features=self.features,
            bounds=self.bounds,
            shown=shown,
            rules=_rounding_as(self.first, self.rules),
            times=before.told_once_more(institution, certificate),
            groups=self.groups,
            noisy=before.noisy if self.noise is None else self.noise.after(before.noisy),
            owners=self.admitted.tables.owners,
        )

    def unmade(self) -> TableAccount:
        """Give what the account will be, if these tables could not be made: one time more."""
        before, certificate = self.kept.account, self.admitted.tables.certificate
        institution = self.admitted.asked.request.institution
        times = before.told_once_more(institution, certificate)
        return before.model_copy(update={"times": times})


def charge_table(
    admitted: AdmittedTable,
    accounts: TableAccounts,
    marks: Marks,
    groups: CollusionGroups,
    *,
    epoch: int,
    now: datetime,
) -> ChargedTable:
    """Hold a plan to what was released before about the same records.

    Args:
        admitted: the request.
        accounts: what was released before.
        epoch: of the store in use.
        marks: which periods an older copy forgot, and when that was.
        groups: which institutions share what they learn.
        now: the instant.

    Raises:
        SafeRoomError: `OVER_BUDGET` in a period that is closed, too soon after tables of other
            records, when it was told the same tables too often, or where its group has too little
            of epsilon left; `CONFLICT` for a feature that was defined, or bounded, in another way
            in tables before, for other legal groups, for noise beside tables without, and for a
            sum that another could be subtracted from, or of records that were gone back to;
            `NOT_ALLOWED` for a sum of which the asker's
            group knows so many parts that fewer than three are left;
            `TOO_LARGE` if all plans together have too many cells.
    """
    kept = accounts.read(epoch)
    rules = admitted.tables.aggregate.rules
    _require_waited(kept, accounts, marks, rules.days, now)
    certificate = admitted.tables.certificate
    if kept.account.told(admitted.asked.request.institution, certificate) >= MOST_ANSWERS:
        detail = f"these tables were made {MOST_ANSWERS} times: the receipts hold what was told"
        raise SafeRoomError(Reason.OVER_BUDGET, detail)
    plan = admitted.tables.plan(epoch)
    parts = _parts(admitted, accounts, kept, groups, epoch)
    noise = _noise(admitted, kept, plan, groups)
    features = {each.shape.ref: each for each in kept.account.features}
    for ref, pinned in admitted.tables.features.items():
        definition = FeatureDefinition.of(pinned.definition)
        if features.setdefault(ref, definition) != definition:
            raise SafeRoomError(Reason.CONFLICT, f"{ref} was defined otherwise in earlier tables")
    bounds = {each.feature: each for each in kept.account.bounds}
    for each in _bounds(admitted):
        if bounds.setdefault(each.feature, each) != each:
            detail = f"{each.feature} was added up within other bounds in earlier tables"
            raise SafeRoomError(Reason.CONFLICT, detail)
    again = certificate in kept.account.plans
    if not again and kept.account.cells + plan.cells > MOST_CELLS:
        raise SafeRoomError(Reason.TOO_LARGE, f"more than {MOST_CELLS} cells in all plans")
    return ChargedTable(
        _TABLE_CHARGED,
        admitted,
        plan,
        kept,
        tuple(features.values()),
        tuple(bounds.values()),
        _strictest(rules, kept.account.rules),
        kept.account.rules if kept.account.plans else rules,
        noise,
        _groups(admitted, kept.account),
        parts,
    )


def _require_waited(
    kept: KeptAccount, accounts: TableAccounts, marks: Marks, days: int, now: datetime
) -> None:
    """Refuse tables of a period that is closed, and too soon after tables of other records."""
    # What was released and forgotten could be subtracted from whatever is released now. The records
    # of an earlier period may have come back with a later number.
    if kept.records <= marks.closed_epoch:
        raise SafeRoomError(Reason.OVER_BUDGET, "what was released of this period is forgotten")
    # Tables of records that a few changed between, subtracted, would tell of those few (ADR 31).
    until = marks.forgotten_until + timedelta(days=days)
    others = accounts.other_records_until(kept.records, days)
    if now < (until if others is None else max(until, others)):
        raise SafeRoomError(Reason.OVER_BUDGET, "tables of other records were told too recently")


def _parts(
    admitted: AdmittedTable,
    accounts: TableAccounts,
    kept: KeptAccount,
    groups: CollusionGroups,
    epoch: int,
) -> ToldSum | None:
    """Hold a sum over owners to those before it; give nothing for tables of this owner alone."""
    owners, asked, before = admitted.tables.owners, admitted.asked, kept.account
    owner = admitted.tables.aggregate.owner
    # What is told of an owner alone, or with others, is its part of a sum, or leaves another's.
    if before.plans and before.owners != owners:
        detail = "earlier tables were of this owner alone, or added up with other owners'"
        raise SafeRoomError(Reason.CONFLICT, detail)
    if not owners:
        return None
    group = asked.agreement.agreement.group
    # Whoever asks, or shares what it learns with who does, knows its own cells already.
    if len({*owners} - groups.knowing(group)) < FEWEST_SUMMED:
        raise SafeRoomError(Reason.NOT_ALLOWED, "the asker's group would see fewer than three")
    # The other owners take a new period for other records; these have their former numbers again.
    if kept.records != epoch:
        raise SafeRoomError(Reason.CONFLICT, "of records that were gone back to no sum is told")
    if not asked.request.periods:
        return None
    own = next(each.epoch for each in asked.request.periods if each.owner == owner)
    if own != epoch:
        raise SafeRoomError(Reason.CONFLICT, "the sum is asked about another period of this owner")
    told = ToldSum(group=group, periods=asked.request.periods)
    accounts.sums.require_apart(told, groups.linked(group))
    return told


def _groups(admitted: AdmittedTable, before: TableAccount) -> str | None:
    """Give by which feature subjects are one unit: what one plan protected, the next one does."""
    own = admitted.tables.aggregate.groups
    if None not in {own, before.groups} and own != before.groups:
        raise SafeRoomError(Reason.CONFLICT, "earlier tables name legal groups otherwise")
    return own or before.groups


def _noise(
    admitted: AdmittedTable,
    kept: KeptAccount,
    plan: ReleasePlan,
    groups: CollusionGroups,
) -> PaidNoise | None:
    """Charge a plan with noise to the asker's group; give nothing for a plan without."""
    privacy, before = admitted.tables.aggregate.privacy, kept.account
    # What noise hides, tables without it would tell; what rules withhold, noise would show in part.
    if before.plans and bool(before.noisy) != (privacy is not None):
        raise SafeRoomError(Reason.CONFLICT, "earlier tables left in the other way")
    if privacy is None:
        return None
    told = _told_with_noise(admitted, privacy, plan)
    paid = pay(told, before.noisy, groups.linked(told.group))
    return PaidNoise(paid, told, told.plan in before.plans)


def price_table(
    admitted: AdmittedTable, accounts: TableAccounts, groups: CollusionGroups, epoch: int
) -> PrivacySpent | None:
    """Tell what a plan's noise would cost, whether it is within the cap or not."""
    if (privacy := admitted.tables.aggregate.privacy) is None:
        return None
    told = _told_with_noise(admitted, privacy, admitted.tables.plan(epoch))
    return price(told, accounts.read(epoch).account.noisy, groups.linked(told.group))


def _told_with_noise(admitted: AdmittedTable, privacy: Privacy, plan: ReleasePlan) -> ToldWithNoise:
    group, certificate = admitted.asked.agreement.agreement.group, admitted.tables.certificate
    return ToldWithNoise(group=group, plan=certificate, privacy=privacy, numbers=plan.numbers)


def _strictest(own: TableRules, before: TableRules) -> TableRules:
    """Give a plan's rules, no laxer than those before in what is withheld; it rounds by its own.

    What left under a stricter rule would else be told apart by the laxer plan's numbers.
    """
    stricter = {
        "threshold": max(own.threshold, before.threshold),
        "percent": max(own.percent, before.percent),
        "largest": max(own.largest, before.largest),
        "share": min(own.share, before.share),
        "days": max(own.days, before.days),
    }
    return own.model_copy(update=stricter)


def _rounding_as(first: TableRules, rules: TableRules) -> TableRules:
    """Give rules with the base and the digits of the first tables of the same records."""
    return rules.model_copy(update={"base": first.base, "digits": first.digits})


def _bounds(admitted: AdmittedTable) -> list[SumBounds]:
    return [
        SumBounds(feature=each.of, low=float(each.low), high=float(each.high))
        for each in admitted.tables.aggregate.measures
        if each.of is not None and each.low is not None and each.high is not None
    ]
