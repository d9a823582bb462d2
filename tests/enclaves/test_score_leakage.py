"""Every adaptive asker that asks cuts and scores of one feature, against the ledger's own prices.

Scores are taken at their worst: each tells something that neither the cells nor the other scores
do. What an asker can tell apart at its best, choosing each question by the answers before it, must
never be more than the budget buys (docs/adr/0038).
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from itertools import product
from typing import Final

import pytest

from saferoom_enclaves.accounts import Spent, joined
from saferoom_enclaves.leakage import AskedCuts, Budget, Cells, Scored, price, spend, told
from saferoom_enclaves.spending import dearer, in_family
from saferoom_proto.bits import fewest_bits
from saferoom_proto.formula import FeatureRef, FeatureShape
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements.feature import Absent, FeatureKind

VAT: Final = FeatureRef("tax", "vat_paid")
TWO: Final = Scored("two", 2)
THREE: Final = Scored("three", 3)
SIX: Final = Scored("six", 6)
MOST: Final = 60
"""Budgets are tried of 1 to so many cells."""


def ordered(cuts: int, absent: Absent = Absent.FALSE) -> FeatureShape:
    """Give a grid of so many thresholds."""
    return FeatureShape(VAT, FeatureKind.ORDERED, tuple(map(Decimal, range(cuts))), (), absent)


def classes(count: int, absent: Absent = Absent.FALSE) -> FeatureShape:
    """Give a partition into so many classes."""
    names = tuple("ABCDEFGH"[:count])
    return FeatureShape(VAT, FeatureKind.CLASSES, (), names, absent)


SHAPES: Final = [
    ordered(1),
    ordered(2),
    ordered(4),
    ordered(3, Absent.UNKNOWN),
    FeatureShape(VAT, FeatureKind.FLAG, (), (), Absent.UNKNOWN),
    classes(4),
    classes(3, Absent.UNKNOWN),
]

Values = frozenset[int | None]
"""The cells that are still possible; none is unknown."""


class Asker:
    """The best that an asker can do within a budget."""

    def __init__(self, shape: FeatureShape, scores: tuple[Scored, ...], budget: Budget) -> None:
        self.shape: Final = shape
        self.scores: Final = scores
        self.budget: Final = budget

    def best(self) -> int:
        """Count what it can tell apart at most."""
        return self._best(self.values, AskedCuts())

    @property
    def values(self) -> Values:
        """Give all that are possible."""
        unknown = [None] if self.shape.can_be_unknown else []
        return frozenset([*range(self.shape.cells), *unknown])

    @cache  # noqa: B019 - it lives as long as one test
    def _best(self, values: Values, asked: AskedCuts) -> int:
        most = 1
        for score in self.scores:
            if score not in asked.scores and (after := self.after(asked, scored(score))):
                # Whatever the cell is, each answer leaves all of them possible.
                most = max(most, score.answers * self._best(values, after))
        for cut in range(self.shape.cuts):
            if cut in asked.cuts or not (after := self.after(asked, AskedCuts(frozenset([cut])))):
                continue
            parts = [part for part in self.parts(values, cut) if part]
            if len(parts) > 1:
                most = max(most, sum(self._best(part, after) for part in parts))
        return most

    def after(self, asked: AskedCuts, more: AskedCuts) -> AskedCuts | None:
        """Give what is asked then; nothing where it is over the budget."""
        try:
            return spend(self.shape, asked, more, self.budget)
        except SafeRoomError:
            return None

    def parts(self, values: Values, cut: int) -> Iterator[Values]:
        """Divide what is possible by the answer to one cut; what is unknown shows, too."""
        yield frozenset(value for value in values if value is None)
        known = {value for value in values if value is not None}
        one = (
            {cut} & known
            if self.shape.kind is FeatureKind.CLASSES
            else {x for x in known if x > cut}
        )
        yield frozenset(one)
        yield frozenset(known - one)


def scored(*scores: Scored) -> AskedCuts:
    """Ask scores and no cut."""
    return AskedCuts(scores=frozenset(scores))


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: f"{shape.kind}-{shape.cells}")
@pytest.mark.parametrize("scores", [(TWO,), (THREE,), (TWO, THREE)], ids=len)
def test_no_asker_of_cuts_and_scores_tells_more_apart_than_its_budget_buys(
    shape: FeatureShape, scores: tuple[Scored, ...]
) -> None:
    for cells in range(1, MOST + 1):
        budget = Budget(fewest_bits(cells))
        assert Asker(shape, scores, budget).best() <= cells


class AskerOfTwo:
    """The best that an asker can do with two features and scores that read one of them or both."""

    def __init__(self, one: Asker, other: Asker, both: frozenset[Scored]) -> None:
        self.askers: Final = (one, other)
        self.both: Final = both

    @cache  # noqa: B019 - it lives as long as one test
    def best(self, values: tuple[Values, Values], asked: tuple[AskedCuts, AskedCuts]) -> int:
        """Count what it can tell apart at most from here on."""
        most = 1
        for score in self.both | {*self.askers[0].scores}:
            read = (True, score in self.both)
            after = self._after(asked, read, scored(score))
            if after is not None and score not in asked[0].scores:
                most = max(most, score.answers * self.best(values, after))
        for at, asker in enumerate(self.askers):
            for cut in range(asker.shape.cuts):
                after = self._after(asked, (at == 0, at == 1), AskedCuts(frozenset([cut])))
                parts = [part for part in asker.parts(values[at], cut) if part]
                if after is None or cut in asked[at].cuts or len(parts) < 2:
                    continue
                told = ((part, values[1]) if at == 0 else (values[0], part) for part in parts)
                most = max(most, sum(self.best(each, after) for each in told))
        return most

    def _after(
        self, asked: tuple[AskedCuts, AskedCuts], read: tuple[bool, bool], more: AskedCuts
    ) -> tuple[AskedCuts, AskedCuts] | None:
        one, other = (
            asker.after(before, more) if reads else before
            for asker, before, reads in zip(self.askers, asked, read, strict=True)
        )
        return None if one is None or other is None else (one, other)


@pytest.mark.parametrize("one", [ordered(1), ordered(2), classes(3)], ids=str)
@pytest.mark.parametrize("other", [ordered(1), classes(3)], ids=str)
def test_no_asker_of_two_features_tells_more_apart_than_both_budgets_buy(
    one: FeatureShape, other: FeatureShape
) -> None:
    for cells in product((2, 4, 6, 9, 12), (2, 4, 8)):
        first, second = (Budget(fewest_bits(each)) for each in cells)
        askers = Asker(one, (THREE,), first), Asker(other, (), second)
        both = frozenset([TWO, Scored("two more", 2)])
        values = (askers[0].values, askers[1].values)
        best = AskerOfTwo(*askers, both).best(values, (AskedCuts(), AskedCuts()))
        assert best <= cells[0] * cells[1]


def test_to_multiply_the_price_of_cuts_would_let_an_asker_come_out_ahead() -> None:
    # What the rule is for: on a grid of five cells a cut and a score of two would cost four, the
    # whole grid five; whoever asks the score where the first cut left one cell tells six apart.
    shape, budget = ordered(4), Budget(fewest_bits(5))
    assert told(shape, 1, [TWO], null=False) == Cells(10)
    assert Asker(shape, (TWO,), budget).best() == 5


def test_a_budget_that_affords_grid_and_score_allows_both_in_any_order() -> None:
    shape = ordered(3, Absent.UNKNOWN)
    whole = price(shape, AskedCuts(frozenset(range(3)), scores=frozenset([SIX])))
    assert whole == Cells(30)
    budget = Budget(fewest_bits(30))
    cut, both = AskedCuts(frozenset([1])), scored(SIX)
    for first, second in ((cut, both), (both, cut)):
        after = spend(shape, spend(shape, AskedCuts(), first, budget), second, budget)
        assert price(shape, after) == whole  # and the rest of the grid is free from here on
        assert spend(shape, after, AskedCuts(frozenset([0, 2])), budget).scores == {SIX}


def test_a_repeat_is_never_refused_though_the_budget_was_lowered() -> None:
    asked = scored(SIX)
    assert spend(ordered(3), asked, asked, Budget(Decimal(0))) == asked
    with pytest.raises(SafeRoomError) as refused:
        spend(ordered(3), asked, scored(TWO), Budget(Decimal(0)))
    assert refused.value.reason is Reason.OVER_BUDGET


def spent(feature: str, cells: int, *scores: Scored, epoch: int = 1) -> Spent:
    """Give an account of one feature."""
    return Spent(
        feature=feature,
        epoch=epoch,
        value="sha256:" + "0" * 64,
        kind=FeatureKind.ORDERED,
        family="money",
        unknown=False,
        grid=("0", "1", "2"),
        cuts=(),
        null=False,
        cells=cells,
        scores=scores,
    )


def test_what_two_linked_groups_scored_counts_to_both() -> None:
    (account,) = joined([(spent("tax.vat", 6, SIX),), (spent("tax.vat", 2, TWO),)])
    assert account.scores == (SIX, TWO)
    assert account.cells == 12


def test_of_a_period_that_is_forgotten_in_part_the_dearer_word_counts() -> None:
    """A budget that was lowered since gives nothing back of what an account shows."""
    whole, score, cut = spent("tax.vat", 8), spent("tax.vat", 24, SIX), spent("tax.vat", 3)
    later = spent("tax.vat", 2, epoch=2)
    assert dearer([whole], [score, later]) == (score, later)
    assert dearer([whole], [cut]) == (whole,)


def test_a_score_over_features_of_one_family_counts_once_a_period_and_anew_in_the_next() -> None:
    live = (
        spent("tax.vat", 24, SIX),  # a whole grid of four beside it
        spent("tax.late", 6, SIX),
        spent("tax.late", 6, SIX, epoch=2),
    )
    cells = sorted(each.n for each in in_family("money", {}, live))
    assert cells == [1, 1, 4, 6, 6]
