"""Makes a plan's tables in a child: everybody's classes and amounts, protected and rounded.

What comes in is what was approved and what was released before; what goes out is numbers as they
were rounded, and what became of each cell. The process bounds the work; nothing here does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import duckdb
import numpy as np
from numpy.typing import NDArray

from saferoom_enclaves.children.jobs import Tabulate, Tabulated
from saferoom_enclaves.features.computed import ABSENT, FeatureDefinition
from saferoom_enclaves.materialise import Everybody, Materialised, materialise
from saferoom_enclaves.statistics.groups import legal_groups
from saferoom_enclaves.statistics.guard import KEPT, LEFT
from saferoom_enclaves.statistics.noise import with_noise
from saferoom_enclaves.statistics.protect import Before, Shown, protect
from saferoom_enclaves.statistics.publish import publish
from saferoom_enclaves.statistics.tabulate import Columns
from saferoom_enclaves.tables.shown import ShownFamily, ShownMargin
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.tables.asked import amount_of, classes_of, plan_of, rules_of
from saferoom_proto.tables.plan import Dimension, Variable

_COUNTS: Final = ""
"""Under which the statistics keep what became of counts."""
_MARKS: Final = {LEFT: "+", KEPT: "-", 0: "."}
_BECAME: Final = {mark: became for became, mark in _MARKS.items()}


def tabulate(store: duckdb.DuckDBPyConnection, job: Tabulate) -> Tabulated:
    """Make tables over an opened store.

    Raises:
        SafeRoomError: TOO_LARGE, memory is exhausted; INTERNAL, a feature cannot be computed.
    """
    # Step 1: the plan, and what was released before, in the statistics' form.
    definitions = {str(each.shape.ref): each for each in job.features}
    shapes = {each.shape.ref: each.shape for each in job.features}
    plan = plan_of(job.aggregate, shapes, job.epoch)
    before = _before(job, definitions)
    # Step 2: everybody's classes and amounts, of that too.
    names = tuple(definitions)
    summed = frozenset(names.index(each.feature) for each in job.bounds)
    tables = {table.name: table for table in job.tables}
    found = materialise(store, job.features, tables, everybody=Everybody(summed))
    if found.refused:
        raise SafeRoomError(Reason.INTERNAL, "a feature of the plan cannot be computed")
    wanted = {*before.dimensions, *(each.name for each in plan.dimensions)}
    columns = Columns(
        {name: _codes(found.columns[names.index(name)], definitions[name]) for name in wanted},
        {amount_of(names[at]): amounts for at, amounts in found.amounts.items()},
        None if job.groups is None else _groups(found, names.index(job.groups)),
    )
    # Step 3: with noise, where the plan has it in the place of rules.
    if job.aggregate.privacy is not None:
        noisy = with_noise(plan, columns, job.aggregate.privacy.epsilon)
        told = noisy.in_steps() if job.in_steps else noisy.numbers()
        return Tabulated(numbers=told, shown=())
    # Step 4: else the plan, protected together with what was released before, and rounded.
    protected = protect(plan, columns, before, rules_of(job.rules))
    numbers = tuple(
        tuple(None if line.number is None else line.shown for line in table.lines)
        for table in publish(protected, rules_of(job.first))
    )
    of = {amount_of(each.feature): each.feature for each in job.bounds}
    return Tabulated(numbers=numbers, shown=tuple(_told(protected.after.shown, of)))


def _groups(found: Materialised, at: int) -> NDArray[np.int64]:
    return legal_groups(found.subjects, found.tags[at])


def _before(job: Tabulate, definitions: Mapping[str, FeatureDefinition]) -> Before:
    """Read what was released before."""
    used = {
        column for family in job.shown for margin in family.margins for column in margin.columns
    }
    dimensions = {name: Dimension(name, classes_of(definitions[name].shape)) for name in used}
    variables = {
        amount_of(each.feature): Variable(amount_of(each.feature), each.low, each.high)
        for each in job.bounds
    }
    shown: dict[str, Shown] = {}
    for family in job.shown:
        name = _COUNTS if family.of is None else amount_of(family.of)
        shown[name] = {
            margin.columns: np.array(
                [_BECAME[mark] for mark in margin.became], dtype=np.int8
            ).reshape([len(dimensions[column].classes) for column in margin.columns])
            for margin in family.margins
        }
    return Before(job.epoch, dimensions, variables, shown)


def _told(shown: Mapping[str, Shown], of: Mapping[str, str]) -> Iterator[ShownFamily]:
    """Write what was released by now."""
    for name, margins in shown.items():
        told = tuple(
            ShownMargin(
                columns=columns, became="".join(_MARKS[int(each)] for each in became.reshape(-1))
            )
            for columns, became in margins.items()
        )
        yield ShownFamily(of=None if name == _COUNTS else of[name], margins=told)


def _codes(cells: NDArray[np.int8], feature: FeatureDefinition) -> NDArray[np.int8]:
    """Give everybody's class: where nothing is held, the lowest or the one of the unknown."""
    silent = feature.shape.cells if feature.shape.can_be_unknown else 0
    return np.where(cells == ABSENT, np.int8(silent), cells)
