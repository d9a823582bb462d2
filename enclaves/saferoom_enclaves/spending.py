"""The leakage ledger's rows: what one institution group asked about one subject, in which period.

Cuts are kept by what they compare with (a threshold, a class), not by their place in a grid, so
that a grid that changes within a period adds to what was asked of the old one (DESIGN section 8).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from saferoom_enclaves.accounts import Account, Accounts, Spent
from saferoom_enclaves.forgotten import ForgottenPeriods
from saferoom_enclaves.leakage import (
    AskedCuts,
    Budget,
    Cells,
    FamilyCap,
    price,
    rolling,
    spend,
    window_start,
)
from saferoom_enclaves.standing import Standing
from saferoom_enclaves.state import State
from saferoom_proto.formula import Cut, FeatureKind, FeatureShape, format_number
from saferoom_proto.formula.tree import MAX_CLASSES
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Charge, Charter, Feature

_FLAG: Final = "flag"
_NOTHING: Final = AskedCuts()
_KEPT: Final = 64
"""Limits kept ready: an owner names a handful."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What a bound formula asks of one feature that is charged.

    Attributes:
        feature: the feature.
        shape: what it may be compared with.
        cuts: what is asked.
        names: the cuts by what they compare with.
    """

    feature: Feature
    shape: FeatureShape
    cuts: AskedCuts
    names: tuple[str, ...]

    @classmethod
    def of(cls, feature: Feature, shape: FeatureShape, cuts: frozenset[Cut]) -> Ask:
        """Name the cuts that a formula asks of a feature."""
        asked = AskedCuts.of(cuts)
        names = tuple(sorted(_name(shape, cut) for cut in asked.cuts))
        return cls(feature, shape, asked, names)


@dataclass(frozen=True, slots=True)
class Question:
    """Who asks what about whom, as it is charged.

    Attributes:
        group: the institution's collusion group.
        subject: its code.
        epoch: the period.
        asks: what is asked of each feature.
    """

    group: str
    subject: str
    epoch: int
    asks: tuple[Ask, ...]


@dataclass(frozen=True, slots=True)
class Questions:
    """One question about each of many subjects, as it is charged; as `Question`."""

    group: str
    subjects: Sequence[bytes]
    epoch: int
    asks: tuple[Ask, ...]


@dataclass(frozen=True, slots=True)
class RowCharges:
    """What some rows of a batch were charged.

    Attributes:
        paid: which rows could pay, of shape (rows,).
        cells: cells before and after for each ask, of shape (rows, asks, 2); zeros if unpaid.
    """

    paid: NDArray[np.bool_]
    cells: NDArray[np.uint16]


class Spending:
    """Charges questions to their group's account about the subject.

    Args:
        state: the enclave's database, opened. All is done within its transactions.
        standing: what is in force.
    """

    def __init__(self, state: State, standing: Standing) -> None:
        self._state: Final = state
        self._accounts: Final = Accounts(state)
        self._forgotten: Final = ForgottenPeriods(state, standing)

    def account(self, group: str, subject: str) -> tuple[Spent, ...]:
        """Give all that a group has asked about a subject, as far as it still counts."""
        return self._accounts.of(group, subject)

    def charge(self, question: Question, charter: Charter, now: datetime) -> tuple[Charge, ...]:
        """Charge a question to its account, or refuse it, by the questions alone.

        Raises:
            SafeRoomError: `OVER_BUDGET`; nothing is spent then.
        """
        before = self._accounts.of(question.group, question.subject)
        after, charges = self._charged(before, question.asks, question.epoch, charter, now)
        if after is not before:
            self._accounts.put(question.group, question.subject, after)
        return charges

    def charge_rows(
        self,
        name: str,
        questions: Questions,
        charter: Charter,
        now: datetime,
    ) -> RowCharges:
        """Charge one question about each of many subjects; as if they were asked one by one.

        Args:
            name: of what is charged, for its row in the state; used once.
            questions: no subject stands in them twice.
            charter: in force.
            now: the instant.
        """
        accounts, asks = self._accounts, questions.asks
        numbers, at = np.unique(
            np.array(accounts.numbers(questions.group, questions.subjects), dtype=np.int64),
            return_inverse=True,
        )
        paid = np.zeros(len(numbers), dtype=np.bool_)
        cells = np.zeros((len(numbers), len(asks), 2), dtype=np.uint16)
        changed: dict[int, list[bytes]] = {}
        for place, number in enumerate(numbers.tolist()):
            before = accounts.account(number)
            try:
                after, charges = self._charged(before, asks, questions.epoch, charter, now)
            except SafeRoomError as refusal:
                if refusal.reason is not Reason.OVER_BUDGET:
                    raise
                continue
            paid[place] = True
            cells[place] = [(each.cells_before, each.cells_after) for each in charges]
            if after is not before:
                same = changed.setdefault(accounts.number(after), [])
                same += (questions.subjects[row] for row in np.flatnonzero(at == place).tolist())
        if changed:
            accounts.put_many(name, questions.group, changed)
        return RowCharges(paid[at], cells[at])

    def _charged(
        self, before: Account, asks: tuple[Ask, ...], epoch: int, charter: Charter, now: datetime
    ) -> tuple[Account, tuple[Charge, ...]]:
        """Charge questions to an account; gives back `before` itself where nothing is new."""
        account = {(each.feature, each.epoch): each for each in before}
        charges: list[Charge] = []
        changed: list[Ask] = []
        for ask in asks:
            name = ask.feature.full_name
            known = account.get((name, epoch))
            after = spend_on(ask, known, epoch, budget_of(budget_bits(ask, charter)))
            if after is not known:
                self._require_open(ask, epoch)
                account[name, epoch] = after
                changed.append(ask)
            cells = 1 if known is None else known.cells
            charges.append(Charge(feature=name, cells_before=cells, cells_after=after.cells))
        if not changed:
            return before, tuple(charges)
        _require_within_caps(changed, self.counted(account.values(), now), charter)
        return self.live(account.values(), now), tuple(charges)

    def live(self, account: Iterable[Spent], now: datetime) -> tuple[Spent, ...]:
        """Keep what counts to a family's cap: the periods that were open within 36 months."""
        since, marks = window_start(now), self._state.marks
        return tuple(each for each in account if marks.open_after(each.epoch, since))

    def counted(self, account: Iterable[Spent], now: datetime) -> tuple[Spent, ...]:
        """Give what counts to a family's cap: what is live, and forgotten periods in full."""
        live = self.live(account, now)
        forgotten = self._forgotten.spent(window_start(now))
        if not forgotten:
            return live
        places = {(each.feature, each.epoch) for each in forgotten}
        known = (each for each in live if (each.feature, each.epoch) not in places)
        return (*known, *forgotten)

    def closed(self, epoch: int) -> bool:
        """Tell whether nothing new may be asked in a period: what was asked in it is forgotten."""
        return self._forgotten.closed(epoch)

    def _require_open(self, ask: Ask, epoch: int) -> None:
        if self.closed(epoch):
            detail = f"{ask.shape.ref}: what was asked in this period is forgotten; load anew"
            raise SafeRoomError(Reason.OVER_BUDGET, detail)


