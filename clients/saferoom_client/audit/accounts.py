"""What each institution group was charged about each subject, replayed from the log.

An answer above level 1 names its subject's consent and, feature by feature, the cells told apart
before and after it. So the log shows every account without the questions and without the answers:
it must never go back, never pass what the owner allowed, and grow with the first question. Groups
that had a member in common share what they learned, so their accounts count to each other. Where a
receipt opens the question, the cuts that it asks are held against its price too.

Rows of batches are charged to the same accounts and stand in no entry of their own. So an account
may have grown by more than the entries show, and what is judged here is the least it can be: each
violation is one for certain.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from saferoom_client.audit.stated import Stated
from saferoom_proto.formula import NULL, Cut, FeatureKind, FeatureShape, format_number
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Charge, Charter, Feature
from saferoom_proto.statements.feature import CONSENT_FROM_LEVEL
from saferoom_proto.statements.score import ScorePart
from saferoom_proto.statements.source import ended_by, is_period, opened

WINDOW_MONTHS: Final = 36
"""The rolling window of a family's cap (DESIGN, section 8)."""
_MOST_BITS: Final = 64
_FLAG: Final = "flag"
_NULL: Final = "null"


@dataclass(frozen=True, slots=True)
class Charged:
    """What one answer was charged, and under which limits.

    Attributes:
        account: the owner, the collusion group and the subject.
        linked: the groups that share what they learn with it, itself among them.
        epoch: the store's; what was asked of a source has a period of its own.
        moment: when.
        charter: the limits in force.
        charges: cells before and after, feature by feature.
        features: what was asked about, charged or not, by full name in the certificate's order.
        asked: the cuts that the question asks of each, by what they compare with; none if nobody
            opened the question.
        score: the score that was asked; none of a check.
    """

    account: tuple[str, str, str]
    linked: Sequence[str]
    epoch: int
    moment: datetime
    charter: Charter
    charges: tuple[Charge, ...]
    features: Mapping[str, tuple[Feature, FeatureShape]]
    asked: Mapping[str, frozenset[str]] | None
    score: ScorePart | None = None

    @property
    def mark(self) -> str | None:
        """Name the score that was asked, as the enclave does."""
        if self.score is None:
            return None
        each = (feature for feature, _ in self.features.values())
        return self.score.mark(one.value_digest for one in each if one.level < CONSENT_FROM_LEVEL)

    def period(self, feature: Feature) -> int:
        """Give the period that a feature is charged to: the store's, or its source's own."""
        source = feature.source
        return self.epoch if source is None else source.period(self.moment)


@dataclass(slots=True)
class _Spent:
    """What is known of one feature in one period: the least that it can have been charged."""

    families: set[str]
    """Those that it was in when it was asked of."""
    cells: int = 1
    cuts: frozenset[str] = frozenset()
    scores: dict[str, int] = field(default_factory=dict[str, int])
    """How many answers each score has that was told by then, by its mark."""

    @property
    def of_cuts(self) -> int:
        """What was paid for cuts: scores' answers multiply with it."""
        return self.cells // math.prod(self.scores.values())


_Account = dict[tuple[str, int], _Spent]
"""By feature and period."""


