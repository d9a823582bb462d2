"""What a template of tables asks: columns, what is told of each cell, margins and rules."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from saferoom_proto.statements.base import FeatureName, Owner, Part, distinct
from saferoom_proto.statements.feature import Label, Number

MAX_WAYS = 3
"""Most columns of a margin (issue 6). A share or histogram in it has one more."""
MAX_DIMENSIONS = 20
"""Most columns of a plan; one-way and three-way margins of more would pass 20,000 cells."""
MAX_MEASURES = 16
"""Most measures: more would be another plan."""
MAX_MARGINS = 1351
"""All margins of up to three of twenty columns."""


FEWEST_SUMMED = 3
"""Owners of a sum: of two, each would know the other's part from its own (ADR 54)."""
MOST_SUMMED = 16
"""Each makes a number with each other one for every cell; and noise adds up, too."""

FEWEST_DAYS = 30
"""Between tables of different records: a month, in which more than a few change (ADR 31)."""


class MeasureKind(StrEnum):
    """What is told of a cell."""

    COUNT = "count"
    SUM = "sum"
    MEAN = "mean"
    SHARE = "share"
    HISTOGRAM = "histogram"


_ADDED = frozenset({MeasureKind.SUM, MeasureKind.MEAN})
_OF_PARTS = frozenset({MeasureKind.COUNT, MeasureKind.SUM, MeasureKind.HISTOGRAM})
"""What can be added up over owners: a mean or share of parts is none of the whole."""


def _is_none(value: object) -> bool:
    return value is None


class TableMeasure(Part):
    """One thing that is told of each cell.

    A sum and a mean are of an ordered feature's values, clipped to bounds that are published here;
    a subject of whom nothing is known adds nothing. A share is the part of a cell that is in the
    classes named; a histogram the cell by all classes.
    """

    kind: MeasureKind
    of: Annotated[FeatureName | None, Field(exclude_if=_is_none)] = None
    low: Annotated[Number | None, Field(exclude_if=_is_none)] = None
    high: Annotated[Number | None, Field(exclude_if=_is_none)] = None
    classes: Annotated[
        tuple[Label, ...], Field(max_length=8, exclude_if=lambda each: not each)
    ] = ()

    @model_validator(mode="after")
    def _of_its_kind(self) -> TableMeasure:
        if (self.kind is MeasureKind.COUNT) == (self.of is not None):
            raise ValueError("a count is of nothing, and all else of a feature")
        if (self.kind in _ADDED) != (self.low is not None and self.high is not None):
            raise ValueError("a sum and a mean, and nothing else, have bounds: low and high")
        if self.low is not None and self.high is not None and not self._around_nothing():
            raise ValueError("low is 0 or less, high 0 or more, and they differ")
        if (self.kind is MeasureKind.SHARE) != bool(self.classes):
            raise ValueError("a share, and nothing else, names classes")
        return self

    def _around_nothing(self) -> bool:
        # Of whom nothing is known adds 0, which must lie within the bounds.
        return (self.low or 0) <= 0 <= (self.high or 0) and self.low != self.high


class TableRules(Part):
    """The rules that a table keeps to: the room's (DESIGN section 8), or stricter ones.

    Attributes:
        threshold: fewest units behind a number.
        base: counts are rounded to its multiples.
        percent: nobody can reckon the largest contributor to within so many percent.
        largest: so many of the largest ...
        share: ... do not make up more than so many percent of a sum.
        digits: significant digits of a sum, a mean or a share.
        days: tables of other records are told so many days after the last ones; the fewest are not
            written.
    """

    threshold: Annotated[int, Field(ge=10, le=1000)] = 10
    base: Annotated[int, Field(ge=5, le=1000)] = 5
    percent: Annotated[int, Field(ge=10, le=100)] = 10
    largest: Annotated[int, Field(ge=2, le=10)] = 2
    share: Annotated[int, Field(ge=1, le=85)] = 85
    digits: Annotated[int, Field(ge=1, le=3)] = 3
    days: Annotated[
        int, Field(ge=FEWEST_DAYS, le=3660, exclude_if=lambda days: days == FEWEST_DAYS)
    ] = FEWEST_DAYS

    @model_validator(mode="after")
    def _rounded_within(self) -> TableRules:
        if self.base > self.threshold:
            raise ValueError("counts are rounded to no more than the threshold")
        return self


LEAST_EPSILON = Decimal("0.01")
"""Below it the noise of a plan's one count is hundreds of firms."""
MOST_EPSILON = Decimal(10)
"""Of one plan: past it noise is less than one firm, and no promise."""
MOST_CAP = Decimal(20)
"""Of all plans about the same records: a chance in 500 million is a certainty after it."""

Epsilon = Annotated[Decimal, Field(max_digits=5, decimal_places=3)]
"""A budget of differential privacy, in whole thousandths: added up exactly."""


