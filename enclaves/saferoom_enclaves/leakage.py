"""The leakage ledger's arithmetic: what questions about one subject cost, and when to refuse one.

Everything here is a function of the questions asked. No record, cell or answer can be handed in, so
a refusal tells nothing about them (DESIGN, section 8). What decides is exact: prices are whole
numbers of cells, and their logarithm, the bits, is for people to read.

The bound kept: whatever an asker asks, and however it chooses each question by the answers before
it, the stores it can tell apart by one feature within one period are no more than 2 to the
feature's budget; by several features, no more than the product. `tests/enclaves/test_leakage.py`
plays every strategy against small grids.
"""

from __future__ import annotations

import math
from calendar import monthrange
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final, NamedTuple

from saferoom_proto.bits import MAX_BITS, within
from saferoom_proto.formula import NULL, Cut, FeatureShape
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError

STEP: Final = Decimal("0.001")
"""Finest step of a budget, in bits: 1.585 is log2 of 3 cells, a flag that can be unknown."""

WINDOW_MONTHS: Final = 36
"""The rolling window of the family cap, in calendar months (DESIGN, section 8)."""


@dataclass(frozen=True, slots=True, order=True)
class Cells:
    """A price: the most cells, at least one, that an asker can have told apart."""

    n: int

    def __post_init__(self) -> None:
        if self.n < 1:
            raise SafeRoomError(Reason.INTERNAL, f"a price of {self.n} cells")

    @property
    def bits(self) -> float:
        """The price as people read it. Nothing is decided by it."""
        return math.log2(self.n)


class Scored(NamedTuple):
    """A score that was asked: what is computed, and how many answers it has."""

    mark: str
    answers: int


@dataclass(frozen=True, slots=True)
class AskedCuts:
    """What one institution group asked of one subject's feature in one period; never the answers.

    Attributes:
        cuts: indexes of the cuts (of a flag: 0) or classes asked.
        null: whether it was asked if the feature is null.
        scores: those asked that read the feature.
    """

    cuts: frozenset[int] = frozenset()
    null: bool = False
    scores: frozenset[Scored] = frozenset()

    @classmethod
    def of(cls, asked: Iterable[Cut]) -> AskedCuts:
        """From what `formula.cuts` tells of one feature."""
        marks = frozenset(asked)
        return cls(frozenset(cut for cut in marks if cut != NULL), NULL in marks)

    def __or__(self, other: AskedCuts) -> AskedCuts:
        null, scores = self.null or other.null, self.scores | other.scores
        return AskedCuts(self.cuts | other.cuts, null, scores)


@dataclass(frozen=True, slots=True)
class Budget:
    """The bits that one institution group may learn of one subject's feature in one period."""

    bits: Decimal

    def __post_init__(self) -> None:
        _check_bits(self.bits)

    def allows(self, cells: Cells) -> bool:
        """Whether so many cells stay within 2 to these bits, reckoned in whole numbers."""
        return within(cells.n, self.bits)


@dataclass(frozen=True, slots=True)
class FamilyCap:
    """The bits that one institution group is charged at most for one subject's feature family.

    Over any 36 months. It adds up prices; the budgets above bound what each price stands for. An
    asker that also divides the cap among features by the answers it gets can come out ahead of the
    cap, by less than one bit for each feature and period, never ahead of the features' budgets.
    """

    bits: Decimal

    def __post_init__(self) -> None:
        _check_bits(self.bits)

    def allows(self, cells: Cells) -> bool:
        """Whether so many cells stay within 2 to these bits, reckoned in whole numbers."""
        return within(cells.n, self.bits)


def price(shape: FeatureShape, asked: AskedCuts) -> Cells:
    """The price of all that was asked of a feature: one cell, no bits, if nothing was.

    Raises:
        SafeRoomError: `INTERNAL`, if a cut is not of this shape: the state is of another grid.
    """
    if not asked.cuts <= frozenset(range(shape.cuts)):
        raise SafeRoomError(Reason.INTERNAL, f"a cut was asked that {shape.ref} does not have")
    return told(shape, len(asked.cuts), asked.scores, null=asked.null)


def told(shape: FeatureShape, cuts: int, scores: Iterable[Scored], *, null: bool) -> Cells:
    """The price of so many cuts of a feature and of scores that read it.

    A score is a function of the value and not of its cell, so its answers multiply with what else
    is asked. Beside a score any cut costs the whole grid: an asker that divided its budget between
    cuts and scores by the answers would come out ahead of the dearest path (docs/adr/0038).

    Args:
        shape: the feature.
        cuts: how many different ones.
        scores: each once.
        null: whether it was asked if the feature is null.
    """
    answers = math.prod(each.answers for each in scores)
    if not cuts and not null:
        return Cells(answers)
    whole = shape.cells_told(shape.cuts if answers > 1 else cuts)
    return Cells(whole * answers)


def spend(shape: FeatureShape, before: AskedCuts, asked: AskedCuts, budget: Budget) -> AskedCuts:
    """Charge a question, or refuse it, by the questions alone.

    Args:
        shape: the feature.
        before: what was asked of it in this period.
        asked: what the question asks of it.
        budget: what its owner allows.

    Returns:
        What was asked, with this question. If it equals `before`, the question tells nothing new: a
        repeat is free and never refused, even under a budget that was lowered since.

    Raises:
        SafeRoomError: `OVER_BUDGET`, if the price would pass the budget; nothing is spent then.
    """
    after = before | asked
    total = price(shape, after)
    if after != before and not budget.allows(total):
        raise _over_budget(f"{shape.ref}: {total.n} cells, budget {budget.bits} bits")
    return after


def family_cells(spent: Iterable[Cells]) -> Cells:
    """The price of several features and periods together: bits add, so cells multiply."""
    return Cells(math.prod(cells.n for cells in spent))


def rolling(spent: Iterable[Cells], cap: FamilyCap) -> Cells:
    """The price of a family within the window, refused if it passes the cap.

    Args:
        spent: the price of each feature of the family in each period that was open at some instant
            from `window_start` on, with the question under way already in it. Not to be called for
            a repeat, which spends nothing.
        cap: what the owner allows for the family.

    Raises:
        SafeRoomError: `OVER_BUDGET`.
    """
    total = family_cells(spent)
    if not cap.allows(total):
        raise _over_budget(f"family: {total.bits:.3f} bits, cap {cap.bits} bits")
    return total


def window_start(now: datetime) -> datetime:
    """The instant 36 calendar months before, on the month's last day where it is shorter.

    Args:
        now: an aware time.
    """
    month = now.year * 12 + now.month - 1 - WINDOW_MONTHS
    year, month = month // 12, month % 12 + 1
    return now.replace(year=year, month=month, day=min(now.day, monthrange(year, month)[1]))


def _check_bits(bits: Decimal) -> None:
    """Refuse what is no number of bits from 0 to 64 in thousandths."""
    if not bits.is_finite():
        rule = "a finite number of bits is expected"
    elif not 0 <= bits <= MAX_BITS:
        rule = f"0 to {MAX_BITS} bits are expected"
    elif bits != bits.quantize(STEP):
        rule = f"steps of {STEP} bits are expected"
    else:
        return
    raise SafeRoomError(Reason.MALFORMED, f"bits: {rule}", (FieldFault("bits", rule),))


def _over_budget(detail: str) -> SafeRoomError:
    return SafeRoomError(Reason.OVER_BUDGET, detail)