@dataclass(slots=True)
class Accounts:
    """Every account, as far as each enclave's chain has been followed."""

    _of: dict[tuple[str, str, str], _Account] = field(
        default_factory=dict[tuple[str, str, str], _Account]
    )
    _closed: dict[str, int] = field(default_factory=dict[str, int])
    """By owner: the last period that its enclave counts as spent, having forgotten what was."""
    _opened: dict[str, dict[int, datetime]] = field(default_factory=dict[str, dict[int, datetime]])
    _went_on: dict[str, datetime] = field(default_factory=dict[str, datetime])
    """By owner: when its enclave last went on from an older copy."""
    _stated: Stated = field(default_factory=Stated)

    def open_period(self, owner: str, epoch: int, moment: datetime) -> None:
        """Take note of a snapshot: the periods before it end."""
        self._opened.setdefault(owner, {}).setdefault(epoch, moment)

    def last_period(self, owner: str) -> int:
        """Give the last period that is known to have begun; -1 if none is."""
        return max(self._opened.get(owner, ()), default=-1)

    def close(self, owner: str, epoch: int, moment: datetime) -> None:
        """Take note that an enclave went on from an older copy: its periods up to this are over.

        So are those of its sources that had begun by then.
        """
        self._closed[owner] = max(epoch, self._closed.get(owner, epoch))
        self._went_on[owner] = max(moment, self._went_on.get(owner, moment))

    def _is_closed(self, owner: str, period: int) -> bool:
        if is_period(period):
            return owner in self._went_on and opened(period) <= self._went_on[owner]
        return period <= self._closed.get(owner, -1)

    def charge(self, charged: Charged) -> Iterator[SafeRoomError]:
        """Replay what an answer was charged; gives what is wrong with it."""
        owner, mark = charged.account[0], charged.mark
        asks = {} if charged.score is None or mark is None else {mark: charged.score.answers}
        linked = self._linked(charged)
        account = self._of.setdefault(charged.account, {})
        grown: set[str] = set()
        for charge in charged.charges:
            feature, shape = charged.features[charge.feature]
            place = (charge.feature, charged.period(feature))
            if self._is_closed(owner, place[1]):
                yield from _spent_again(charge)
                continue
            spent = account.setdefault(place, _Spent({feature.family}))
            asked = None if charged.asked is None else charged.asked.get(charge.feature)
            here = [one[place] for one in linked if place in one]
            known = max(one.cells for one in here)
            if charge.cells_before < known:
                before = charge.cells_before
                rule = f"charged from {before} cells on after {known} were told: it was set back"
                yield _over(f"{charge.feature}: {rule}")
            yield from faults_of(charge, feature, charged.charter)
            yield from self._stated.take(
                charged.account, charged.linked, charged.moment, charge, feature
            )
            spent.cuts |= asked or frozenset()
            for one in here:
                spent.scores |= one.scores
            least = _least(charge, asks, here, shape, opened=asked is not None)
            if charge.cells_after < least:
                after = charge.cells_after
                rule = f"charged up to {after} cells, and its questions so far tell {least}"
                yield _over(f"{charge.feature}: {rule}")
            spent.scores |= asks
            if charge.cells_after > charge.cells_before:
                grown.add(feature.family)
            spent.cells = max(spent.cells, charge.cells_after)
            spent.families.add(feature.family)
        for family in sorted(grown):
            yield from self._over_cap(family, linked, charged)

    def _linked(self, charged: Charged) -> list[_Account]:
        """Give the accounts of all groups that share what they learned, the asker's included."""
        owner, _, subject = charged.account
        return [self._of.setdefault((owner, each, subject), {}) for each in charged.linked]

    def _over_cap(
        self, family: str, linked: Sequence[_Account], charged: Charged
    ) -> Iterator[SafeRoomError]:
        """Hold a family to its cap: the periods that were open within 36 months, multiplied."""
        since = _months_before(charged.moment)
        begun = self._opened.get(charged.account[0], {})
        most: dict[tuple[str, int], int] = {}
        for account in linked:
            for place, spent in account.items():
                ended = _ended(place[1], begun, since)
                if family not in spent.families or ended:
                    continue
                most[place] = max(spent.of_cuts, most.get(place, 1))
                # A score is one answer, however many features of the family it reads.
                most |= {(mark, place[1]): answers for mark, answers in spent.scores.items()}
        cells = math.prod(most.values())
        asked = [feature for feature, _ in charged.features.values() if feature.family == family]
        cap = min(charged.charter.limit(feature.level).family_bits for feature in asked)
        if not _within(cells, cap):
            bits, months = f"{math.log2(cells):.3f}", WINDOW_MONTHS
            yield _over(
                f"the family {family}: {bits} bits and more of {cap} allowed in {months} months"
            )


def _ended(period: int, begun: Mapping[int, datetime], since: datetime) -> bool:
    """Tell whether a period was over by an instant."""
    if is_period(period):
        return ended_by(period, since)
    return any(later > period and began <= since for later, began in begun.items())


