"""Which cells tell too much by themselves, and how uncertain each of them must stay.

A family is all numbers of one kind: the counts, or the sums of one variable. Each of its cells that
is too telling must stay uncertain: stores that differ in it by so much are consistent with all that
leaves. How much, in which amounts and between which bounds, is a `Demand`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Final

import numpy as np

from saferoom_enclaves.statistics.lattice import Flags, Floats, Integers, Lattice
from saferoom_enclaves.statistics.tabulate import UNIT, Columns, Table, Units
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.tables.plan import Variable
from saferoom_proto.tables.rules import Rules

DIGITS: Final = 52
"""Binary digits of a double behind its first."""

NEARLY: Final = 1e-9
"""Sums of doubles that differ by no more than this part of themselves are one."""


@dataclass(frozen=True, slots=True)
class Demand:
    """How far each cell must be able to move, and how far each can; shapes (cells,).

    Attributes:
        down: how far below what it is a cell can lie, as far as anybody can know beforehand.
        up: how far above.
        rise: how far above what it is a telling cell must be able to lie; 0 for the others.
        fall: how far below.
        grain: what moves only in multiples of it; 0 where any amount can.
    """

    down: Floats
    up: Floats
    rise: Floats
    fall: Floats
    grain: float

    def besides(self, left: Flags) -> Demand:
        """Ask nothing of cells that left before: under stricter rules they may be telling now."""
        rise, fall = (np.where(left, 0.0, need) for need in (self.rise, self.fall))
        return replace(self, rise=rise, fall=fall)


@dataclass(frozen=True, slots=True)
class Family:
    """One kind of number in every cell, and which cells are too telling.

    Attributes:
        name: the variable's, or empty for counts.
        weights: what each subject weighs where two sets are compared; shape (subjects,).
        values: the numbers, not rounded.
        small: fewer units than the threshold stand behind it.
        dominated: few units make it up.
        same: all of its subjects share one value.
        demands: what must hold, together, for nothing to be told.
    """

    name: str
    weights: Integers
    values: Floats
    small: Flags
    dominated: Flags
    same: Flags
    demands: tuple[Demand, ...]

    @property
    def telling(self) -> Flags:
        """Whether a cell may not be shown for its own sake."""
        return self.small | self.dominated | self.same


def count_family(table: Table, units: Units, rules: Rules, *, quiet: Flags | None = None) -> Family:
    """Count, and mark the cells with fewer units than the threshold, those with none too.

    Whoever knows that a cell is empty knows something of each subject that could be in it: that all
    the others share what is left. So a group that is wholly of one class is never shown as such.

    Args:
        table: the subjects by cells.
        units: which of them stand together.
        rules: the threshold.
        quiet: cells that nobody asked for, and of which nothing must stay uncertain.
    """
    counts = table.counts()
    weights = counts * UNIT if units.alone else table.sums(units.weights.astype(np.float64))
    small = weights < rules.threshold * UNIT
    none = np.zeros(len(counts), dtype=np.bool_)
    demands = _of_units(weights, small, _Quiet(counts == 0, table.impossible(), quiet), rules)
    return Family("", units.weights, counts, small, none, none, demands)


def sum_family(
    table: Table,
    units: Units,
    columns: Columns,
    variable: Variable,
    rules: Rules,
    *,
    quiet: Flags | None = None,
) -> Family:
    """Add a variable up, and mark the cells that are small, dominated, or of one value.

    As many units as the threshold must have an amount that is not zero, as many one that is not the
    lower bound, and as many one that is not the upper: else the sum of a flag would be the count of
    those who have it, or of those who have not.

    Raises:
        SafeRoomError: `UNKNOWN_FEATURE`, the columns do not have the variable.
    """
    if variable.name not in columns.amounts:
        raise SafeRoomError(Reason.UNKNOWN_FEATURE, f"there is no column {variable.name}")
    clipped = np.clip(columns.amounts[variable.name], variable.low, variable.high)
    amounts = _exact(clipped, variable)
    sizes, counts = np.abs(amounts), table.counts()
    # Step 1: units behind a number.
    behind = contributing(units, columns, variable)
    weight = units.weights.astype(np.float64)
    away = [weight * (clipped != each) for each in (variable.low, variable.high)]
    values, total, *added = table.sums(amounts, sizes, behind.astype(np.float64), *away)
    weights = np.minimum.reduce(added)
    small = weights < rules.threshold * UNIT
    # Step 2: dominance, by the size of what each unit contributes.
    top = table.largest(sizes, units, max(2, rules.largest))
    rest = np.maximum(total - top[:, 0] - top[:, 1], 0.0)
    percent = rules.percent / 100
    p_rule = percent * top[:, 0] - rest
    heavy = top[:, : rules.largest].sum(axis=1)
    nk_rule = heavy * (100 / rules.share) - total
    dominated = (p_rule > NEARLY * total) | (nk_rule > NEARLY * total)
    # Step 3: one value that all share.
    highest = table.largest(amounts - variable.low, Units(replace(columns, groups=None)), 1)[:, 0]
    spread = counts * highest - (values - counts * variable.low)
    same = (counts > 0) & (spread <= NEARLY * np.maximum(1.0, counts * highest))
    # Step 4: how uncertain a telling cell must stay: the rules' own protection levels, at least p%
    # of its largest contribution, and of an average subject's; where all share a value, p% of all.
    unsure = _Quiet(counts == 0, table.impossible(), quiet)
    telling = unsure.among(small | dominated | same)
    average = float(sizes.mean()) if len(sizes) else 0.0
    least = max(percent * average, float(np.finfo(np.float64).tiny))
    width = np.maximum(np.maximum(p_rule, nk_rule), np.maximum(percent * top[:, 0], least))
    width = np.where(same, np.maximum(width, percent * total), width)
    # Step 5: between which bounds it lies for one who knows the published bounds, the number of
    # subjects, and the largest contribution, its own.
    many = np.maximum(counts, rules.threshold)
    lowest = variable.low * (counts if variable.low > 0 else many)
    down = np.maximum(values - lowest - top[:, 0], 0.0)
    up = np.where(unsure.impossible, 0.0, np.maximum(many * variable.high - values, 0.0))
    demand = Demand(
        down=down,
        up=up,
        rise=np.where(telling, np.minimum(width, _doubt(table.lattice, up)), 0.0),
        fall=np.where(telling, np.minimum(width, _doubt(table.lattice, down)), 0.0),
        grain=0.0,
    )
    units_stay = _of_units(weights, small, unsure, rules)
    demands = (*units_stay, demand)
    return Family(variable.name, behind, values, small, dominated, same, demands)


def contributing(units: Units, columns: Columns, variable: Variable) -> Integers:
    """Give each subject's weight where its amount is not zero; shape (subjects,).

    Raises:
        SafeRoomError: `UNKNOWN_FEATURE`, the columns do not have the variable.
    """
    if variable.name not in columns.amounts:
        raise SafeRoomError(Reason.UNKNOWN_FEATURE, f"there is no column {variable.name}")
    clipped = np.clip(columns.amounts[variable.name], variable.low, variable.high)
    return units.weights * (clipped != 0)


def _exact(amounts: Floats, variable: Variable) -> Floats:
    """Bring amounts to multiples of a power of two, so fine that sums of all of them are exact.

    Then a sum is the same in whatever order and margin it is reckoned: the same question gets the
    same answer. For a million subjects and amounts up to a million the grain is 1/4096.
    """
    largest = max(abs(variable.low), abs(variable.high)) * max(1, len(amounts))
    grain = 2.0 ** (math.ceil(math.log2(largest)) - DIGITS)
    return np.round(amounts / grain) * grain


@dataclass(frozen=True, slots=True)
class _Quiet:
    """Which cells are empty, where nobody can be, and of what nothing must stay uncertain."""

    empty: Flags
    impossible: Flags
    quiet: Flags | None

    def among(self, cells: Flags) -> Flags:
        """Give those of some cells that must stay uncertain."""
        return cells if self.quiet is None else cells & ~self.quiet


def _of_units(weights: Floats, small: Flags, quiet: _Quiet, rules: Rules) -> tuple[Demand, ...]:
    """A small cell must be able to hold the threshold more.

    Were a set of few units told apart by what is published, each cell in it could hold no more than
    the set does; so no such set exists (docs/statistics.md, *Why no small set can be told apart*).

    A cell with somebody in it must be so without anybody in a cell where nobody can be (below 100,
    and above 200 by another feature of the same column).
    """
    need, empty = float(rules.threshold * UNIT), quiet.empty
    held = Demand(
        down=weights,
        up=np.where(quiet.impossible, 0.0, np.inf),
        rise=np.where(quiet.among(small & ~empty), need, 0.0),
        fall=np.zeros(len(weights)),
        grain=float(UNIT),
    )
    hidden = quiet.among(empty)
    if not hidden.any():
        return (held,)
    none = replace(held, up=np.full(len(weights), np.inf), rise=np.where(hidden, need, 0.0))
    return (held, none)


def _doubt(lattice: Lattice, room: Floats) -> Floats:
    """Half of how far a cell could move if nothing at all left: no further than its parts can."""
    furthest = np.full(lattice.cells, np.inf)
    for margin in lattice.margins:
        table = room[lattice.place(margin)].reshape(lattice.shape(margin))
        for ways in range(len(margin) + 1):
            for lower in combinations(margin, ways):
                lost = tuple(at for at, axis in enumerate(margin) if axis not in lower)
                place = lattice.place(lower)
                furthest[place] = np.minimum(furthest[place], table.sum(axis=lost).reshape(-1))
    return furthest / 2
