"""What it takes to protect and audit a release plan, and how much of it leaves.

    .venv/bin/python -m benchmarks.statistics [--subjects 1000000] [--skew 0.4 0.25 0.2] [--sums]
                                              [--epsilon 1]

Ten dimensions of five classes, every margin up to three ways: 16,176 cells, of 20,000 at most.
Subjects are made up: classes hang together (a common factor is a quarter of each dimension's
variance), and each class is so much rarer than the one before it as `--skew` says. `--sums` has
four classes and a long-tailed amount, of which a fifth of the subjects have none: 16,882 cells of
counts and sums. `--epsilon` makes the same tables with noise in the place of rules, a line beside
each: nothing is withheld then but means and shares of cells whose noisy count is below one, and the
column "too telling" has how far nineteen of twenty numbers are from the true ones at most. Seconds
are of one process; memory is its peak above what it had with the data.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import time
from dataclasses import dataclass
from decimal import Decimal
from itertools import product

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from saferoom_enclaves.statistics.noise import with_noise
from saferoom_enclaves.statistics.protect import Before, protect
from saferoom_enclaves.statistics.publish import publish
from saferoom_enclaves.statistics.tabulate import Columns
from saferoom_proto.tables.plan import (
    Dimension,
    Measure,
    MeasureKind,
    ReleasePlan,
    Variable,
    every_margin,
)
from saferoom_proto.tables.rules import Rules

Families = tuple[tuple[str, int, int, int], ...]

DIMENSIONS = 10
COMMON = 0.25


@dataclass(frozen=True, slots=True)
class Case:
    """One line of the table."""

    subjects: int
    skew: float
    sums: bool
    epsilon: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Taken:
    """What one plan took: cells asked, too telling and withheld by family, seconds, memory."""

    cells: int
    families: Families
    seconds: float
    processor: float
    mib: float


def made_up(case: Case) -> tuple[ReleasePlan, Columns]:
    """Make subjects up, and the plan about them."""
    draw = np.random.default_rng(1)
    size = 4 if case.sums else 5
    names = [f"d{at}" for at in range(DIMENSIONS)]
    parts = case.skew ** np.arange(size)
    edges = np.cumsum(parts / parts.sum())[:-1]
    common = draw.normal(size=case.subjects)
    classes: dict[str, NDArray[np.int8]] = {}
    for name in names:
        own = draw.normal(size=case.subjects)
        rank = np.argsort(np.argsort(COMMON**0.5 * common + (1 - COMMON) ** 0.5 * own))
        found = np.searchsorted(edges, rank / case.subjects, side="right")
        classes[name] = found.astype(np.int8)
    dimensions = tuple(Dimension(name, tuple(f"c{k}" for k in range(size))) for name in names)
    measures = [Measure(MeasureKind.COUNT)]
    amounts: dict[str, NDArray[np.float64]] = {}
    if case.sums:
        measures += [Measure(MeasureKind.SUM, "vat"), Measure(MeasureKind.MEAN, "vat")]
        paid = np.exp(draw.normal(8, 2, size=case.subjects))
        amounts["vat"] = paid * (draw.random(case.subjects) < 0.8)  # noqa: PLR2004 - see above
    variables = (Variable("vat", 0.0, 1e6),) if case.sums else ()
    margins = every_margin(names, 3)
    plan = ReleasePlan(dimensions, variables, tuple(measures), margins, 1)
    return plan, Columns(classes, amounts)


def run(case: Case) -> Taken:
    """Protect, audit and round one plan; to be called in a process of its own."""
    plan, columns = made_up(case)
    had = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began, used = time.perf_counter(), time.process_time()
    families = (
        protected(plan, columns) if case.epsilon is None else blurred(plan, columns, case.epsilon)
    )
    seconds, processor = time.perf_counter() - began, time.process_time() - used
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return Taken(plan.cells, families, seconds, processor, (peak - had) / 1024)


def protected(plan: ReleasePlan, columns: Columns) -> Families:
    """Protect, audit and round a plan."""
    made = protect(plan, columns, Before(1), Rules())
    publish(made)
    return tuple(
        (
            name or "counts",
            int(each.asked.sum()),
            int((each.family.telling & each.asked).sum()),
            int(each.withheld.sum()),
        )
        for name, each in made.families.items()
    )


def blurred(plan: ReleasePlan, columns: Columns, epsilon: Decimal) -> Families:
    """Make a plan's tables with noise."""
    made = with_noise(plan, columns, epsilon)
    numbers = made.numbers()
    withheld = sum(number is None for table in numbers for number in table)
    return tuple(
        (
            f"{name or 'counts'}, epsilon {epsilon}",
            sum(table.size for table in made.families[name].values()),
            int(noise.margin_of_error),
            withheld,
        )
        for name, noise in made.noise.items()
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--subjects", type=int, default=1_000_000)
    parser.add_argument("--skew", type=float, nargs="+", default=[0.4, 0.25, 0.2])
    parser.add_argument("--sums", action="store_true")
    parser.add_argument("--epsilon", type=Decimal)
    given = parser.parse_args()
    table = Table(title=f"{DIMENSIONS} dimensions, up to three ways, {given.subjects:,} subjects")
    for heading in ("skew", "of", "cells", "too telling", "withheld", "s", "cpu s", "MiB"):
        table.add_column(heading, justify="right")
    context = multiprocessing.get_context("spawn")
    ways = [None] if given.epsilon is None else [None, given.epsilon]
    for skew, epsilon in product(given.skew, ways):
        with context.Pool(1) as pool:
            taken = pool.apply(run, (Case(given.subjects, skew, given.sums, epsilon),))
        for name, asked, telling, withheld in taken.families:
            table.add_row(
                f"{skew:g}",
                name,
                f"{asked:,}",
                f"{telling:,}",
                f"{withheld:,}",
                f"{taken.seconds:.1f}",
                f"{taken.processor:.1f}",
                f"{taken.mib:.0f}",
            )
    Console().print(table)


if __name__ == "__main__":
    main()
