"""What a formula may compare a feature with, and what telling its cells apart costs.

The price stands here, in the contract, because two sides must reckon it alike: the enclave that
charges it and the approver's client that shows it.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import Final, assert_never

from saferoom_proto.formula.tree import MAX_CLASSES, FeatureRef, check_class, check_number
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements.feature import Absent, FeatureKind, StatedForm

MOST_STATED: Final = 0xFFFF
"""Different values of one subject that can be counted in one period; budgets end long before."""


@dataclass(frozen=True, slots=True)
class FeatureShape:
    """A feature as a formula sees it: its grid or classes, and what an absent subject means.

    A record's value becomes a cell. Ordered, with thresholds c_0 < c_1 < ...: cell 0 lies below
    c_0, cell i is [c_{i-1}, c_i), the last is open above. Flag: 0 is false, 1 is true. Classes: the
    index of the class. None is unknown, and only ever for a feature whose absence is unknown or
    whose records are fetched: where a store is silent about the others, the enclave gives cell 0.

    Attributes:
        ref: the feature.
        kind: ordered, flag or classes.
        grid: the thresholds of an ordered feature, ascending; empty for the others. How many an
            owner may publish is a rule of the feature statement, not of the arithmetic here.
        classes: the class names of an unordered feature; empty for the others.
        absent: what it means that the store holds nothing about a subject.
        form: of a feature of stated values, how they are compared; none for the others.
        fetched: whether a provider is asked for its records, one subject at a time.
    """

    ref: FeatureRef
    kind: FeatureKind
    grid: tuple[Decimal, ...]
    classes: tuple[str, ...]
    absent: Absent
    form: StatedForm | None = None
    fetched: bool = False

    def __post_init__(self) -> None:
        if (self.kind is FeatureKind.ORDERED) != bool(self.grid):
            raise _malformed("grid", "an ordered feature, and no other, has a grid")
        if (self.kind is FeatureKind.CLASSES) != bool(self.classes):
            raise _malformed("classes", "an unordered feature, and no other, has classes")
        if (self.kind is FeatureKind.STATED) != (self.form is not None):
            raise _malformed("form", "a feature of stated values, and no other, has a form")
        for threshold in self.grid:
            check_number(threshold, "grid")
        if any(low >= high for low, high in pairwise(self.grid)):
            raise _malformed("grid", "each threshold is above the one before")
        for name in self.classes:
            check_class(name, "classes")
        if self.classes and not 2 <= len(self.classes) <= MAX_CLASSES:  # noqa: PLR2004 -- a partition
            raise _malformed("classes", f"a partition has 2 to {MAX_CLASSES} classes")
        if len(set(self.classes)) != len(self.classes):
            raise _malformed("classes", "a class is named twice")

    @property
    def can_be_unknown(self) -> bool:
        """Whether a subject can have no cell, which every answer about the feature then tells.

        A record that is fetched can come as nobody can use it, whatever silence about it means.
        """
        return self.fetched or self.absent is Absent.UNKNOWN

    @property
    def cells(self) -> int:
        """How many cells a known value can be in: what all institutions together can learn."""
        match self.kind:
            case FeatureKind.ORDERED:
                return len(self.grid) + 1
            case FeatureKind.FLAG:
                return 2
            case FeatureKind.CLASSES:
                return len(self.classes)
            case FeatureKind.STATED:
                return 1  # held: what it is stands beside the cells
            case _:
                assert_never(self.kind)

    @property
    def cuts(self) -> int:
        """How many cuts (of a flag: one; of classes: as many) a formula can ask about."""
        match self.kind:
            case FeatureKind.CLASSES:
                return self.cells
            case FeatureKind.STATED:
                return MOST_STATED
            case _:
                return self.cells - 1

    def cells_told(self, cuts: int) -> int:
        """The price of asking a number of cuts: most cells an asker can have told apart by them.

        Ordered: 2 to the number of cuts, and never more than the grid has cells. Not cuts + 1: that
        many cells lie between cuts fixed beforehand, but an asker may choose each cut by the
        answers before it. By halving it places the value in one of 8 cells with only 3 of 7 cuts
        on any one path, so a cut is worth one bit until the grid's own bits are reached.

        Classes: each class named is a cell, and those not named are one more together. Choosing by
        the answers gains nothing here, as only "none of these" leaves anything to ask.

        Stated values: each is a cell, and all that were not stated are one more; there is no
        partition that bounds them, only how many may be stated.

        One more cell where the feature can be unknown: every answer tells that too.

        Args:
            cuts: how many different cuts (classes) are asked; 0 where only `IS NULL` is asked.
        """
        match self.kind:
            case FeatureKind.STATED:
                known = cuts + 1
            case FeatureKind.CLASSES:
                known = min(cuts + 1, self.cells)
            case _:
                known = min(1 << min(cuts, self.cuts), self.cells)
        return known + self.can_be_unknown


def _malformed(field: str, rule: str) -> SafeRoomError:
    return SafeRoomError(Reason.MALFORMED, f"{field}: {rule}", (FieldFault(field, rule),))
