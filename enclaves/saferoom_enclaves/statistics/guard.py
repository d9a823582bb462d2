"""The cells of one family that may leave together, after those that left before.

What is published here is enough by two ways that share no code: moves, and linear programmes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from saferoom_enclaves.statistics.audit import Audit, hanging
from saferoom_enclaves.statistics.lattice import Flags, Lattice
from saferoom_enclaves.statistics.moves import Withholding
from saferoom_enclaves.statistics.pairs import too_close
from saferoom_enclaves.statistics.primary import Family
from saferoom_enclaves.statistics.tabulate import UNIT, Table
from saferoom_proto.tables.rules import Rules

LEFT: Final = 1
"""A cell that was asked for and left."""

KEPT: Final = -1
"""A cell that was asked for and was withheld. 0 is one that nobody asked for."""


@dataclass(frozen=True, slots=True)
class Guarded:
    """One family of a plan, protected.

    Attributes:
        lattice: its cells.
        family: its numbers, and which are too telling.
        asked: the cells the plan asks for.
        published: those that may leave, with those that left before.
        decided: the cells that were asked for and decided one by one; the others were left out with
            their whole margin, since nothing could leave with it.
        moves: how many moves show that it is enough.
    """

    lattice: Lattice
    family: Family
    asked: Flags
    published: Flags
    decided: Flags
    moves: int

    @property
    def withheld(self) -> Flags:
        """The cells that were asked for and do not leave."""
        return self.asked & ~self.published

    @property
    def stays(self) -> Flags:
        """The cells that stay withheld, whatever is asked next."""
        return self.withheld & (self.decided | self.family.telling)


def guard(
    table: Table, family: Family, asked: Flags, before: NDArray[np.int8], rules: Rules
) -> Guarded:
    """Decide which cells of one family leave."""
    lattice, left = table.lattice, before == LEFT
    # Step 1: what is too telling by itself stays, and what was withheld before.
    published = (asked & ~family.telling & (before != KEPT)) | left
    if not (published & ~left).any():
        return Guarded(lattice, family, asked, published, np.zeros_like(left), 0)
    # Step 2: what else must stay, so that nothing told apart is small.
    withholding = Withholding(lattice, family.values, ~published, left)
    # New numbers can tell nothing of cells that hang together with none of them.
    apart = ~hanging(lattice, ~left, published & ~left)
    demands = [each.besides(left | apart) for each in family.demands]
    enough = all(withholding.protect(demand) for demand in demands)
    # Step 3: no two that differ by a few subjects; nor may the one that stays be reckoned from what
    # leaves. Withholding more leaves every move what it is.
    units, *others = demands
    while enough and (apart := _told_apart(table, family, ~withholding.withheld, left, rules)):
        kept_back = np.zeros(lattice.cells, dtype=np.bool_)
        kept_back[apart] = True
        need = np.where(kept_back, float(rules.threshold * UNIT), 0.0)
        withholding.withhold(kept_back)
        enough = withholding.protect(replace(units, rise=need))
        units = replace(units, rise=np.maximum(units.rise, need))
    published = ~withholding.withheld if enough else left
    # Step 4: the audit, by the other way. Should they disagree, nothing more leaves.
    if (published & ~left).any():
        audit = Audit(lattice, ~published)
        audit.certify(withholding.moves)
        if any(len(audit.fails(demand)) for demand in (units, *others)):
            published = left
    published &= asked | left
    decided = asked & (published & ~left).any()
    return Guarded(lattice, family, asked, published, decided, len(withholding.moves))


def _told_apart(
    table: Table, family: Family, published: Flags, left: Flags, rules: Rules
) -> list[int]:
    """Give cells that must stay, for another that leaves differs from them by a few units."""
    if not (published & ~left).any():
        return []
    stays: set[int] = set()
    for one, other in too_close(table, family.weights, published, rules):
        # Where both left before, nothing can be taken back.
        if not (left[one] and left[other]) and not {one, other} & stays:
            stays.add(_less_worth(one, other, left))
    return sorted(stays)


def _less_worth(one: int, other: int, left: Flags) -> int:
    """Of two cells that cannot both leave, the one of more ways, unless it left before."""
    return one if left[other] else other
