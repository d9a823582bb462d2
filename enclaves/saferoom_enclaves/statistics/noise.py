"""Tables that leave with noise in the place of rules: differential privacy, by OpenDP (ADR 48).

Counts and sums are made exactly, in whole steps; to all of one family at once OpenDP's measurement
adds discrete Laplace noise, and tells itself what that costs. Means and shares are made of numbers
that have their noise, so they tell no more. Nothing is withheld for what a record says: a mean or
share of a cell whose noisy count is below one is no number.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import Final

import numpy as np

from saferoom_enclaves.statistics.laplace import blurred, require_noise
from saferoom_enclaves.statistics.lattice import Floats, Integers
from saferoom_enclaves.statistics.tabulate import Columns
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.tables.plan import Margin, Measure, MeasureKind, ReleasePlan
from saferoom_proto.tables.privacy import COUNTS, Noise, bounds_of, noise_of
from saferoom_proto.tables.told import written

_MEANS: Final = "{:.6g}"
"""Digits of a mean or share; noise blurs more."""

Noisy = Mapping[Margin, Integers]
"""The numbers of one family, in steps, in each margin's own order."""


@dataclass(frozen=True, slots=True)
class NoisyTables:
    """A plan's families with their noise."""

    plan: ReleasePlan
    noise: Mapping[str, Noise]
    families: Mapping[str, Noisy]

    def in_steps(self) -> tuple[tuple[str, ...], ...]:
        """Give counts and sums in whole steps, to be added to other owners'; in the same order.

        Raises:
            SafeRoomError: `INTERNAL` for means and shares, of which no whole is made so.
        """
        return tuple(
            tuple(map(str, self._whole(measure, margin).reshape(-1).tolist()))
            for measure in self.plan.measures
            for margin in self.plan.margins
        )

    def _whole(self, measure: Measure, margin: Margin) -> Integers:
        match measure.kind:
            case MeasureKind.COUNT | MeasureKind.HISTOGRAM:
                return self._counts(measure.told_in(margin))
            case MeasureKind.SUM:
                return self.families[measure.of][margin]
            case MeasureKind.MEAN | MeasureKind.SHARE:
                raise SafeRoomError(Reason.INTERNAL, f"a {measure.kind} is added to no other")

    def numbers(self) -> tuple[tuple[str | None, ...], ...]:
        """Give what is told: for each measure each margin, in the plan's order."""
        return tuple(
            tuple(self._told(measure, margin))
            for measure in self.plan.measures
            for margin in self.plan.margins
        )

    def _told(self, measure: Measure, margin: Margin) -> Iterator[str | None]:
        match measure.kind:
            case MeasureKind.COUNT | MeasureKind.HISTOGRAM:
                return map(str, self._counts(measure.told_in(margin)).reshape(-1).tolist())
            case MeasureKind.SUM:
                step = self.noise[measure.of].step
                sums = self.families[measure.of][margin].reshape(-1).tolist()
                return (written(each * step) for each in sums)
            case MeasureKind.MEAN:
                return self._means(measure, margin)
            case MeasureKind.SHARE:
                return self._shares(measure, margin)

    def _means(self, measure: Measure, margin: Margin) -> Iterator[str | None]:
        step, counts = float(self.noise[measure.of].step), self._counts(margin)
        variable = next(each for each in self.plan.variables if each.name == measure.of)
        sums: Floats = self.families[measure.of][margin].astype(np.float64) * step
        return _parts(np.clip(_divided(sums, counts), variable.low, variable.high))

    def _shares(self, measure: Measure, margin: Margin) -> Iterator[str | None]:
        whole = self._counts(margin)
        known = self.plan.dimension(measure.of).classes
        chosen = [known.index(each) for each in measure.classes]
        if measure.of in margin:
            place = [1] * len(margin)
            place[margin.index(measure.of)] = len(known)
            among = np.isin(np.arange(len(known)), chosen).reshape(place)
            return _parts(_divided(np.where(among, whole, 0), whole))
        parts = self._counts((*margin, measure.of))[..., chosen].sum(axis=-1)
        return _parts(np.clip(_divided(parts, whole), 0, 1))

    def _counts(self, margin: Margin) -> Integers:
        """Counts of a margin in its own order, which another of the same columns may not have."""
        found = self.families[COUNTS]
        if margin in found:
            return found[margin]
        other = next(each for each in found if set(each) == set(margin))
        return np.transpose(found[other], [other.index(name) for name in margin])


def with_noise(plan: ReleasePlan, columns: Columns, epsilon: Decimal) -> NoisyTables:
    """Make a plan's tables with noise.

    Args:
        plan: what is asked.
        columns: the owner's subjects.
        epsilon: what the tables may tell.

    Raises:
        SafeRoomError: `NOT_INSTALLED`; `NOT_ALLOWED` for subjects of legal groups, of which one
            alters more than a subject does; `INTERNAL` if OpenDP reckons more than is allowed.
    """
    require_noise()
    if columns.groups is not None:
        raise SafeRoomError(Reason.NOT_ALLOWED, "noise is for single subjects, not legal groups")
    noise = noise_of(plan, epsilon)
    families: dict[str, Noisy] = {}
    for name, each in noise.items():
        margins = plan.margins if name else plan.count_margins()
        steps = _in_steps(plan, columns, name, each) if name else None
        exact = [_added(plan, columns, margin, steps) for margin in margins]
        ends = np.cumsum([0, *(table.size for table in exact)])
        told = blurred(np.concatenate([table.reshape(-1) for table in exact]).tolist(), each)
        whole = np.array(told, dtype=np.int64)
        tables = [whole[low:high] for low, high in pairwise(ends)]
        families[name] = {
            margin: table.reshape(like.shape)
            for margin, table, like in zip(margins, tables, exact, strict=True)
        }
    return NoisyTables(plan, noise, families)


def _in_steps(plan: ReleasePlan, columns: Columns, name: str, noise: Noise) -> Integers:
    """Each subject's amount in whole steps, between the bounds."""
    variable = next(each for each in plan.variables if each.name == name)
    amounts = np.clip(columns.amounts[name], variable.low, variable.high)
    steps = np.rint(amounts / float(noise.step)).astype(np.int64)
    return np.clip(steps, *bounds_of(variable))


def _added(plan: ReleasePlan, columns: Columns, margin: Margin, steps: Integers | None) -> Integers:
    """Count subjects, or add their steps up, in each cell of a margin; exactly."""
    shape = tuple(len(plan.dimension(name).classes) for name in margin)
    cells = np.zeros(columns.subjects, dtype=np.int64)
    for name, size in zip(margin, shape, strict=True):
        cells *= size
        cells += columns.classes[name]
    # Exact in floats: a hundred million subjects add up less than 10**15 steps.
    size = int(np.prod(shape, dtype=np.int64))
    return np.bincount(cells, steps, minlength=size).astype(np.int64).reshape(shape)


def _divided(parts: Integers | Floats, whole: Integers) -> Floats:
    """Divide where there is at least one by the noisy count, and give no number elsewhere."""
    there = whole >= 1
    return np.where(there, parts / np.where(there, whole, 1), np.nan)


def _parts(numbers: Floats) -> Iterator[str | None]:
    for each in numbers.reshape(-1).tolist():
        yield None if np.isnan(each) else _MEANS.format(each)
