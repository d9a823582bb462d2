"""Counts of released tables, as bins of a scorecard are made of; each receipt is verified first."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from saferoom_client.files import bad_file, read_file
from saferoom_client.scorecards.cards import refused
from saferoom_client.tongue import later
from saferoom_proto.dsse import Envelope
from saferoom_proto.formula import FeatureShape
from saferoom_proto.pinned import pin
from saferoom_proto.statements import FeatureKind, MeasureKind
from saferoom_proto.tables.asked import classes_of
from saferoom_proto.tables.receipt import TableReceipt, VerifiedTables, verify_table_receipt
from saferoom_proto.tables.told import Told
from saferoom_proto.trust import Trust

if TYPE_CHECKING:
    from saferoom_models.scorecard.card import Values
    from saferoom_models.scorecard.counts import Count, Counts

Numbers = Mapping[tuple[str, ...], int | None]
"""By the classes of a table's columns; none where a number is withheld."""


@dataclass(frozen=True, slots=True)
class ReadTables:
    """What a receipt holds of a label.

    Attributes:
        path: of its file.
        digest: of that file.
        verified: what it shows.
        shapes: of the features in it.
        counts: by the names of the columns.
    """

    path: Path
    digest: str
    verified: VerifiedTables
    shapes: Mapping[str, FeatureShape]
    counts: Mapping[tuple[str, ...], Numbers]

    def of(self, *names: str) -> Numbers | None:
        """Give a table by its columns' names, in whichever order it has them."""
        for columns, numbers in self.counts.items():
            if set(columns) == set(names) and len(columns) == len(names):
                order = [columns.index(name) for name in names]
                return {tuple(at[place] for place in order): n for at, n in numbers.items()}
        return None


def read_tables(path: Path, trust: Trust, label: str) -> ReadTables:
    """Read and verify a receipt; `BAD_CONFIG` where it has no count of a column by the label."""
    data = read_file(path)
    receipt = TableReceipt.from_json(data)
    verified = verify_table_receipt(receipt, trust)
    if verified.tables is None:
        raise bad_file(path, "nothing was told: it is the receipt of a refusal")
    pinned = pin(map(Envelope.from_text, receipt.features))
    read = ReadTables(
        path,
        hashlib.sha256(data).hexdigest(),
        verified,
        {str(ref): each.shape for ref, each in pinned.items()},
        counts_of(verified.tables, label),
    )
    if not any(label in columns and len(columns) > 1 for columns in read.counts):
        raise bad_file(path, f"it has no count of a column by {label}")
    return read


def counts_of(tables: Sequence[Told], label: str) -> dict[tuple[str, ...], Numbers]:
    """Give the counts of a receipt by their columns; a histogram of the label is counts by it."""
    return {
        told.columns: {cell.classes: _whole(cell.number) for cell in told.cells}
        for told in tables
        if told.measure.kind is MeasureKind.COUNT
        or (told.measure.kind is MeasureKind.HISTOGRAM and label in told.columns)
    }


def _whole(number: str | None) -> int | None:
    # Of counts with noise one may be below nothing.
    return None if number is None else max(0, int(number))


def by_label(
    told: ReadTables, label: str, event: str, numbers: Numbers
) -> dict[tuple[str, ...], Count | None]:
    """Put the event's number and the others' together, where the label comes last.

    Rows of whom the label is unknown are in neither. None where a number is withheld.

    Raises:
        SafeRoomError: `MALFORMED` for an event that is no class of the label.
    """
    from saferoom_models.scorecard.counts import Count  # noqa: PLC0415 - an extra

    shape = told.shapes[label]
    known = classes_of(shape)[: -1 if shape.can_be_unknown else None]
    if event not in known:
        rule = later("the label has no such class")
        raise refused(f"--event {event}", rule, ", ".join(known))
    found: dict[tuple[str, ...], Count | None] = {}
    for at in dict.fromkeys(classes[:-1] for classes in numbers):
        parts = [numbers[*at, each] for each in known]
        whole = [each for each in parts if each is not None]
        events = numbers[*at, event]
        enough = len(whole) == len(parts) and events is not None
        found[at] = Count(events, sum(whole) - events) if enough and events is not None else None
    return found


def counted(shape: FeatureShape, counts: Mapping[tuple[str, ...], Count | None]) -> Counts | None:
    """Give a column's counts; none where one of a known class is withheld.

    An empty class is withheld like a small one, and of whom a column is unknown there are often
    none: the bin of missing values then has no rows, and the riskiest one's points.
    """
    from saferoom_models.scorecard.counts import (  # noqa: PLC0415 - an extra
        ClassCounts,
        Count,
        OrderedCounts,
    )

    told = [counts[name,] for name in classes_of(shape)]
    missing = (told.pop() if shape.can_be_unknown else None) or Count()
    whole = [each for each in told if each is not None]
    if len(whole) != len(told):
        return None
    if shape.kind is FeatureKind.ORDERED:
        return OrderedCounts(tuple(map(float, shape.grid)), tuple(whole), missing)
    return ClassCounts(dict(zip(classes_of(shape), whole, strict=False)), missing)


def unknown_of(shape: FeatureShape) -> str | None:
    """Name the class of those of whom a column is unknown, if there is one."""
    return classes_of(shape)[-1] if shape.can_be_unknown else None


def values_in(shape: FeatureShape, classes: Sequence[str]) -> Values:
    """Give a value that lies in each class: NaN, or an empty text, for the unknown."""
    import numpy as np  # noqa: PLC0415 - an extra

    known, unknown = classes_of(shape), unknown_of(shape)
    if shape.kind is not FeatureKind.ORDERED:
        return ["" if each == unknown else each for each in classes]
    grid = [float(each) for each in shape.grid]
    # A band holds its lower edge; the first has none, and ends at the first edge.
    lows = dict(zip(known, (math.nextafter(grid[0], -math.inf), *grid), strict=False))
    return np.array([np.nan if each == unknown else lows[each] for each in classes])
