"""Words for tables, in the terminal and on a page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from saferoom_client.tongue import later, say
from saferoom_proto.statements import MeasureKind
from saferoom_proto.tables.plan import Measure
from saferoom_proto.tables.told import Told

MEASURES: Final = {
    MeasureKind.COUNT: later("count"),
    MeasureKind.SUM: later("sum"),
    MeasureKind.MEAN: later("mean"),
    MeasureKind.SHARE: later("share"),
    MeasureKind.HISTOGRAM: later("how many"),
}
"""At the head of a column of numbers."""


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


def all_together() -> str:
    """Name the total."""
    return say("all together")
