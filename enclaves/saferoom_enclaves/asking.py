"""What a formula or a score asks of one feature, and what that costs beside all asked before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Final

from saferoom_enclaves.accounts import Place, Spent
from saferoom_enclaves.leakage import AskedCuts, Budget, Scored, price, spend
from saferoom_proto.formula import Cut, FeatureKind, FeatureShape, format_number
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Feature
from saferoom_proto.statements.score import ScorePart

_FLAG: Final = "flag"
_NOTHING: Final = AskedCuts()


@dataclass(frozen=True, slots=True)
class Ask:
    """What a bound formula, or a score, asks of one feature that is charged.

    Attributes:
        feature: the feature.
        shape: what it may be compared with.
        cuts: what is asked.
        names: the cuts by what they compare with.
        stated: of a feature of stated values, what is stated, in its form.
    """

    feature: Feature
    shape: FeatureShape
    cuts: AskedCuts
    names: tuple[str, ...]
    stated: str | None = None

    @classmethod
    def of(
        cls,
        feature: Feature,
        shape: FeatureShape,
        cuts: frozenset[Cut],
        stated: str | None = None,
    ) -> Ask:
        """Name the cuts that a formula asks of a feature."""
        asked = AskedCuts.of(cuts)
        names = tuple(sorted(_name(shape, cut) for cut in asked.cuts))
        return cls(feature, shape, asked, names, stated)

    @classmethod
    def of_score(
        cls, feature: Feature, shape: FeatureShape, score: ScorePart, free: tuple[str, ...]
    ) -> Ask:
        """Name the score that reads a feature: it is asked of the value, and of no cut.

        Args:
            feature: the feature.
            shape: what it may be compared with.
            score: the score.
            free: what the features that are not charged tell, as `ScorePart.mark` has it.
        """
        asked = AskedCuts(scores=frozenset([Scored(score.mark(free), score.answers)]))
        return cls(feature, shape, asked, ())

    def is_repeat_of(self, before: Spent) -> bool:
        """Whether all of it was asked before, in the same place of the account."""
        asked = before.cuts
        return (
            self.cuts.null <= before.null
            and all(name in asked for name in self.names)
            and all(score in before.scores for score in self.cuts.scores)
        )

    def named(self, tag: str) -> Ask:
        """Give the same with what is stated named by a tag, by which accounts know it."""
        return replace(self, names=(tag,))

    def period(self, epoch: int, now: datetime) -> int:
        """Give the period that it is charged to: the store's epoch, or the source's own."""
        source = self.feature.source
        return epoch if source is None else source.period(now)

    def place(self, epoch: int) -> Place:
        """Give where it stands in an account, in a period."""
        return self.feature.full_name, epoch, self.feature.value_digest


def spend_on(ask: Ask, account: Mapping[Place, Spent], epoch: int, budget: Budget) -> Spent:
    """Charge one feature; gives back what stands in its place where nothing new is asked.

    Raises:
        SafeRoomError: `OVER_BUDGET`; also for anything new of a feature that was asked of in this
            period while it told another value. Prices of both would have to multiply within its
            budget, and an asker could divide that between them by the answers.
    """
    before = account.get(ask.place(epoch))
    after = _spent_on(ask, before, epoch, budget)
    if after is not before and was_another(ask, account, epoch):
        raise SafeRoomError(
            Reason.OVER_BUDGET,
            f"{ask.shape.ref} told another value when it was asked of in this period; load anew",
        )
    return after


def was_another(ask: Ask, account: Mapping[Place, Spent], epoch: int) -> bool:
    """Tell whether a feature was asked of in a period while it was computed otherwise."""
    name, _, value = ask.place(epoch)
    return any(
        feature == name and period == epoch and other != value for feature, period, other in account
    )


def _spent_on(ask: Ask, before: Spent | None, epoch: int, budget: Budget) -> Spent:
    feature = ask.feature
    if before is not None and ask.is_repeat_of(before):
        return before
    if before is None:
        shape, earlier, asked = ask.shape, _NOTHING, ask.cuts
    else:
        shape = _merged(ask.shape, before)
        place = partial(_place, shape, sorted({*before.cuts, *ask.names}))
        told = frozenset(before.scores)
        earlier = AskedCuts(frozenset(map(place, before.cuts)), before.null, told)
        asked = AskedCuts(frozenset(map(place, ask.names)), ask.cuts.null, ask.cuts.scores)
    after = spend(shape, earlier, asked, budget)
    return Spent.model_construct(
        feature=feature.full_name,
        epoch=epoch,
        value=feature.value_digest,
        kind=shape.kind,
        family=feature.family,
        unknown=shape.can_be_unknown,
        grid=shape.classes or tuple(map(format_number, shape.grid)),
        cuts=ask.names if before is None else tuple(sorted({*ask.names, *before.cuts})),
        null=after.null,
        cells=price(shape, after).n,
        scores=tuple(sorted(after.scores)),
        moved=() if before is None else tuple(sorted(before.families - {feature.family})),
    )


def _merged(shape: FeatureShape, before: Spent) -> FeatureShape:
    """Give the shape with every threshold that an earlier version could have been asked, too.

    Whoever chose its cuts by the answers may have asked any of them, on another path.
    """
    if shape.kind is not FeatureKind.ORDERED:
        return shape
    grid = {*shape.grid, *map(Decimal, before.grid)}
    return shape if len(grid) == len(shape.grid) else replace(shape, grid=tuple(sorted(grid)))


def _name(shape: FeatureShape, cut: int) -> str:
    if shape.kind is FeatureKind.ORDERED:
        return format_number(shape.grid[cut])
    return shape.classes[cut] if shape.kind is FeatureKind.CLASSES else _FLAG


def _place(shape: FeatureShape, stated: list[str], name: str) -> int:
    if shape.kind is FeatureKind.STATED:
        return stated.index(name)
    if shape.kind is FeatureKind.ORDERED:
        return shape.grid.index(Decimal(name))
    return shape.classes.index(name) if shape.kind is FeatureKind.CLASSES else 0
