"""Released tables as lines of CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from saferoom_client.formulas import as_text
from saferoom_proto.tables.plan import ReleasePlan
from saferoom_proto.tables.told import Told


def csv_of(plan: ReleasePlan, tables: Sequence[Told]) -> str:
    """Write every number in a line of its own: a column's class is empty where all are together."""
    names = [each.name for each in plan.dimensions]
    written = io.StringIO()
    writer = csv.writer(written)
    writer.writerow(["measure", "of", "classes", *map(as_text, names), "number", "withheld"])
    for told in tables:
        measure = told.measure
        of = [str(measure.kind), measure.of.partition(",")[0], " / ".join(measure.classes)]
        for cell in told.cells:
            classes = dict(zip(told.columns, cell.classes, strict=True))
            number = cell.number or ""
            by = [classes.get(name, "") for name in names]
            writer.writerow([*map(as_text, (*of, *by)), number, "" if number else "yes"])
    return written.getvalue()
