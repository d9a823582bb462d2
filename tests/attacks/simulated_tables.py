"""The published attacks on tables against an enclave's own rules, in this process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from saferoom_attacks.books import BOOKS, SALES, Row
from saferoom_attacks.table_ask import HIGHEST, Cell, Plan, Sheet
from saferoom_enclaves.statistics.protect import Before, protect
from saferoom_enclaves.statistics.publish import publish
from saferoom_enclaves.statistics.tabulate import Columns
from saferoom_proto.tables.asked import classes_of
from saferoom_proto.tables.plan import (
    Dimension,
    Measure,
    MeasureKind,
    ReleasePlan,
    Variable,
    every_margin,
)
from saferoom_proto.tables.rules import Rules

COUNT = Measure(MeasureKind.COUNT)
ADDED = Measure(MeasureKind.SUM, "added up")
BOUNDS = Variable("added up", 0.0, float(HIGHEST))
BY_NAME = {book.name: book for book in BOOKS}


@dataclass
class SimTables:
    """Answers from the statistics that enclaves use; the next records wait, as they do there."""

    firms: Sequence[Row]
    asked: int = 0
    waits: bool = False
    before: Before = field(default_factory=lambda: Before(1))
    first: Rules | None = None

    def tell(self, bank: str, plan: Plan) -> Sheet:
        del bank
        self.asked += 1
        if self.waits:
            return {}
        rules = Rules(base=plan.base)
        self.first = self.first or rules
        protected = protect(_release(plan), self._columns(plan), self.before, rules)
        self.before = protected.after
        told: dict[Cell, float] = {}
        for table in publish(protected, self.first):
            dimensions = [protected.plan.dimension(name).classes for name in table.margin]
            for line in table.lines:
                if line.number is not None:
                    pairs = zip(dimensions, line.classes, strict=True)
                    codes = tuple(classes.index(name) for classes, name in pairs)
                    told[table.margin, codes] = line.number
        return told

    def next_period(self, firms: Sequence[Row]) -> None:
        del firms
        self.waits = True

    def _columns(self, plan: Plan) -> Columns:
        needed = {book.name for book in plan.columns} | set(self.before.dimensions)
        classes = {
            name: np.array([BY_NAME[name].code(firm) for firm in self.firms], dtype=np.int8)
            for name in needed
        }
        sales = np.array([float(firm[SALES.column]) for firm in self.firms])
        return Columns(classes, {BOUNDS.name: sales})


def _release(plan: Plan) -> ReleasePlan:
    names = [book.name for book in plan.columns]
    return ReleasePlan(
        tuple(Dimension(book.name, classes_of(book.shape)) for book in plan.columns),
        (BOUNDS,) if plan.added else (),
        (ADDED if plan.added else COUNT,),
        every_margin(names, plan.ways),
        1,
    )
