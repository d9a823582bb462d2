"""The leakage ledger's rows: what one institution group asked about one subject, in which period.

Cuts are kept by what they compare with (a threshold, a class), not by their place in a grid, so
that a grid that changes within a period adds to what was asked of the old one (DESIGN section 8).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Final

from pydantic import Field, ValidationError

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
from saferoom_enclaves.state import Row, State
from saferoom_proto.formula import Cut, FeatureKind, FeatureShape, format_number
from saferoom_proto.formula.tree import MAX_CLASSES
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Charge, Charter, Feature
from saferoom_proto.statements.base import FeatureName, Owner, Part

_FLAG: Final = "flag"
_NOTHING: Final = AskedCuts()
_KEPT: Final = 64
"""Limits kept ready: an owner names a handful."""


class Spent(Part):
    """All that was asked of one feature in one period, and its price."""

    feature: FeatureName
    epoch: Annotated[int, Field(ge=0)]
    kind: FeatureKind
    family: Owner
    cuts: tuple[str, ...]
    null: bool
    cells: Annotated[int, Field(ge=1)]


class _Account(Part):
    spent: tuple[Spent, ...] = ()


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


class Spending:
    """Charges questions to their group's account about the subject.

    Args:
        state: the enclave's database, opened. All is done within its transactions.
    """

    def __init__(self, state: State) -> None:
        self._state: Final = state

    def charge(self, question: Question, charter: Charter, now: datetime) -> tuple[Charge, ...]:
        """Charge a question to its account, or refuse it, by the questions alone.

        Raises:
            SafeRoomError: `OVER_BUDGET`; nothing is spent then.
        """
        key = self._state.cipher.find("leakage", question.group, question.subject)
        row = self._state.get("leakage", key)
        account = {(each.feature, each.epoch): each for each in _read(row)}
        charges: list[Charge] = []
        changed: list[Ask] = []
        for ask in question.asks:
            name = ask.feature.full_name
            before = account.get((name, question.epoch))
            after = _spend(ask, before, question.epoch, charter)
            if after is not before:
                account[name, question.epoch] = after
                changed.append(ask)
            cells = 1 if before is None else before.cells
            charges.append(Charge(feature=name, cells_before=cells, cells_after=after.cells))
        if changed:
            since, marks = window_start(now), self._state.marks
            live = tuple(each for each in account.values() if marks.open_after(each.epoch, since))
            _require_within_caps(changed, live, charter)
            content = _Account.model_construct(spent=live).model_dump_json().encode()
            self._state.put("leakage", key, content, row)
        return tuple(charges)


def _require_within_caps(changed: list[Ask], live: tuple[Spent, ...], charter: Charter) -> None:
    """Hold each family that a question adds to to the cap of its features' levels."""
    family_of = {ask.feature.full_name: ask.feature.family for ask in changed}
    for family in set(family_of.values()):
        levels = {ask.feature.level for ask in changed if ask.feature.family == family}
        cap = min(charter.limit(level).family_bits for level in levels)
        # A feature that changed its family counts in the old one and in the new.
        spent = [
            Cells(each.cells)
            for each in live
            if family in (each.family, family_of.get(each.feature))
        ]
        rolling(spent, _cap(cap))


def _spend(ask: Ask, before: Spent | None, epoch: int, charter: Charter) -> Spent:
    """Charge one feature; gives back `before` itself where nothing new is asked."""
    feature = ask.feature
    budget = _budget(min(feature.budget_bits, charter.limit(feature.level).feature_bits))
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
def _budget(bits: Decimal) -> Budget:
    return Budget(bits)


@lru_cache(maxsize=_KEPT)
def _cap(bits: Decimal) -> FamilyCap:
    return FamilyCap(bits)


def _read(row: Row | None) -> tuple[Spent, ...]:
    if row is None:
        return ()
    try:
        return _Account.model_validate_json(row.content).spent
    except ValidationError as error:
        raise SafeRoomError(Reason.STORE_DAMAGED, "an account is not readable") from error