def _least(
    charge: Charge,
    asks: Mapping[str, int],
    known: Sequence[_Spent],
    shape: FeatureShape,
    *,
    opened: bool,
) -> int:
    """Give the fewest cells that a question can have been charged up to.

    Beside a score any cut costs the whole grid, as enclaves reckon it (docs/adr/0038).

    Args:
        charge: what it was charged.
        asks: the score that it asks, by its mark, and the answers that it has; none of a check.
        known: what the linked accounts hold.
        shape: what the feature may be compared with now.
        opened: whether its cuts are known.
    """
    # What is asked again keeps its price, on whatever grid that was reckoned.
    repeat = charge.cells_after == charge.cells_before
    scores = {mark: answers for one in known for mark, answers in one.scores.items()}
    cuts = frozenset[str]().union(*(one.cuts for one in known))
    if repeat and scores and (asks.keys() <= scores.keys() if asks else not opened):
        return 1
    scores |= asks
    if not scores:
        return _price(shape, cuts) if opened else 1
    grown = not asks and charge.cells_after > charge.cells_before
    cut = grown or bool(cuts) or any(one.of_cuts > 1 for one in known)
    return (shape.cells_told(shape.cuts) if cut else 1) * math.prod(scores.values())


def _spent_again(charge: Charge) -> Iterator[SafeRoomError]:
    """Give what is wrong in a period of which the enclave has forgotten a part: any new price.

    What its copy still knew was asked is answered again, at the price of then.
    """
    if charge.cells_after != charge.cells_before:
        yield _over(f"{charge.feature}: charged in a period that its owner closed")


def faults_of(charge: Charge, feature: Feature, charter: Charter) -> Iterator[SafeRoomError]:
    """Give what is wrong with one charge by itself."""
    before, after = charge.cells_before, charge.cells_after
    bits = min(feature.budget_bits, charter.limit(feature.level).feature_bits)
    if after < before or after == 1:
        yield _over(f"{charge.feature}: answered and not charged")
    if after > before and not _within(after, bits):
        yield _over(f"{charge.feature}: {math.log2(after):.3f} bits of {bits} allowed")


def names_of(shape: FeatureShape, cuts: frozenset[Cut]) -> frozenset[str]:
    """Name cuts by what they compare with: a grid may change within a period."""
    return frozenset(_name(shape, cut) for cut in cuts)


def _name(shape: FeatureShape, cut: Cut) -> str:
    if cut == NULL:
        return _NULL
    if shape.kind is FeatureKind.ORDERED:
        return format_number(shape.grid[cut])
    return shape.classes[cut] if shape.kind is FeatureKind.CLASSES else _FLAG


def _price(shape: FeatureShape, cuts: frozenset[str]) -> int:
    """Give the cells that cuts can tell apart, some of them maybe of an earlier grid."""
    asked = cuts - {_NULL}
    if shape.kind is FeatureKind.ORDERED:
        grid = {*shape.grid, *map(Decimal, asked)}
        shape = replace(shape, grid=tuple(sorted(grid)))
    # Of classes that changed within a period the enclave refuses what no longer fits; known ones
    # are never fewer than named.
    return shape.cells_told(min(len(asked), shape.cuts))


def _within(cells: int, bits: Decimal) -> bool:
    """Tell whether so many cells are within 2 to some bits, in whole numbers."""
    if cells.bit_length() > _MOST_BITS + 1:
        return False
    over, under = bits.as_integer_ratio()
    return cells**under <= 1 << over


def _months_before(moment: datetime) -> datetime:
    """Give the instant 36 months before: three years, to the day or the last of its month."""
    year = moment.year - WINDOW_MONTHS // 12
    try:
        return moment.replace(year=year)
    except ValueError:  # the 29th of February
        return (moment - timedelta(days=1)).replace(year=year)


def _over(detail: str) -> SafeRoomError:
    return SafeRoomError(Reason.OVER_BUDGET, detail)
