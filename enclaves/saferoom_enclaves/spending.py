"""The leakage ledger's rows: what one institution group asked about one subject, in which period.

Cuts are kept by what they compare with (a threshold, a class), not by their place in a grid, so
that a grid that changes within a period adds to what was asked of the old one (DESIGN section 8).
A feature that is computed otherwise within a period tells another value of the same record: who
asked of the one is told nothing new of the other before the next load. What linked groups asked
counts to each of them (`collusion`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from saferoom_enclaves.accounts import Account, Accounts, Spent, joined
from saferoom_enclaves.asking import Ask, spend_on
from saferoom_enclaves.attempts import Attempts, Lost
from saferoom_enclaves.forgotten import ForgottenPeriods
from saferoom_enclaves.leakage import (
    Budget,
    Cells,
    FamilyCap,
    rolling,
    window_start,
)
from saferoom_enclaves.standing import Standing
from saferoom_enclaves.state import State
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Charge, Charter

_KEPT: Final = 64
"""Limits kept ready: an owner names a handful."""
_MOST_BITS: Final = Decimal("15.999")
"""No budget buys more in a period: a price of a batch's row is written in 16 bits."""
_MOST_CELLS: Final = (1 << 16) - 1


@dataclass(frozen=True, slots=True)
class Question:
    """Who asks what about whom, as it is charged.

    Attributes:
        group: the institution's collusion group.
        subject: its code.
        epoch: the store's period; what is asked of a source has its own.
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
        self._standing: Final = standing
        self._groups: Final = standing.groups
        self._attempts: Final = Attempts(state)
        self._families: tuple[int, Mapping[str, str]] = (-1, {})

    @property
    def families(self) -> Mapping[str, str]:
        """The family that each feature is in now, by full name."""
        known = self._standing.generation
        if self._families[0] != known:
            defined = [each.definition for each in self._standing.features.values()]
            self._families = (known, {each.full_name: each.family for each in defined})
        return self._families[1]

    def account(self, group: str, subject: str) -> tuple[Spent, ...]:
        """Give all that a group is charged for about a subject: also what linked groups asked."""
        return _joint([self._accounts.of(each, subject) for each in self._groups.linked(group)])

    def own_account(self, group: str, subject: str) -> tuple[Spent, ...]:
        """Give a group's own account: what linked groups asked is in it as of its last charge."""
        return self._accounts.of(group, subject)

    def charge(self, question: Question, charter: Charter, now: datetime) -> tuple[Charge, ...]:
        """Charge a question to its account, or refuse it, by the questions alone.

        Raises:
            SafeRoomError: `OVER_BUDGET`; nothing is spent then.
        """
        before = self.account(question.group, question.subject)
        asks = self.asks_of(question)
        after, charges = self.reckon(before, asks, question.epoch, charter, now)
        if after is not before:
            known = {each.place: each for each in before}
            new = {each.place for each in after if known.get(each.place) is not each}
            said = [
                ask
                for ask in asks
                if ask.stated is not None and ask.place(ask.period(question.epoch, now)) in new
            ]
            for ask in said:
                self.require_attempt(question, ask, now)
            for ask in said:
                self._attempts.count(question.group, question.subject, ask.feature, now)
            self._accounts.put(question.group, question.subject, after)
        return charges

    def asks_of(self, question: Question) -> tuple[Ask, ...]:
        """Give what a question asks as accounts have it: what is stated is named by a tag."""
        return tuple(
            ask
            if ask.stated is None
            else ask.named(self._attempts.tag(question.subject, ask.feature, ask.stated))
            for ask in question.asks
        )

    def require_attempt(self, question: Question, ask: Ask, now: datetime) -> None:
        """Refuse to have another value stated, where as many were as may be.

        Raises:
            SafeRoomError: `OVER_BUDGET`.
        """
        name = ask.feature.full_name
        spent = self._forgotten.spent(window_start(now))
        lost = sum(each.cells for each in spent if each.feature == name)
        # All of it may have been stated on the day on which it was forgotten.
        of_today = self._state.marks.forgotten_until.date() >= now.date()
        self._attempts.require(
            self._groups.linked(question.group),
            question.subject,
            ask.feature,
            now,
            Lost(today=lost if of_today else 0, ever=lost),
        )

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
            np.array(
                [
                    accounts.numbers(group, questions.subjects)
                    for group in self._groups.linked(questions.group)
                ],
                dtype=np.int64,
            ),
            axis=1,
            return_inverse=True,
        )
        paid = np.zeros(numbers.shape[1], dtype=np.bool_)
        cells = np.zeros((numbers.shape[1], len(asks), 2), dtype=np.uint16)
        changed: dict[int, list[bytes]] = {}
        for place, linked in enumerate(numbers.T.tolist()):
            before = _joint([accounts.account(number) for number in linked])
            try:
                after, charges = self.reckon(before, asks, questions.epoch, charter, now)
            except SafeRoomError as refusal:
                if refusal.reason is not Reason.OVER_BUDGET:
                    raise
                continue
            if max(each.cells_after for each in charges) > _MOST_CELLS:
                continue  # what linked groups asked, multiplied, has no room in a row's record
            paid[place] = True
            cells[place] = [(each.cells_before, each.cells_after) for each in charges]
            if after is not before:
                same = changed.setdefault(accounts.number(after), [])
                same += (questions.subjects[row] for row in np.flatnonzero(at == place).tolist())
        if changed:
            accounts.put_many(name, questions.group, changed)
        return RowCharges(paid[at], cells[at])

    def reckon(
        self, before: Account, asks: tuple[Ask, ...], epoch: int, charter: Charter, now: datetime
    ) -> tuple[Account, tuple[Charge, ...]]:
        """Charge questions to an account, and write nothing down.

        Args:
            before: the account.
            asks: what is asked of each feature.
            epoch: the store's period.
            charter: in force.
            now: the instant.

        Returns:
            The account with them, `before` itself where nothing is new; and each feature's price.

        Raises:
            SafeRoomError: `OVER_BUDGET`.
        """
        account = {each.place: each for each in before}
        charges: list[Charge] = []
        changed: list[Ask] = []
        for ask in asks:
            period = ask.period(epoch, now)
            place = ask.place(period)
            known = account.get(place)
            after = spend_on(ask, account, period, budget_of(budget_bits(ask, charter)))
            if after is not known:
                self._require_open(ask, period)
                account[place] = after
                changed.append(ask)
            cells = 1 if known is None else known.cells
            charges.append(
                Charge.model_construct(
                    feature=ask.feature.full_name, cells_before=cells, cells_after=after.cells
                )
            )
        if not changed:
            return before, tuple(charges)
        live = self.live(account.values(), now)
        counted = self._with_forgotten(live, now)
        _require_within_caps(changed, counted, self.families, charter)
        return live, tuple(charges)

    def live(self, account: Iterable[Spent], now: datetime) -> tuple[Spent, ...]:
        """Keep what counts to a family's cap: the periods that were open within 36 months."""
        since, marks = window_start(now), self._state.marks
        return tuple(each for each in account if marks.open_after(each.epoch, since))

    def counted(self, account: Iterable[Spent], now: datetime) -> tuple[Spent, ...]:
        """Give what counts to a family's cap: what is live, and forgotten periods in full."""
        return self._with_forgotten(self.live(account, now), now)

    def _with_forgotten(self, live: tuple[Spent, ...], now: datetime) -> tuple[Spent, ...]:
        forgotten = self._forgotten.spent(window_start(now))
        return dearer(forgotten, live) if forgotten else live

    def closed(self, epoch: int) -> bool:
        """Tell whether nothing new may be asked in a period: what was asked in it is forgotten."""
        return self._forgotten.closed(epoch)

    def _require_open(self, ask: Ask, epoch: int) -> None:
        if self.closed(epoch):
            detail = f"{ask.shape.ref}: what was asked in this period is forgotten; load anew"
            raise SafeRoomError(Reason.OVER_BUDGET, detail)


