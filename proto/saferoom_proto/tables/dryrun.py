"""What to expect of a plan before it runs, from public counts alone.

The public counts are those that an owner publishes with each dimension: how many subjects there are
of each class, rounded. No record can be handed in, so what is told tells nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import product

from saferoom_proto.tables.plan import Margin, ReleasePlan
from saferoom_proto.tables.rules import Rules, malformed


class Outlook(StrEnum):
    """What public counts say of a cell, before what is withheld for others' sake."""

    WITHHELD = "withheld"
    LIKELY_WITHHELD = "likely withheld"
    LIKELY = "likely released"
    LARGE = "large enough"
    NOISY = "told, with noise"


@dataclass(frozen=True, slots=True)
class Expected:
    """The outlook of one cell, and how many subjects would be in it if classes were independent."""

    classes: tuple[str, ...]
    outlook: Outlook
    expected: float


def dry_run(
    plan: ReleasePlan, public: Mapping[str, tuple[int, ...]], rules: Rules | None
) -> Mapping[Margin, tuple[Expected, ...]]:
    """Tell what each cell that is counted can be expected to be.

    Args:
        plan: what would be asked.
        public: for each dimension how many subjects there are of each class.
        rules: the threshold; none where noise takes their place, and every cell is told.

    Raises:
        SafeRoomError: a dimension has no public counts, or not one for each class.
    """
    counts: dict[str, tuple[int, ...]] = {}
    for each in plan.dimensions:
        given = public.get(each.name, ())
        if len(given) != len(each.classes) or min(given, default=-1) < 0:
            raise malformed(each.name, "a count of each class is expected, none below 0")
        counts[each.name] = given
    # Rounded totals differ; the largest is the safer for what is certainly small.
    total = max(map(sum, counts.values()))
    margins = plan.count_margins() or plan.margins
    return {margin: tuple(_cells(plan, margin, counts, total, rules)) for margin in margins}


def _cells(
    plan: ReleasePlan,
    margin: Margin,
    counts: Mapping[str, tuple[int, ...]],
    total: int,
    rules: Rules | None,
) -> list[Expected]:
    names = [plan.dimension(name).classes for name in margin]
    found: list[Expected] = []
    for at in product(*(range(len(each)) for each in names)):
        parts = [counts[name][k] for name, k in zip(margin, at, strict=True)]
        # Between the bounds of Frechet, whatever the classes have to do with each other.
        highest = min(parts, default=total)
        lowest = sum(parts) - (len(parts) - 1) * total
        expected = total * math.prod(part / total for part in parts) if total else 0.0
        if rules is None:
            outlook = Outlook.NOISY
        elif highest < rules.threshold:
            outlook = Outlook.WITHHELD
        elif lowest >= rules.threshold:
            outlook = Outlook.LARGE
        else:
            likely = expected >= rules.threshold
            outlook = Outlook.LIKELY if likely else Outlook.LIKELY_WITHHELD
        named = tuple(each[k] for each, k in zip(names, at, strict=True))
        found.append(Expected(named, outlook, expected))
    return found
