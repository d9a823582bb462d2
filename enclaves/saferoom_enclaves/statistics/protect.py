"""A plan protected as a whole: which of its cells may leave, after all that left before.

Whether a cell leaves is decided for counts and for each variable's sums by themselves, over the
cells of this plan and of every plan released before it in this epoch. A cell that left stays, one
that was withheld stays withheld, so that the same question gets the same answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from saferoom_enclaves.statistics.guard import KEPT, LEFT, Guarded, guard
from saferoom_enclaves.statistics.lattice import Axes, Flags, Lattice
from saferoom_enclaves.statistics.primary import contributing, count_family, sum_family
from saferoom_enclaves.statistics.tabulate import Columns, Table, Units
from saferoom_enclaves.statistics.watched import Finer, Looks, Watched, coarse
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.tables.plan import (
    Dimension,
    Margin,
    MeasureKind,
    ReleasePlan,
    Variable,
)
from saferoom_proto.tables.rules import Rules

ROUNDS: Final = 3
"""How often a family is protected anew for small sets that what leaves would fix. Each adds sets to
those that are watched; one to three do."""

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
    looks = Looks()
    for name, margins in asked_of.items():
        past = before.shown.get(name, {})
        asked_margins = [_axes(names, each) for each in (*margins, *past)]
        asked = _Asked(
            lambda lattice, margins=margins: _asked(plan, lattice, names, margins),
            lambda lattice, past=past: _settled(lattice, names, past),
        )
        variable = variables[name] if name else None
        subjects = _Subjects(names, columns, units, variable, rules, looks)
        families[name] = subjects.guarded(Lattice(sizes, asked_margins), asked)
    shown = dict(before.shown)
    for name, guarded in families.items():
        shown[name] = _shown(guarded, names, shown.get(name, {}))
    return Protected(plan, rules, names, families, Before(plan.epoch, dimensions, variables, shown))


@dataclass(frozen=True, slots=True)
class _Asked:
    """Which cells of one family a plan asks for, and what became of each before, in a lattice."""

    now: Callable[[Lattice], Flags]
    before: Callable[[Lattice], NDArray[np.int8]]


@dataclass(frozen=True, slots=True)
class _Subjects:
    """The subjects of one family: counted, or with a variable that is added up."""

    names: tuple[str, ...]
    columns: Columns
    units: Units
    variable: Variable | None
    rules: Rules
    looks: Looks

    def guarded(self, lattice: Lattice, asked: _Asked) -> Guarded:
        """Decide which cells leave: where nothing can, none of the widest margins, and so on."""
        widest = max(len(margin) for margin in lattice.margins)
        weights = self.units.weights
        if self.variable is not None:
            weights = contributing(self.units, self.columns, self.variable)
        table = Table(lattice, self.names, self.columns)
        finer = Finer(table, weights, self.rules, self.looks)
        guarded = self._within(finer, lattice, asked, widest)
        for ways in range(widest - 1, -1, -1):
            left = asked.before(guarded.lattice) == LEFT
            if (guarded.published & ~left).any():
                break
            guarded = self._within(finer, lattice, asked, ways)
        return guarded

    def _within(self, finer: Finer, lattice: Lattice, asked: _Asked, ways: int) -> Guarded:
        """Decide which cells of margins of up to so many ways leave.

        Anew with what is watched, while small sets are fixed.
        """
        whole = coarse(lattice, self.columns.subjects, self.rules)
        watched = dict(whole)
        guarded = self._once(lattice, watched, asked, ways)
        for _ in range(ROUNDS):
            left = asked.before(lattice) == LEFT
            fixed = finer.fixed(self._of(guarded, lattice), left, whole.keys(), ways)
            if fixed is None:
                break
            if not fixed:
                return guarded
            for margin, hidden in fixed.items():
                watched[margin] = watched.get(margin, np.zeros_like(hidden)) | hidden
            guarded = self._once(lattice, watched, asked, ways)
        # Small sets without end, or more than can be looked for: nothing new leaves. Else whoever
        # asks could pad a plan until nobody looks at the tables that tell.
        left = asked.before(guarded.lattice) == LEFT
        return replace(guarded, published=left, decided=np.zeros_like(left))

    def _once(self, lattice: Lattice, watched: Watched, asked: _Asked, ways: int) -> Guarded:
        whole = Lattice(lattice.sizes, [*lattice.margins, *watched])
        table = Table(whole, self.names, self.columns)
        quiet = np.zeros(whole.cells, dtype=np.bool_)
        for margin, hidden in watched.items():
            quiet[whole.place(margin)] = ~hidden.reshape(-1)
        # What a watched margin sums up to, and nobody asked for, must not stay uncertain either.
        for margin in set(whole.margins) - set(lattice.margins) - set(watched):
            quiet[whole.place(margin)] = True
        if self.variable is None:
            family = count_family(table, self.units, self.rules, quiet=quiet)
        else:
            family = sum_family(
                table, self.units, self.columns, self.variable, self.rules, quiet=quiet
            )
        now = asked.now(whole)
        narrow = now.copy()
        for margin in whole.margins:
            narrow[whole.place(margin)] &= len(margin) <= ways
        return replace(guard(table, family, narrow, asked.before(whole), self.rules), asked=now)

    @staticmethod
    def _of(guarded: Guarded, lattice: Lattice) -> Flags:
        """Give what is published, in the lattice of what was asked for."""
        published = np.zeros(lattice.cells, dtype=np.bool_)
        for margin in lattice.margins:
            published[lattice.place(margin)] = guarded.published[guarded.lattice.place(margin)]
        return published


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
    """What became of each cell that was asked for, by now.

    Of margins that were left out as a whole only what is too telling is kept: else whoever asks for
    too much would withhold the rest from everybody.
    """
    lattice = guarded.lattice
    became = _settled(lattice, names, past)
    became[guarded.stays] = KEPT
    became[guarded.published] = LEFT
    found: dict[Margin, NDArray[np.int8]] = {}
    for axes in lattice.margins:
        table = became[lattice.place(axes)]
        if table.any():
            found[tuple(names[axis] for axis in axes)] = table.reshape(lattice.shape(axes)).copy()
    return found
