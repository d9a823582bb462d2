"""The leakage ledger's rows: what one institution group asked about one subject, in which period.

Cuts are kept by what they compare with (a threshold, a class), not by their place in a grid, so
that a grid that changes within a period adds to what was asked of the old one (DESIGN section 8).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import ROUND_DOWN, Decimal
from typing import Annotated, Final

from pydantic import Field, ValidationError

from saferoom_enclaves.leakage import (
    STEP,
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
from saferoom_proto.certificate import PinnedFeature
from saferoom_proto.formula import Cut, FeatureKind, FeatureRef, FeatureShape, format_number
from saferoom_proto.formula.tree import MAX_CLASSES
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Charge, Charter
from saferoom_proto.statements.base import FeatureName, Owner, Part

_FLAG: Final = "flag"


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
class Question:
    """What a request asks of the features it is charged for.

    Attributes:
        group: the institution's collusion group.
        subject: its code.
        epoch: the period.
        asked: the cuts, by feature.
        features: the features.
        shapes: what they may be compared with.
    """

    group: str
    subject: str
    epoch: int
    asked: Mapping[FeatureRef, frozenset[Cut]]
    features: Mapping[FeatureRef, PinnedFeature]
    shapes: Mapping[FeatureRef, FeatureShape]


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
        before = dict(account)
        for ref, cuts in question.asked.items():
            place = (str(ref), question.epoch)
            account[place] = _spend(question, ref, cuts, account.get(place), charter)
        changed = {place for place, spent in account.items() if before.get(place) != spent}
        if changed:
            since, marks = window_start(now), self._state.marks
            live = [each for each in account.values() if marks.open_after(each.epoch, since)]
            self._require_within_caps(question, live, charter)
            self._state.put(
                "leakage", key, _Account(spent=tuple(live)).model_dump_json().encode(), row
            )
        return tuple(_charge(question, ref, before, account) for ref in question.asked)

    def _require_within_caps(self, question: Question, live: list[Spent], charter: Charter) -> None:
        """Hold each family that the question touches to the cap of its features' levels."""
        family_of = {str(ref): pin.definition.family for ref, pin in question.features.items()}
        for family in set(family_of.values()):
            levels = {
                pin.definition.level
                for ref, pin in question.features.items()
                if pin.definition.family == family and ref in question.asked
            }
            if not levels:
                continue
            cap = min(charter.limit(level).family_bits for level in levels)
            # A feature that changed its family counts in the old one and in the new.
            spent = [
                Cells(each.cells)
                for each in live
                if family in (each.family, family_of.get(each.feature))
            ]
            rolling(spent, FamilyCap(_floored(cap)))


def _spend(
    question: Question,
    ref: FeatureRef,
    cuts: frozenset[Cut],
    before: Spent | None,
    charter: Charter,
) -> Spent:
    definition = question.features[ref].definition
    own = question.shapes[ref]
    shape = own if before is None else _merged(own, before)
    asked = AskedCuts.of(cuts)
    named = AskedCuts(frozenset(_place(shape, _name(own, cut)) for cut in asked.cuts), asked.null)
    earlier = _earlier(shape, before)
    limit = min(definition.budget_bits, charter.limit(definition.level).feature_bits)
    after = spend(shape, earlier, named, Budget(_floored(limit)))
    if before is not None and after == earlier:
        return before
    return Spent(
        feature=str(ref),
        epoch=question.epoch,
        kind=shape.kind,
        family=definition.family,
        cuts=tuple(sorted(_name(shape, cut) for cut in after.cuts)),
        null=after.null,
        cells=price(shape, after).n,
    )


def _earlier(shape: FeatureShape, before: Spent | None) -> AskedCuts:
    if before is None:
        return AskedCuts()
    return AskedCuts(frozenset(_place(shape, name) for name in before.cuts), before.null)


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


def _charge(
    question: Question,
    ref: FeatureRef,
    before: Mapping[tuple[str, int], Spent],
    after: Mapping[tuple[str, int], Spent],
) -> Charge:
    place = (str(ref), question.epoch)
    earlier = before.get(place)
    cells_before = 1 if earlier is None else earlier.cells
    return Charge(feature=str(ref), cells_before=cells_before, cells_after=after[place].cells)


def _floored(bits: Decimal) -> Decimal:
    """Cut a limit to the finest that budgets can say; never up."""
    return bits.quantize(STEP, ROUND_DOWN)


def _read(row: Row | None) -> tuple[Spent, ...]:
    if row is None:
        return ()
    try:
        return _Account.model_validate_json(row.content).spent
    except ValidationError as error:
        raise SafeRoomError(Reason.STORE_DAMAGED, "an account is not readable") from error
