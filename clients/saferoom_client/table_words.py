"""Words for tables, in the terminal and on a page."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Final

from saferoom_client.tongue import later, say
from saferoom_proto.formula import format_number
from saferoom_proto.statements import MeasureKind
from saferoom_proto.tables.plan import Measure, ReleasePlan
from saferoom_proto.tables.privacy import margin_of_sum, noise_of, odds
from saferoom_proto.tables.told import Told

MEASURES: Final = {
    MeasureKind.COUNT: later("count"),
    MeasureKind.SUM: later("sum"),
    MeasureKind.MEAN: later("mean"),
    MeasureKind.SHARE: later("share"),
    MeasureKind.HISTOGRAM: later("how many"),
}
"""At the head of a column of numbers."""
_LARGE: Final = 100
"""Factors from here on are written without a fraction."""


def heading(measure: Measure) -> str:
    """Name what is told of each cell."""
    of = measure.of.partition(",")[0]
    classes = " / ".join(measure.classes)
    return " ".join(filter(None, (say(MEASURES[measure.kind]), of, classes)))


def count_withheld(tables: Sequence[Told]) -> tuple[int, int]:
    """Count the numbers of tables, and how many of them are withheld."""
    numbers = [cell.number for table in tables for cell in table.cells]
    return len(numbers), sum(number is None for number in numbers)


def of_all(tables: Sequence[Told]) -> str:
    """Tell how many numbers there are."""
    numbers, withheld = count_withheld(tables)
    return say(
        "{numbers:,} numbers, {withheld:,} of them withheld", numbers=numbers, withheld=withheld
    )


def errors_of(plan: ReleasePlan, epsilon: Decimal, owners: int = 1) -> Iterator[tuple[str, str]]:
    """Name what noise is added to, and within what of the true number nineteen of twenty are.

    Args:
        plan: of the tables.
        epsilon: what they tell.
        owners: how many add noise of their own, each as much.
    """
    for name, noise in noise_of(plan, epsilon).items():
        of = name.partition(",")[0]
        what = say("sums of {feature}", feature=of) if of else say("counts")
        yield what, format_number(margin_of_sum(noise, owners))


def odds_words(epsilon: Decimal) -> str:
    """Write by what factor one subject changes odds at most, rounded up."""
    factor = odds(epsilon)
    digits = 2 if factor < _LARGE else 0
    return f"{math.ceil(factor * 10**digits) / 10**digits:,.{digits}f}"


def all_together() -> str:
    """Name the total."""
    return say("all together")