def _require_within_caps(changed: list[Ask], live: tuple[Spent, ...], charter: Charter) -> None:
    """Hold each family that a question adds to to the cap of its features' levels."""
    for family in {ask.feature.family for ask in changed}:
        rolling(in_family(family, changed, live), cap_of(cap_bits(family, changed, charter)))


def in_family(family: str, asks: Iterable[Ask], live: tuple[Spent, ...]) -> list[Cells]:
    """Give what was spent in a family, by features that a question asks and by others."""
    family_of = {ask.feature.full_name: ask.feature.family for ask in asks}
    # A feature that changed its family counts in the old one and in the new.
    return [
        Cells(each.cells) for each in live if family in (each.family, family_of.get(each.feature))
    ]


def cap_bits(family: str, asks: Iterable[Ask], charter: Charter) -> Decimal:
    """Give the lowest cap of the levels at which a question asks of a family."""
    levels = {ask.feature.level for ask in asks if ask.feature.family == family}
    return min(charter.limit(level).family_bits for level in levels)


def budget_bits(ask: Ask, charter: Charter) -> Decimal:
    """Give the lower of a feature's own budget and its level's."""
    return min(ask.feature.budget_bits, charter.limit(ask.feature.level).feature_bits)


def spend_on(ask: Ask, before: Spent | None, epoch: int, budget: Budget) -> Spent:
    """Charge one feature; gives back `before` itself where nothing new is asked."""
    feature = ask.feature
    if before is None:
        shape, earlier, asked = ask.shape, _NOTHING, ask.cuts
    else:
        shape = _merged(ask.shape, before)
        earlier = AskedCuts(frozenset(_place(shape, name) for name in before.cuts), before.null)
        asked = AskedCuts(frozenset(_place(shape, name) for name in ask.names), ask.cuts.null)
    after = spend(shape, earlier, asked, budget)
    if before is not None and after == earlier:
        return before
    return Spent.model_construct(
        feature=feature.full_name,
        epoch=epoch,
        kind=shape.kind,
        family=feature.family,
        cuts=ask.names if before is None else tuple(sorted({*ask.names, *before.cuts})),
        null=after.null,
        cells=price(shape, after).n,
    )


def _merged(shape: FeatureShape, before: Spent) -> FeatureShape:
    """Give the shape with what was asked of an earlier version of the feature, too."""
    if before.kind is not shape.kind:
        raise SafeRoomError(Reason.OVER_BUDGET, f"{shape.ref} was of another kind this period")
    if shape.kind is FeatureKind.ORDERED:
        grid = {*shape.grid, *(Decimal(name) for name in before.cuts)}
        return shape if len(grid) == len(shape.grid) else replace(shape, grid=tuple(sorted(grid)))
    if shape.kind is FeatureKind.CLASSES:
        classes = (*shape.classes, *(name for name in before.cuts if name not in shape.classes))
        if len(classes) > MAX_CLASSES:
            raise SafeRoomError(Reason.OVER_BUDGET, f"{shape.ref} had other classes this period")
        return shape if classes == shape.classes else replace(shape, classes=classes)
    return shape


def _name(shape: FeatureShape, cut: int) -> str:
    if shape.kind is FeatureKind.ORDERED:
        return format_number(shape.grid[cut])
    return shape.classes[cut] if shape.kind is FeatureKind.CLASSES else _FLAG


def _place(shape: FeatureShape, name: str) -> int:
    if shape.kind is FeatureKind.ORDERED:
        return shape.grid.index(Decimal(name))
    return shape.classes.index(name) if shape.kind is FeatureKind.CLASSES else 0


@lru_cache(maxsize=_KEPT)
def budget_of(bits: Decimal) -> Budget:
    """Give a budget, made once."""
    return Budget(bits)


@lru_cache(maxsize=_KEPT)
def cap_of(bits: Decimal) -> FamilyCap:
    """Give a cap, made once."""
    return FamilyCap(bits)
