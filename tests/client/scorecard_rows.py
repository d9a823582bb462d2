"""A bank's rows for scorecards, and a card of them."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from saferoom_client.scorecards.document import Scorecard
from saferoom_client.scorecards.fitting import Wanted, fit_scorecard
from saferoom_client.scorecards.table import Columns
from saferoom_proto.uscc import make_uscc

EVIL = "<script>alert(1)</script>"
AT = datetime(2026, 11, 30, tzinfo=UTC)
ROWS = 2400
WANTED = Wanted(Columns(label="defaulted"), shapes={"": "either", "limit": "rising"})


def write_rows(path: Path, heading: Sequence[str], rows: Iterable[Sequence[object]]) -> Path:
    """Write a table."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(heading)
        writer.writerows(rows)
    return path


def make_table(folder: Path) -> Path:
    """Write rows that a card tells apart: numbers, some missing, and classes of odd names."""
    draw = np.random.default_rng(17)
    limit, years = draw.uniform(10, 500, ROWS), draw.uniform(0, 20, ROWS)
    trade = draw.choice(["retail", EVIL, "运输"], ROWS)
    odds = 0.006 * limit - 0.2 * years + (trade == EVIL) - 0.5
    labels = draw.random(ROWS) < 1 / (1 + np.exp(-odds))
    known = draw.random(ROWS) > 0.1
    return write_rows(
        folder / "rows.csv",
        ["uscc", "limit", "years", "trade", "defaulted"],
        (
            (
                make_uscc(at),
                round(float(limit[at])),
                f"{years[at]:.1f}" if known[at] else "",
                trade[at],
                int(labels[at]),
            )
            for at in range(ROWS)
        ),
    )


def make_card(table: Path) -> Scorecard:
    """Fit a card."""
    with threadpool_limits(1):
        return fit_scorecard(table, WANTED, name="loans", now=AT)
