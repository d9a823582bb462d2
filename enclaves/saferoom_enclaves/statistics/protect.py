"""A plan protected as a whole: which of its cells may leave, after all that left before.

Whether a cell leaves is decided for counts and for each variable's sums by themselves, over the
cells of this plan and of every plan released before it in this epoch. A cell that left stays, one
that was withheld stays withheld, so that the same question gets the same answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from saferoom_enclaves.statistics.audit import Audit
from saferoom_enclaves.statistics.lattice import Axes, Flags, Lattice
from saferoom_enclaves.statistics.moves import Withholding
from saferoom_enclaves.statistics.pairs import too_close
from saferoom_enclaves.statistics.primary import Family, count_family, sum_family
from saferoom_enclaves.statistics.tabulate import UNIT, Columns, Table, Units
from saferoom_enclaves.statistics.watched import finer
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.tables.plan import (
    Dimension,
    Margin,
    MeasureKind,
    ReleasePlan,
    Variable,
)
from saferoom_proto.tables.rules import Rules

LEFT: Final = 1
"""A cell that was asked for and left."""

KEPT: Final = -1
"""A cell that was asked for and was withheld. 0 is one that nobody asked for."""

Shown = Mapping[Margin, NDArray[np.int8]]
"""Of each margin, its dimensions in the order of their names, what became of its cells."""


@dataclass(frozen=True, slots=True)
class Before:
    """All that was asked in one epoch so far, and which cells of it left.

    Attributes:
        epoch: of the store.
        dimensions: every dimension that was used, by name.
        variables: every variable that was added up, by name.
        shown: for counts (an empty name) and each variable, what became of each cell.
    """

    epoch: int
    dimensions: Mapping[str, Dimension] = field(default_factory=dict[str, Dimension])
    variables: Mapping[str, Variable] = field(default_factory=dict[str, Variable])
    shown: Mapping[str, Shown] = field(default_factory=dict[str, Shown])


@dataclass(frozen=True, slots=True)
class Guarded:
    """One family of a plan, protected.

    Attributes:
        lattice: its cells.
        family: its numbers, and which are too telling.
        asked: the cells the plan asks for.
        published: those that may leave, with those that left before.
        moves: how many moves show that it is enough.
    """

    lattice: Lattice
    family: Family
    asked: Flags
    published: Flags
    moves: int

    @property
    def withheld(self) -> Flags:
        """The cells that were asked for and do not leave."""
        return self.asked & ~self.published


@dataclass(frozen=True, slots=True)
class Protected:
    """A plan with what of it may leave.

    Attributes:
        plan: the plan.
        rules: the rules.
        names: of the lattices' dimensions.
        families: counts under an empty name, and each summed variable.
        after: what was asked and left, this plan included.
    """

    plan: ReleasePlan
    rules: Rules
    names: tuple[str, ...]
    families: Mapping[str, Guarded]
    after: Before


def protect(plan: ReleasePlan, columns: Columns, before: Before, rules: Rules) -> Protected:
    """Decide what of a plan may leave.

    Args:
        plan: what is asked.
        columns: the owner's subjects in the plan's epoch; also the dimensions used before.
        before: what was asked and left in this epoch.
        rules: what is kept to.

    Raises:
        SafeRoomError: the plan is of another epoch, or names a dimension or a variable that is not
            what it was.
    """
    # Step 1: the dimensions and variables of this plan and of those before it. A sum that is
    # clipped once lower and once higher would tell of those who are above.
    if plan.epoch != before.epoch:
        raise SafeRoomError(
            Reason.CONFLICT, f"the plan is of epoch {plan.epoch}, not {before.epoch}"
        )
    dimensions = dict(before.dimensions)
    for each in plan.dimensions:
        if dimensions.setdefault(each.name, each) != each:
            raise SafeRoomError(
                Reason.CONFLICT, f"{each.name} had other classes before in this epoch"
            )
    variables = dict(before.variables)
    for each in plan.summed():
        if variables.setdefault(each.name, each) != each:
            raise SafeRoomError(
                Reason.CONFLICT, f"{each.name} had other bounds before in this epoch"
            )
    names = tuple(sorted(dimensions))
    sizes = tuple(len(dimensions[name].classes) for name in names)
    units = Units(columns)
    # Step 2: counts, then each variable, each over its own margins.
    asked_of = {"": plan.count_margins()} if plan.count_margins() else {}
    asked_of |= {each.name: plan.margins for each in plan.summed()}
    families: dict[str, Guarded] = {}
    for name, margins in asked_of.items():
        past = before.shown.get(name, {})
        asked_margins = [_axes(names, each) for each in (*margins, *past)]
        watched = finer(Table(Lattice(sizes, asked_margins), names, columns), rules)
        lattice = Lattice(sizes, [*asked_margins, *watched])
        table = Table(lattice, names, columns)
        hollow = np.zeros(lattice.cells, dtype=np.bool_)
        for margin, follows in watched.items():
            hollow[lattice.place(margin)] = follows
        if name:
            family = sum_family(table, units, columns, variables[name], rules, hollow=hollow)
        else:
            family = count_family(table, units, rules, hollow=hollow)
        asked = _asked(plan, lattice, names, margins)
        settled = _settled(lattice, names, past)
        families[name] = _guard(table, family, _Asked(asked, settled), rules)
    shown = dict(before.shown)
    for name, guarded in families.items():
        shown[name] = _shown(guarded, names, shown.get(name, {}))
    return Protected(plan, rules, names, families, Before(plan.epoch, dimensions, variables, shown))


@dataclass(frozen=True, slots=True)
class _Asked:
    """Which cells of one family a plan asks for, and what became of each before."""

    now: Flags
    before: NDArray[np.int8]


def _guard(table: Table, family: Family, asked: _Asked, rules: Rules) -> Guarded:
    """Decide which cells of one family leave."""
    lattice, left = table.lattice, asked.before == LEFT
    # Step 1: what is too telling by itself stays, and what was withheld before.
    published = (asked.now & ~family.telling & (asked.before != KEPT)) | left
    if not (published & ~left).any():
        return Guarded(lattice, family, asked.now, published, 0)
    # Step 2: what else must stay, so that nothing told apart is small.
    withholding = Withholding(lattice, family.values, ~published, left)
    demands = [each.besides(left) for each in family.demands]
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
    published &= asked.now | left
    return Guarded(lattice, family, asked.now, published, len(withholding.moves))


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


def _axes(names: tuple[str, ...], margin: Margin) -> Axes:
    return tuple(sorted(names.index(name) for name in margin))


def _asked(
    plan: ReleasePlan, lattice: Lattice, names: tuple[str, ...], margins: tuple[Margin, ...]
) -> Flags:
    """Which cells a plan asks for: of a share's dimension, its own classes only."""
    asked = np.zeros(lattice.cells, dtype=np.bool_)
    plain = {frozenset(each) for each in plan.margins}
    whole = {each.of for each in plan.measures if each.kind is MeasureKind.HISTOGRAM}
    for margin in margins:
        axes = _axes(names, margin)
        place = lattice.place(axes)
        extra = margin[-1] if margin else ""
        if frozenset(margin) in plain or extra in whole:
            asked[place] = True
            continue
        classes = plan.dimension(extra).classes
        wanted = {c for each in plan.measures if each.of == extra for c in each.classes}
        table = asked[place].reshape(lattice.shape(axes))
        chosen = np.array([each in wanted for each in classes])
        np.moveaxis(table, axes.index(names.index(extra)), -1)[...] = chosen
    return asked


def _settled(lattice: Lattice, names: tuple[str, ...], past: Shown) -> NDArray[np.int8]:
    settled = np.zeros(lattice.cells, dtype=np.int8)
    for margin, became in past.items():
        settled[lattice.place(_axes(names, margin))] = became.reshape(-1)
    return settled


def _shown(guarded: Guarded, names: tuple[str, ...], past: Shown) -> Shown:
    """What became of each cell that was asked for, by now."""
    lattice = guarded.lattice
    became = _settled(lattice, names, past)
    became[guarded.asked] = KEPT
    became[guarded.published] = LEFT
    found: dict[Margin, NDArray[np.int8]] = {}
    for axes in lattice.margins:
        table = became[lattice.place(axes)]
        if table.any():
            found[tuple(names[axis] for axis in axes)] = table.reshape(lattice.shape(axes)).copy()
    return found