def dearer(forgotten: Iterable[Spent], live: Iterable[Spent]) -> tuple[Spent, ...]:
    """Give both; of what stands in one place the dearer: a budget may have been lowered since."""
    most = {each.place: each for each in forgotten}
    for each in live:
        other = most.get(each.place)
        if other is None or each.cells > other.cells:
            most[each.place] = each
    return tuple(most.values())


def _require_within_caps(
    changed: list[Ask], live: tuple[Spent, ...], families: Mapping[str, str], charter: Charter
) -> None:
    """Hold each family that a question adds to to the cap of its features' levels."""
    for family in {ask.feature.family for ask in changed}:
        rolling(in_family(family, families, live), cap_of(cap_bits(family, changed, charter)))


def in_family(family: str, families: Mapping[str, str], live: tuple[Spent, ...]) -> list[Cells]:
    """Give what was spent in a family, by features that a question asks and by others.

    A score is one answer, however many features of the family it reads: it counts once in a period.

    Args:
        family: which.
        families: the family that each feature is in now.
        live: what was spent.
    """
    # What was told of a feature counts in each family it was in then, and in the one it is in now.
    own = [each for each in live if family in (*each.families, families.get(each.feature))]
    scores = {(each.epoch, score) for each in own for score in each.scores}
    return [*(Cells(each.of_cuts) for each in own), *(Cells(score.answers) for _, score in scores)]


def cap_bits(family: str, asks: Iterable[Ask], charter: Charter) -> Decimal:
    """Give the lowest cap of the levels at which a question asks of a family."""
    levels = {ask.feature.level for ask in asks if ask.feature.family == family}
    return min(charter.limit(level).family_bits for level in levels)


def budget_bits(ask: Ask, charter: Charter) -> Decimal:
    """Give the lower of a feature's own budget and its level's, or what records have room for."""
    limit = charter.limit(ask.feature.level).feature_bits
    return min(ask.feature.budget_bits, limit, _MOST_BITS)


def _joint(accounts: list[Account]) -> Account:
    return accounts[0] if len(accounts) == 1 else joined(accounts)


@lru_cache(maxsize=_KEPT)
def budget_of(bits: Decimal) -> Budget:
    """Give a budget, made once."""
    return Budget(bits)


@lru_cache(maxsize=_KEPT)
def cap_of(bits: Decimal) -> FamilyCap:
    """Give a cap, made once."""
    return FamilyCap(bits)