class Privacy(Part):
    """Tables leave with noise, so that no answer tells much of any one subject (ADR 48).

    Whatever one subject's records are, the odds of any answer change by a factor of e to the power
    of epsilon at most. There is no delta: nothing is left to chance.

    Attributes:
        epsilon: what these tables tell.
        cap: what all tables with noise about the same records tell one group of institutions.
    """

    epsilon: Annotated[Epsilon, Field(ge=LEAST_EPSILON, le=MOST_EPSILON)]
    cap: Annotated[Epsilon, Field(ge=LEAST_EPSILON, le=MOST_CAP)]

    @model_validator(mode="after")
    def _within(self) -> Privacy:
        if self.epsilon > self.cap:
            raise ValueError("one plan's epsilon is within the cap of all")
        return self


Margin = Annotated[tuple[FeatureName, ...], Field(max_length=MAX_WAYS), AfterValidator(distinct)]


class Aggregate(Part):
    """A release plan: all that a template of tables asks. There are no other filters.

    The features are one owner's. Each is a column with the classes that its grid or partition
    gives, and "unknown" where its absence means that. Margins are listed, or all of up to so many
    columns (`ways`), the total among them.

    Of several owners (`owners`) only the sum of their cells is told. Features are named as the
    first's; every other owner has those of the same names after the point, with the same classes.
    """

    dimensions: Annotated[
        tuple[FeatureName, ...],
        Field(min_length=1, max_length=MAX_DIMENSIONS),
        AfterValidator(distinct),
    ]
    measures: Annotated[tuple[TableMeasure, ...], Field(min_length=1, max_length=MAX_MEASURES)]
    ways: Annotated[int | None, Field(ge=0, le=MAX_WAYS, exclude_if=_is_none)] = None
    margins: Annotated[
        tuple[Margin, ...], Field(max_length=MAX_MARGINS, exclude_if=lambda each: not each)
    ] = ()
    rules: TableRules = TableRules()
    privacy: Annotated[Privacy | None, Field(exclude_if=_is_none)] = None
    """Noise in the place of the rules, but for that of the days."""
    groups: Annotated[FeatureName | None, Field(exclude_if=_is_none)] = None
    """A feature of stated values that names each subject's legal group, by any code; those of one
    group are one unit. Nothing of it is told."""
    owners: Annotated[
        tuple[Owner, ...], Field(max_length=MOST_SUMMED, exclude_if=lambda each: not each)
    ] = ()
    """Whose cells are added up, in the order of their names; none of one owner's tables."""

    @model_validator(mode="after")
    def _whole(self) -> Aggregate:
        if self.privacy is not None and self.rules != TableRules(days=self.rules.days):
            raise ValueError("of tables with noise no rule but that of the days is kept to")
        if self.privacy is not None and self.groups is not None:
            raise ValueError("noise is for single subjects, and not for legal groups")
        if self.groups is not None and self.groups in self.told_of:
            raise ValueError("what names legal groups is neither a column nor measured")
        if (self.ways is None) != bool(self.margins):
            raise ValueError("margins are listed, or `ways` says of how many columns all are told")
        if {name.partition(".")[0] for name in (*self.told_of, self.groups) if name} != {
            self.asked_of[0]
        }:
            raise ValueError(
                "the features are of one owner; of a sum they are named as the first's"
            )
        if self.owners:
            self._require_summed()
        return self

    def _require_summed(self) -> None:
        if len(self.owners) < FEWEST_SUMMED or list(self.owners) != sorted(set(self.owners)):
            raise ValueError("a sum is over three owners or more, in the order of their names")
        if self.privacy is None:
            # Whether a total is about too few, or one owner's mostly, nobody could tell.
            raise ValueError("a sum over owners leaves with noise only: say `privacy`")
        if any(each.kind not in _OF_PARTS for each in self.measures):
            raise ValueError("over owners are added up: count, sum, histogram")

    def of(self, owner: str) -> Aggregate:
        """Give what a sum asks of one of its owners, by that owner's own features."""

        def own(name: str) -> str:
            return f"{owner}.{name.partition('.')[2]}"

        return self.model_copy(
            update={
                "owners": (),
                "dimensions": tuple(map(own, self.dimensions)),
                "margins": tuple(tuple(map(own, margin)) for margin in self.margins),
                "measures": tuple(
                    each if each.of is None else each.model_copy(update={"of": own(each.of)})
                    for each in self.measures
                ),
            }
        )

    @property
    def asked_of(self) -> tuple[str, ...]:
        """Whose features they are: one owner's, or those of each owner of a sum."""
        return self.owners or (self.owner,)

    @property
    def told_of(self) -> tuple[str, ...]:
        """Every feature that is told of, each once; of a sum, as the first owner's are named."""
        measured = (each.of for each in self.measures if each.of is not None)
        return tuple(dict.fromkeys((*self.dimensions, *measured)))

    @property
    def features(self) -> tuple[str, ...]:
        """Every feature it reads, each once."""
        if self.owners:
            return tuple(name for owner in self.owners for name in self.of(owner).told_of)
        return self.told_of if self.groups is None else (*self.told_of, self.groups)

    @property
    def owner(self) -> str:
        """Whose features they are; of a sum, the first owner."""
        return self.dimensions[0].partition(".")[0]
