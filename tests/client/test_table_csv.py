"""Released tables as CSV: what an owner called a class is computed by no spreadsheet."""

from __future__ import annotations

import csv
import io

import pytest

from saferoom_client.formulas import as_text
from saferoom_client.table_csv import csv_of
from saferoom_proto.tables.plan import Dimension, Measure, MeasureKind, ReleasePlan
from saferoom_proto.tables.told import Cell, Told

COUNT = Measure(MeasureKind.COUNT)


@pytest.mark.parametrize(
    "value", ["=1+1", "+cmd|' /C calc'!A0", "-x", "@SUM(A1)", "\t=1", "\uff1d1"]
)
def test_what_begins_a_formula_is_text(value: str) -> None:
    assert as_text(value) == f"'{value}"


@pytest.mark.parametrize("value", ["", "-5", "+1,000.5%", "1=1", "tax.vat_paid"])
def test_what_computes_nothing_stays_as_it_is(value: str) -> None:
    assert as_text(value) == value


def test_a_class_that_is_a_formula_is_text_in_the_file() -> None:
    plan = ReleasePlan((Dimension("size", ("=1+1", "large")),), (), (COUNT,), (("size",),), 1)
    cells = (Cell(("=1+1",), "-12"), Cell(("large",), None))
    lines = list(
        csv.DictReader(io.StringIO(csv_of(plan, [Told(COUNT, ("size",), ("size",), cells)])))
    )
    assert [(each["size"], each["number"], each["withheld"]) for each in lines] == [
        ("'=1+1", "-12", ""),
        ("large", "", "yes"),
    ]
